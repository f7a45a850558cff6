"""Clicks that a person is asked about first, and what a click is said to have changed."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.scene.geometry import limits_of
from AttentionUNetSegLib.session import DoubtfulClick, ResultEditor
from organ_scene import IN_KNOWN, IN_TAIL, KNOWN, SIZE_KJI, SPACING, mask, new_result, ras_of

AIR = (2, 55, 5)


@pytest.fixture
def with_air(editor, nodes) -> ResultEditor:
    voxels = slicer.util.arrayFromVolume(nodes.volume)
    voxels[:, 50:, :] = -1000
    slicer.util.arrayFromVolumeModified(nodes.volume)
    return editor


def test_a_click_into_air_is_asked_about_and_can_be_meant(with_air, nodes, ct):
    before = mask(nodes)
    with pytest.raises(DoubtfulClick, match=r"Add click was not applied. There is air or padding .-1000 HU") as doubt:
        with_air.add_click(ras_of(ct, AIR), positive=True, ask=True)
    np.testing.assert_array_equal(mask(nodes), before)
    assert not with_air.clicks
    assert not with_air.can_undo
    with_air.apply_anyway(doubt.value)
    assert mask(nodes)[AIR]
    assert with_air.undo()
    np.testing.assert_array_equal(mask(nodes), before)


def test_a_point_placed_or_dragged_where_nobody_means_it_goes_back(with_air, nodes, ct):
    add, _ = with_air.require_click_lists()
    add.AddControlPoint(*ras_of(ct, AIR))
    with pytest.raises(DoubtfulClick):
        with_air.sync_from_markups(ask=True)
    assert add.GetNumberOfControlPoints() == 0
    add.AddControlPoint(*ras_of(ct, IN_TAIL))
    assert with_air.sync_from_markups(ask=True)
    add.SetNthControlPointPositionWorld(0, *ras_of(ct, AIR))
    with pytest.raises(DoubtfulClick) as doubt:
        with_air.sync_from_markups(ask=True)
    assert add.GetNthControlPointPositionWorld(0) == pytest.approx(ras_of(ct, IN_TAIL))
    assert mask(nodes)[IN_TAIL]
    with_air.apply_anyway(doubt.value)
    assert len(with_air.clicks) == 1, "the dragged click itself has moved"
    assert mask(nodes)[AIR]
    assert not mask(nodes)[IN_TAIL]


@pytest.mark.parametrize(
    ("voxel", "positive", "reason"),
    [((1, 22, 69), True, "mm from the segment"), (IN_TAIL, False, "nothing to remove: the segment is 26 mm")],
)
def test_clicks_far_from_the_segment(editor, ct, voxel, positive, reason):
    with pytest.raises(DoubtfulClick, match=reason):
        editor.add_click(ras_of(ct, voxel), positive, ask=True)
    editor.add_click(ras_of(ct, IN_KNOWN), False, ask=True)  # an ordinary click is not


def test_a_result_limited_by_an_roi_asks_outside_of_it(scene, ct, nodes, tmp_path):
    assert limits_of(nodes) is None
    box = [(part.start, part.stop) for part in KNOWN[::-1]]
    limited = new_result(scene, nodes.volume, ct, tmp_path, box)
    assert limits_of(limited) == box
    editor = ResultEditor(limited)
    with pytest.raises(DoubtfulClick, match="outside the ROI"):
        editor.add_click(ras_of(ct, IN_TAIL), True, ask=True)
    editor.add_click(ras_of(ct, IN_KNOWN), True, ask=True)


def test_a_click_says_what_it_changed(editor, nodes, ct):
    before = mask(nodes)
    assert editor.last_change is None
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    after, change = mask(nodes), editor.last_change
    voxel = np.prod(SPACING) / 1000.0
    assert change.added_ml == pytest.approx(np.count_nonzero(after & ~before) * voxel)
    assert change.removed_ml == pytest.approx(np.count_nonzero(before & ~after) * voxel)
    assert change.volume_ml == pytest.approx(editor.volume_ml)
    steps = (np.argwhere(after != before) - IN_TAIL) * SPACING[::-1]
    assert change.furthest_mm == pytest.approx(np.linalg.norm(steps, axis=1).max())
    assert change.text == f"+{change.added_ml:.1f} mL, up to {change.furthest_mm:.0f} mm from the click"
    editor.undo()
    assert editor.last_change.removed_ml == pytest.approx(change.added_ml)
    assert editor.last_change.text == f"−{change.added_ml:.1f} mL"
    assert np.count_nonzero(after) < np.prod(SIZE_KJI)
