"""CT, result and clicks that somebody moved apart, with and without hardening: what works on, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.scene import (
    find_apart,
    find_results,
    measurement_table,
    nodes_of_segmentation,
    open_standalone_scene,
    save_scene,
)
from AttentionUNetSegLib.scene.volumes import set_voxels
from AttentionUNetSegLib.session import ResultEditor
from organ_scene import IN_KNOWN, IN_TAIL, SPACING, mask, paint, ras_of

TURN = np.array([[0.96, -0.28, 0.0, 30.0], [0.28, 0.96, 0.0, -20.0], [0.0, 0.0, 1.0, 95.0], [0.0, 0.0, 0.0, 1.0]])
# By whole voxels of the CT's slices: geometry alone cannot tell the moved volume from another part of the grid.
WHOLE_VOXELS = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 10 * SPACING[2]], [0, 0, 0, 1.0]])


def transform(scene, matrix: np.ndarray) -> str:
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node.GetID()


def put(node, transform_id: str, is_hardened: bool) -> None:
    node.SetAndObserveTransformNodeID(transform_id)
    if is_hardened:
        node.HardenTransform()


def moved(matrix: np.ndarray, position) -> tuple[float, ...]:
    return tuple((matrix @ [*position, 1.0])[:3])


@pytest.mark.parametrize("matrix", [TURN, WHOLE_VOXELS])
@pytest.mark.parametrize("is_hardened", [False, True])
def test_a_ct_that_was_moved_alone(scene, ct, editor, matrix, is_hardened):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    paint(editor.nodes, (slice(2, 4), slice(2, 5), slice(2, 6)), 1)
    before, volume = mask(editor.nodes), editor.volume_ml
    assert editor.apart is None
    put(editor.nodes.volume, transform(scene, matrix), is_hardened)
    far = editor.apart
    assert far.distance_mm > 9.0
    assert far.can_follow
    everything = nodes_of_segmentation(editor.nodes.segmentation)
    assert set(far.names) == {node.GetName() for node in everything if node is not editor.nodes.remove_clicks}
    assert "no longer lie on liver" in far.text
    # What counts voxels works all the same.
    assert editor.set_threshold(0.5) == pytest.approx(volume)
    np.testing.assert_array_equal(mask(editor.nodes), before)
    assert editor.undo()
    assert editor.undo()
    assert not mask(editor.nodes)[IN_TAIL]
    assert editor.redo()
    assert editor.redo()
    np.testing.assert_array_equal(mask(editor.nodes), before)
    # What points at a place does not, before the result has followed.
    with pytest.raises(BadInput, match="no longer lie on liver"):
        editor.add_click(moved(matrix, ras_of(ct, IN_KNOWN)), positive=False)
    editor.move_along()
    assert editor.apart is None
    np.testing.assert_array_equal(mask(editor.nodes), before)
    editor.add_click(moved(matrix, ras_of(ct, IN_KNOWN)), positive=False)
    assert not mask(editor.nodes)[IN_KNOWN]
    assert mask(editor.nodes)[IN_TAIL]
    assert [click.ras for click in editor.clicks] == [
        pytest.approx(moved(matrix, ras_of(ct, voxel)), abs=1e-4) for voxel in (IN_TAIL, IN_KNOWN)
    ]
    assert editor.undo()
    np.testing.assert_array_equal(mask(editor.nodes), before)


def test_everything_hardened_together_is_together(scene, ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    before, identity = mask(editor.nodes), transform(scene, TURN)
    for node in (editor.nodes.volume, *nodes_of_segmentation(editor.nodes.segmentation)):
        put(node, identity, True)
    assert editor.apart is None
    assert not editor.sync_from_markups(), "no click has moved on its CT"
    editor.add_click(moved(TURN, ras_of(ct, IN_KNOWN)), positive=False)
    assert not mask(editor.nodes)[IN_KNOWN]
    assert editor.undo()
    np.testing.assert_array_equal(mask(editor.nodes), before)
    assert editor.undo()
    assert not mask(editor.nodes)[IN_TAIL]


def test_a_transform_hardened_on_the_ct_under_which_the_result_stays(scene, ct, editor):
    identity = transform(scene, TURN)
    for node in (editor.nodes.volume, *nodes_of_segmentation(editor.nodes.segmentation)):
        put(node, identity, False)
    editor.nodes.volume.HardenTransform()
    assert editor.apart is None, "all lie in one place of the world"
    editor.add_click(moved(TURN, ras_of(ct, IN_TAIL)), positive=True)
    assert mask(editor.nodes)[IN_TAIL]
    assert editor.apart is None
    editor.set_threshold(0.9)
    assert editor.undo()
    assert not mask(editor.nodes)[IN_TAIL]


def test_a_segmentation_that_was_moved_alone_holds_no_strokes(scene, ct, editor):
    before, volume = mask(editor.nodes), editor.volume_ml
    put(editor.nodes.segmentation, transform(scene, TURN), True)
    assert editor.apart.names == (editor.nodes.segmentation.GetName(),)
    assert not editor.absorb_strokes()
    assert editor.set_threshold(0.5) == pytest.approx(volume)
    assert editor.apart.distance_mm > 50.0, "the threshold leaves it where it was put"
    editor.move_along()
    assert editor.apart is None
    np.testing.assert_array_equal(mask(editor.nodes), before)
    assert not editor.can_undo


def test_a_dragged_click_comes_back_where_the_ct_lies_elsewhere(scene, ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    put(editor.nodes.volume, transform(scene, TURN), False)
    place = editor.nodes.add_clicks.GetNthControlPointPositionWorld(0)
    editor.nodes.add_clicks.SetNthControlPointPositionWorld(0, *(n + 5.0 for n in place))
    with pytest.raises(BadInput, match="no longer lie"):
        editor.sync_from_markups()
    assert tuple(editor.nodes.add_clicks.GetNthControlPointPositionWorld(0)) == pytest.approx(tuple(place))


def test_undo_outlives_saving_and_loading(scene, ct, editor, tmp_path):
    start = mask(editor.nodes)
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    with_click = mask(editor.nodes)
    paint(editor.nodes, (slice(2, 4), slice(2, 5), slice(2, 6)), 1)
    editor.absorb_strokes()
    editor.add_click(ras_of(ct, IN_KNOWN), positive=False)
    after = mask(editor.nodes)
    assert editor.undo()
    save_scene(scene, tmp_path / "scene.mrb")
    app, second = open_standalone_scene()
    assert second.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    (found,) = find_results(second)
    again = ResultEditor(found)
    assert find_apart(found) is None
    assert again.redo()
    np.testing.assert_array_equal(mask(found), after)
    assert [again.undo() for _ in range(4)] == [True, True, True, False]
    np.testing.assert_array_equal(mask(found), start)
    assert again.redo()
    np.testing.assert_array_equal(mask(found), with_click)
    second.Clear(True)
    del app


@pytest.mark.parametrize("text", ["{", '{"current":7,"steps":[],"strokes":[]}', "[1]"])
def test_a_history_that_nobody_can_read_is_left_alone(ct, editor, text):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    editor.nodes.segmentation.SetAttribute("AttentionUNetSeg.history", text)
    again = ResultEditor(editor.nodes)
    assert not again.can_undo
    assert len(again.clicks) == 1


def test_a_click_that_was_taken_back_and_brought_again_keeps_its_name(ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    editor.add_click(ras_of(ct, IN_KNOWN), positive=False)
    points = editor.nodes.remove_clicks
    assert points.GetNthControlPointLabel(0) == "-2"
    points.RemoveNthControlPoint(0)
    assert editor.sync_from_markups()
    assert editor.undo()
    assert points.GetNthControlPointLabel(0) == "-2"


def test_a_ct_that_was_resampled_leaves_the_threshold_alone(ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    volume = editor.volume_ml
    coarse = sitk.Resample(ct, [n // 2 for n in ct.GetSize()], sitk.Transform(), sitk.sitkLinear, ct.GetOrigin(),
                           [2.0 * n for n in ct.GetSpacing()], ct.GetDirection())  # fmt: skip
    set_voxels(editor.nodes.volume, coarse)
    assert editor.set_threshold(0.5) == pytest.approx(volume, rel=0.01)
    assert not editor.apart.can_follow
    with pytest.raises(BadInput, match="no longer"):
        editor.add_click(ras_of(ct, IN_KNOWN), positive=False)


def test_a_table_lies_nowhere(scene, editor):
    measurement_table(editor.nodes)
    assert editor.apart is None
    put(editor.nodes.volume, transform(scene, TURN), False)
    assert editor.apart.can_follow
    editor.move_along()
    assert editor.apart is None
