"""Strokes that teach, lassos, boxes and walls in real MRML scenes: undone, saved, moved, and read from older scenes."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.scene import find_results, load_scene, measurement_table, open_standalone_scene, save_scene
from AttentionUNetSegLib.session import ResultEditor
from organ_scene import IN_KNOWN, IN_TAIL, ORGAN, SIZE_KJI, mask, paint, ras_of
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import reference
from vtkmodules.vtkCommonMath import vtkMatrix4x4


def line(ct, first, last, count=8):
    return [ras_of(ct, point) for point in np.linspace(first, last, count)]


def hand(nodes) -> str:
    kind = reference("")
    segment = nodes.segmentation.GetSegmentation().GetNthSegment(0)
    segment.GetTag("DICOM.SegmentAlgorithmType", kind)
    return str(kind)


def organ() -> np.ndarray:
    inside = np.zeros(SIZE_KJI, bool)
    inside[ORGAN] = True
    return inside


def test_a_click_and_a_move_of_the_result_do_not_stumble_over_its_table_of_measurements(editor, nodes, ct):
    measurement_table(nodes)
    assert editor.apart is None
    editor.add_click(ras_of(ct, IN_TAIL), True)
    editor.move_along()
    assert mask(nodes)[IN_TAIL]


def test_a_stroke_along_the_missed_tail_is_undone_redone_and_taken_back(editor, nodes, ct):
    before = mask(nodes)
    stroke = editor.add_stroke(line(ct, (16, 32, 34), (16, 32, 58)), True)
    after = mask(nodes)
    gained = after & organ() & ~before
    assert gained.sum() > 0.4 * (organ() & ~before).sum()
    assert (after & ~organ()).sum() < 0.02 * after.sum()
    click = editor.add_click(ras_of(ct, IN_KNOWN), False)
    assert int(click) == int(stroke) + 1
    assert [mark.kind for mark in editor.marks] == ["stroke"]
    editor.remove_mark(stroke)
    assert editor.marks == () and len(editor.clicks) == 1
    for expected in (1, 1, 0):
        editor.undo()
        assert len(editor.marks) == expected
    np.testing.assert_array_equal(mask(nodes), before)
    editor.redo()
    np.testing.assert_array_equal(mask(nodes), after)
    editor.clear()
    np.testing.assert_array_equal(mask(nodes), before)


def test_a_lasso_removes_what_it_encloses_and_a_box_adds_what_is_in_it(editor, nodes, ct):
    corners = [(16, 22, 12), (16, 40, 12), (16, 40, 24), (16, 22, 24)]
    assert not editor.is_corrected
    lasso = editor.add_lasso([ras_of(ct, corner) for corner in corners], False)
    assert editor.is_corrected and hand(nodes) == "SEMIAUTOMATIC"
    assert not mask(nodes)[16, 24:39, 14:23].any()
    editor.remove_mark(lasso)
    editor.add_box(ras_of(ct, (6, 16, 28)), ras_of(ct, (26, 48, 62)), True)
    gained = mask(nodes)
    assert (gained & organ()).sum() > 0.9 * organ().sum()
    assert (gained & ~organ()).sum() < 0.05 * gained.sum()


def test_marks_outlive_saving_loading_and_moving(editor, nodes, ct, tmp_path, scene):
    editor.add_stroke(line(ct, (16, 32, 34), (16, 32, 58)), True, radius_mm=2.0)
    editor.add_click(ras_of(ct, IN_KNOWN), False)
    expected = mask(nodes)
    matrix = np.eye(4)
    matrix[:3, 3] = (30.0, -20.0, 12.0)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    lists = (nodes.add_clicks, nodes.remove_clicks)
    for node in (nodes.volume, nodes.segmentation, nodes.probability, nodes.corrected, *lists):
        node.SetAndObserveTransformNodeID(transform.GetID())
    save_scene(scene, tmp_path / "scene.mrb")
    app, other = open_standalone_scene()
    load_scene(other, tmp_path / "scene.mrb")
    (found,) = find_results(other)
    again = ResultEditor(found)
    assert again.marks == editor.marks and again.can_undo
    again.add_click(tuple(np.add(ras_of(ct, IN_TAIL), (30.0, -20.0, 12.0))), True)
    again.undo()
    np.testing.assert_array_equal(mask(found), expected)
    again.undo()
    again.undo()
    assert again.marks == ()
    other.Clear(True)
    del app


def test_what_is_painted_teaches_only_when_asked_and_the_paint_stays_either_way(editor, nodes):
    dab = (slice(14, 19), slice(30, 35), slice(40, 46))
    paint(nodes, dab, 1)
    editor.absorb_strokes()
    by_hand = mask(nodes)
    assert editor.marks == ()
    editor.undo()
    editor.strokes_teach = True
    paint(nodes, dab, 1)
    editor.absorb_strokes()
    taught = mask(nodes)
    assert [mark.kind for mark in editor.marks] == ["painted"]
    assert taught[dab].all()
    assert taught.sum() > by_hand.sum() + 2000
    assert (taught & ~organ()).sum() < 0.02 * taught.sum()
    paint(nodes, (slice(10, 13), slice(24, 30), slice(12, 20)), 0)
    editor.absorb_strokes()
    assert [mark.positive for mark in editor.marks] == [True, False]
    editor.undo()
    np.testing.assert_array_equal(mask(nodes), taught)


def add_segment(nodes, box) -> str:
    """A segment of somebody else in the result's own node."""
    voxels = np.zeros(SIZE_KJI, np.uint8)
    voxels[box] = 1
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*[bound for n in SIZE_KJI[::-1] for bound in (0, n - 1)])
    to_ras = vtkMatrix4x4()
    nodes.volume.GetIJKToRASMatrix(to_ras)
    labelmap.SetImageToWorldMatrix(to_ras)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    name = nodes.segmentation.GetSegmentation().AddEmptySegment("vein", "vein")
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap, nodes.segmentation, name, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
    )
    return name


def test_walls_hold_against_clicks_and_strokes_made_before_and_after(editor, nodes, ct):
    vein = add_segment(nodes, (slice(0, 30), slice(0, 60), slice(50, 53)))
    editor.add_click(ras_of(ct, IN_TAIL), True)
    free = mask(nodes)
    assert free[16, 32, 50:58].all()
    editor.walls = [vein]
    held = mask(nodes)
    assert not held[:, :, 50:].any()
    assert held[16, 32, 30:48].all()
    editor.add_stroke(line(ct, (16, 32, 40), (16, 32, 49)), True)
    assert not mask(nodes)[:, :, 50:].any()
    assert editor.warnings == ()
    editor.add_click(ras_of(ct, (16, 32, 51)), True)
    assert "not to be entered" in editor.warnings[0]
    again = ResultEditor(find_results(nodes.scene)[0])
    assert again.walls == (vein,)
    again.undo()
    again.undo()
    again.walls = []
    np.testing.assert_array_equal(mask(nodes), free)
    for ids, sentence in ((["none"], "no segment"), ([nodes.segmentation.GetSegmentation().GetNthSegmentID(0)], "own")):
        with pytest.raises(BadInput, match=sentence):
            editor.walls = ids
    assert again.walls == ()
    again.undo()
    assert again.walls == (vein,)
    np.testing.assert_array_equal(mask(nodes), held)
    again.clear()
    assert again.walls == (vein,) and not again.is_corrected


def test_what_cannot_be_drawn_changes_nothing(editor, nodes, ct):
    before, far = mask(nodes), (9999.0, 0.0, 0.0)
    for draw, sentence in (
        (lambda: editor.add_stroke([far, far], True), "outside"),
        (lambda: editor.add_stroke([], True), "no points"),
        (lambda: editor.add_stroke(line(ct, IN_KNOWN, IN_TAIL), True, radius_mm=-1.0), "radius"),
        (lambda: editor.add_lasso(line(ct, IN_KNOWN, IN_TAIL), True), "encloses nothing"),
        (lambda: editor.add_box(far, far, False), "outside"),
        (lambda: editor.remove_mark("7"), "no stroke 7"),
    ):
        with pytest.raises(BadInput, match=sentence):
            draw()
    np.testing.assert_array_equal(mask(nodes), before)
    assert not editor.can_undo
