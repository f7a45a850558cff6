"""Clicks, strokes, undo and redo on real MRML scenes, moved, saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import add_volume, find_results, read_field, save_scene, show_attention
from AttentionUNetSegLib.session import ResultEditor
from organ_scene import IN_KNOWN, IN_TAIL, KNOWN, ORGAN, SIZE_KJI, mask, new_result, paint, ras_of
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkVector3d
from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform


def test_a_click_corrects_the_segment_and_leaves_the_networks_own_field(editor, nodes, ct):
    network = slicer.util.arrayFromVolume(nodes.probability).copy()
    before = editor.volume_ml
    click = editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    assert mask(nodes)[IN_TAIL]
    assert editor.volume_ml > 1.3 * before
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.probability), network)
    assert nodes.field is nodes.corrected is not None
    assert [(c.id, c.positive) for c in editor.clicks] == [(click, True)]
    np.testing.assert_allclose(editor.clicks[0].ras, ras_of(ct, IN_TAIL), atol=1e-6)
    inside = mask(nodes)
    organ = np.zeros(SIZE_KJI, bool)
    organ[ORGAN] = True
    assert inside[~organ].sum() < 0.02 * inside.sum()


def test_undo_and_redo_go_through_every_state_exactly(editor, nodes, ct):
    states = [mask(nodes)]
    editor.add_click(ras_of(ct, IN_TAIL), True)
    states.append(mask(nodes))
    second = editor.add_click(ras_of(ct, IN_KNOWN), False)
    states.append(mask(nodes))
    editor.move_click(second, ras_of(ct, (10, 22, 12)))
    states.append(mask(nodes))
    editor.remove_click(second)
    np.testing.assert_array_equal(mask(nodes), states[1])
    editor.clear()
    np.testing.assert_array_equal(mask(nodes), states[0])
    assert editor.clicks == ()
    for state in (states[1], states[3], states[2], states[1], states[0]):
        assert editor.undo()
        np.testing.assert_array_equal(mask(nodes), state)
    assert not editor.can_undo
    assert not editor.undo()
    for state in (states[1], states[2], states[3], states[1], states[0]):
        assert editor.redo()
        np.testing.assert_array_equal(mask(nodes), state)
    assert not editor.can_redo
    editor.undo()
    editor.add_click(ras_of(ct, IN_KNOWN), True)
    assert not editor.can_redo


def test_the_sequence_of_clicks_does_not_matter(scene, editor, nodes, ct, tmp_path):
    places = [(IN_TAIL, True), (IN_KNOWN, False), ((10, 24, 38), True)]
    for place, positive in places:
        editor.add_click(ras_of(ct, place), positive)
    other = ResultEditor(new_result(scene, nodes.volume, ct, tmp_path))
    for place, positive in reversed(places):
        other.add_click(ras_of(ct, place), positive)
    np.testing.assert_array_equal(mask(nodes), mask(other.nodes))


def test_a_correction_that_is_taken_back_leaves_the_networks_field_everywhere(editor, nodes, ct):
    network = slicer.util.arrayFromVolume(nodes.probability).copy()
    editor.add_click(ras_of(ct, IN_TAIL), True)
    first = slicer.util.arrayFromVolume(nodes.corrected).copy()
    editor.reach_mm = 6.0
    editor.add_click(ras_of(ct, IN_KNOWN), False)  # elsewhere, and in place: only what changes is written
    editor.undo()
    editor.reach_mm = 15.0
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.corrected), first)
    editor.undo()
    where = read_field(nodes.probability, nodes.volume).box
    np.testing.assert_array_equal(read_field(nodes.corrected, nodes.volume).on(where), network)


def test_what_is_prepared_changes_nothing_and_is_not_used_for_another_ct(scene, editor, nodes, ct, tmp_path):
    other = ResultEditor(new_result(scene, nodes.volume, ct, tmp_path))
    add, _remove = editor.require_click_lists()
    add.AddControlPointWorld(vtkVector3d(*ras_of(ct, IN_TAIL)))
    before = mask(nodes)
    parts = editor.prepare_clicks()
    for _part in range(3):
        next(parts)
    voxels = slicer.util.arrayFromVolume(nodes.volume)
    voxels[:, :, 34:36] = -100  # a gap of fat before the tail
    slicer.util.arrayFromVolumeModified(nodes.volume)
    assert len(list(parts)) > 0
    np.testing.assert_array_equal(mask(nodes), before)
    assert nodes.corrected is None and not editor.can_undo
    assert editor.sync_from_markups()
    other.add_click(ras_of(ct, IN_TAIL), True)
    np.testing.assert_array_equal(mask(nodes), mask(other.nodes))
    assert mask(nodes).sum() > before.sum()


def test_clicks_and_threshold_compose_in_any_order(editor, nodes, ct):
    editor.add_click(ras_of(ct, IN_TAIL), True)
    first = editor.set_threshold(0.3, keep_largest=True)
    assert editor.settings == (0.3, True, 0.0)
    expected = mask(nodes)
    editor.clear()
    editor.add_click(ras_of(ct, IN_TAIL), True)
    np.testing.assert_array_equal(mask(nodes), expected)
    assert editor.volume_ml == pytest.approx(first)
    for threshold in (0.05, 0.5, 0.95):
        editor.set_threshold(threshold)
        assert mask(nodes)[IN_TAIL]
    editor.undo()
    assert editor.settings[0] == 0.95


def test_a_part_that_was_clicked_is_kept_beside_the_largest(editor, nodes, ct):
    editor.reach_mm = 3.0
    editor.add_click(ras_of(ct, IN_TAIL), True)
    editor.set_threshold(0.5, keep_largest=True)
    assert mask(nodes)[IN_TAIL]
    assert mask(nodes)[IN_KNOWN]
    editor.set_threshold(0.5, keep_largest=True, smoothing_mm=8.0)
    assert mask(nodes)[IN_TAIL]


def test_contradicting_clicks_warn_and_the_later_one_counts(editor, nodes, ct):
    editor.add_click(ras_of(ct, IN_TAIL), True)
    assert editor.warnings == ()
    editor.add_click(ras_of(ct, IN_TAIL), False)
    assert not mask(nodes)[IN_TAIL]
    assert "later one counts" in editor.warnings[0]
    editor.undo()
    assert mask(nodes)[IN_TAIL]
    assert editor.warnings == ()


@pytest.mark.parametrize("positive", [True, False])
def test_a_click_outside_the_ct_is_refused_by_name_and_changes_nothing(editor, nodes, ct, positive):
    before = mask(nodes)
    with pytest.raises(BadInput, match=r"(Add|Remove) click at .* outside the volume liver"):
        editor.add_click(ras_of(ct, (-1, 5, 5)), positive)
    with pytest.raises(BadInput, match="three coordinates"):
        editor.add_click((float("nan"), 0.0, 0.0), positive)
    assert editor.clicks == ()
    assert not editor.can_undo
    assert nodes.corrected is None
    np.testing.assert_array_equal(mask(nodes), before)


def test_unknown_clicks_are_refused(editor):
    for change in (lambda: editor.move_click("9", (0, 0, 0)), lambda: editor.remove_click("9")):
        with pytest.raises(BadInput, match="no click 9"):
            change()
    with pytest.raises(BadInput, match="reach"):
        editor.reach_mm = 0.0


def test_the_reach_applies_to_all_clicks_at_once_and_stays_with_the_scene(editor, nodes, ct):
    editor.add_click(ras_of(ct, IN_TAIL), True)
    far = mask(nodes)
    editor.reach_mm = 4.0
    assert mask(nodes).sum() < far.sum()
    assert ResultEditor(nodes).reach_mm == 4.0
    editor.reach_mm = 15.0
    np.testing.assert_array_equal(mask(nodes), far)


def test_strokes_survive_threshold_clicks_smoothing_and_undo(editor, nodes, ct):
    painted = (slice(2, 5), slice(3, 6), slice(62, 66))
    erased = (slice(14, 17), slice(30, 33), slice(14, 17))
    paint(nodes, painted, 1)
    paint(nodes, erased, 0)
    assert editor.absorb_strokes()
    assert not editor.absorb_strokes()
    for threshold, smoothing in ((0.05, 0.0), (0.95, 0.0), (0.5, 3.0)):
        editor.set_threshold(threshold, smoothing_mm=smoothing)
        assert mask(nodes)[painted].all()
        assert not mask(nodes)[erased].any()
    editor.set_threshold(0.5, keep_largest=True)
    assert mask(nodes)[painted].all()
    editor.add_click(ras_of(ct, IN_TAIL), True)
    assert mask(nodes)[painted].all()
    editor.undo()
    editor.undo()
    assert not mask(nodes)[painted].any()
    assert mask(nodes)[erased].all()
    assert nodes.strokes is None
    editor.redo()
    assert mask(nodes)[painted].all()


def test_strokes_made_just_before_a_click_or_a_threshold_are_not_lost(editor, nodes, ct):
    painted = (slice(2, 4), slice(3, 5), slice(62, 64))
    paint(nodes, painted, 1)
    editor.set_threshold(0.7)
    assert mask(nodes)[painted].all()
    paint(nodes, (slice(2, 4), slice(3, 5), slice(62, 63)), 0)
    editor.add_click(ras_of(ct, IN_TAIL), True)
    assert mask(nodes)[painted].sum() == 4
    editor.clear()
    assert not mask(nodes)[painted].any()


def test_points_that_people_place_drag_and_delete_are_taken_over(editor, nodes, ct):
    add, remove = editor.require_click_lists()
    n = add.AddControlPointWorld(ras_of(ct, IN_TAIL))
    assert editor.sync_from_markups()
    assert not editor.sync_from_markups()
    assert mask(nodes)[IN_TAIL]
    assert add.GetNthControlPointDescription(n) == "1"
    remove.AddControlPointWorld(ras_of(ct, IN_KNOWN))
    assert editor.sync_from_markups()
    assert not mask(nodes)[IN_KNOWN]
    assert [(c.order, c.positive) for c in editor.clicks] == [(1, True), (2, False)]
    point = add.GetNthControlPointID(n)
    for column in (44, 42, 40):  # one drag
        add.SetNthControlPointPositionWorld(n, *ras_of(ct, (16, 32, column)))
        assert editor.sync_from_markups()
    assert add.GetNthControlPointID(0) == point
    assert editor.undo()  # the whole drag
    np.testing.assert_allclose(editor.clicks[0].ras, ras_of(ct, IN_TAIL), atol=1e-4)
    np.testing.assert_allclose(add.GetNthControlPointPositionWorld(0), ras_of(ct, IN_TAIL), atol=1e-4)
    remove.RemoveAllControlPoints()
    assert editor.sync_from_markups()
    assert mask(nodes)[IN_KNOWN]
    assert len(editor.clicks) == 1
    editor.undo()
    assert remove.GetNumberOfControlPoints() == 1


def test_a_point_dragged_out_of_the_ct_goes_back(editor, nodes, ct):
    editor.add_click(ras_of(ct, IN_TAIL), True)
    before = mask(nodes)
    nodes.add_clicks.SetNthControlPointPositionWorld(0, 1000.0, 0.0, 0.0)
    with pytest.raises(BadInput, match="outside the volume liver"):
        editor.sync_from_markups()
    np.testing.assert_allclose(nodes.add_clicks.GetNthControlPointPositionWorld(0), ras_of(ct, IN_TAIL), atol=1e-4)
    np.testing.assert_array_equal(mask(nodes), before)


def linear_transform(scene):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = np.eye(4)
    matrix[:3, :3] = [[0.0, -1.0, 0.0], [0.96, 0.0, -0.28], [0.28, 0.0, 0.96]]
    matrix[:3, 3] = (20.0, -35.0, 60.0)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def bent_transform(scene):
    rng = np.random.default_rng(1)
    spline = vtkThinPlateSplineTransform()
    source, target = vtkPoints(), vtkPoints()
    for point in rng.uniform(-150.0, 350.0, (12, 3)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + rng.normal(0.0, 6.0, 3))
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    return node


@pytest.mark.parametrize("make_transform", [linear_transform, bent_transform])
def test_world_positions_go_through_parent_transforms(scene, ct, tmp_path, make_transform):
    plain = new_result(scene, add_volume(scene, Volume(ct, "plain")), ct, tmp_path)
    ResultEditor(plain).add_click(ras_of(ct, IN_TAIL), True)
    volume_node = add_volume(scene, Volume(ct, "liver"))
    transform = make_transform(scene)
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    nodes = new_result(scene, volume_node, ct, tmp_path)
    editor = ResultEditor(nodes)
    world = [0.0, 0.0, 0.0]
    transform.GetTransformToParent().TransformPoint(ras_of(ct, IN_TAIL), world)
    editor.add_click(tuple(world), True)
    np.testing.assert_allclose(editor.clicks[0].ras, world, atol=0.01)
    np.testing.assert_allclose(nodes.add_clicks.GetNthControlPointPositionWorld(0), world, atol=0.01)
    np.testing.assert_array_equal(mask(nodes), mask(plain))
    for node in (nodes.corrected, nodes.add_clicks, nodes.remove_clicks):
        assert node.GetTransformNodeID() == transform.GetID()


def test_everything_survives_saving_and_loading(scene, editor, nodes, ct, tmp_path):
    painted = (slice(2, 5), slice(3, 6), slice(62, 66))
    editor.set_threshold(0.4)
    editor.add_click(ras_of(ct, IN_TAIL), True)
    editor.add_click(ras_of(ct, IN_KNOWN), False)
    paint(nodes, painted, 1)
    editor.absorb_strokes()
    unabsorbed = (slice(26, 28), slice(50, 52), slice(5, 8))
    paint(nodes, unabsorbed, 1)
    expected = mask(nodes)
    clicks = editor.clicks
    save_scene(scene, tmp_path / "saved.mrb")
    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "saved.mrb"))
    loaded = ResultEditor(find_results(scene)[0])
    np.testing.assert_array_equal(mask(loaded.nodes), expected)
    assert [(c.id, c.positive, c.order) for c in loaded.clicks] == [(c.id, c.positive, c.order) for c in clicks]
    for now, then in zip(loaded.clicks, clicks, strict=True):
        np.testing.assert_allclose(now.ras, then.ras, atol=1e-3)
    assert not loaded.sync_from_markups()
    assert loaded.settings == (0.4, False, 0.0)
    assert loaded.absorb_strokes()
    np.testing.assert_array_equal(mask(loaded.nodes), expected)
    loaded.set_threshold(0.6)
    assert mask(loaded.nodes)[painted].all()
    assert mask(loaded.nodes)[unabsorbed].all()
    loaded.remove_click(loaded.clicks[1].id)
    assert mask(loaded.nodes)[IN_KNOWN]
    loaded.clear()
    loaded.set_threshold(0.5)
    known = np.zeros(SIZE_KJI, bool)
    known[KNOWN] = True
    np.testing.assert_array_equal(mask(loaded.nodes), known)


def test_the_corrected_probability_is_what_is_shown(scene, editor, nodes, ct):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    editor.add_click(ras_of(ct, IN_TAIL), True)
    show_attention(nodes, "probability")
    assert composite.GetForegroundVolumeID() == nodes.corrected.GetID()
    show_attention(nodes, None)
    assert composite.GetForegroundVolumeID() is None


def test_a_result_that_left_the_scene_is_refused(scene, editor, nodes, ct):
    scene.RemoveNode(nodes.segmentation)
    with pytest.raises(BadInput, match="no longer in the scene"):
        editor.add_click(ras_of(ct, IN_TAIL), True)


def test_other_voxels_in_the_ct_empty_the_cache(editor, nodes, ct):
    editor.add_click(ras_of(ct, IN_TAIL), True)
    before = mask(nodes)
    voxels = slicer.util.arrayFromVolume(nodes.volume)
    voxels[:, :, 40:43] = -90
    slicer.util.arrayFromVolumeModified(nodes.volume)
    editor.reach_mm = 14.0
    editor.reach_mm = 15.0
    assert mask(nodes).sum() < before.sum()


def test_a_deleted_corrected_volume_takes_no_correction_back(scene, ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    paint(editor.nodes, (slice(2, 4), slice(2, 5), slice(2, 6)), 1)
    editor.absorb_strokes()
    volume, corrected = editor.volume_ml, mask(editor.nodes)
    for node in (editor.nodes.corrected, editor.nodes.strokes):
        scene.RemoveNode(node)
    assert editor.set_threshold(0.5) == pytest.approx(volume)
    np.testing.assert_array_equal(mask(editor.nodes), corrected)
    scene.RemoveNode(editor.nodes.corrected)
    assert editor.restore_missing()
    assert not editor.restore_missing()
    (found,) = find_results(scene)
    scene.RemoveNode(found.corrected)
    assert ResultEditor(found).set_threshold(0.5) == pytest.approx(volume)  # as in a scene that was loaded without it


def test_a_deleted_click_list_is_a_removal_that_can_be_undone(scene, ct, editor):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    editor.add_click(ras_of(ct, IN_KNOWN), positive=False)
    both = mask(editor.nodes)
    scene.RemoveNode(editor.nodes.add_clicks)
    assert editor.sync_from_markups()
    assert [click.positive for click in editor.clicks] == [False]
    assert not mask(editor.nodes)[IN_TAIL]
    assert editor.undo()
    np.testing.assert_array_equal(mask(editor.nodes), both)
    assert editor.nodes.add_clicks.GetNumberOfControlPoints() == 1


@pytest.mark.parametrize("edited", ["probability", "corrected"])
@pytest.mark.parametrize("loads_anew", [False, True])
def test_a_field_edited_in_place_counts_everywhere_with_the_next_click(editor, nodes, ct, edited, loads_anew):
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)
    values = slicer.util.arrayFromVolume(getattr(nodes, edited))
    values[0, :3, :3] = 200  # far from what the click changed
    slicer.util.arrayFromVolumeModified(getattr(nodes, edited))
    editor = ResultEditor(nodes) if loads_anew else editor
    editor.add_click(ras_of(ct, IN_TAIL), positive=True)  # on the same box as the first
    whole = tuple(slice(0, n) for n in SIZE_KJI)
    found = read_field(nodes.corrected, nodes.volume).on(whole)
    nodes.scene.RemoveNode(nodes.corrected)
    assert editor.restore_missing()
    np.testing.assert_array_equal(found, read_field(nodes.corrected, nodes.volume).on(whole))
