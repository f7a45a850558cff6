"""A result that an earlier version refined with the network stays what it was, also when it is corrected further."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.scene import find_results, load_scene, read_field, save_scene
from AttentionUNetSegLib.scene.strokes import segment_on_ct
from AttentionUNetSegLib.session import ResultEditor
from AttentionUNetSegLib.session.correction_replay import EARLIER_RULES
from AttentionUNetSegLib.session.earlier_refinement import ADAPTED_TO, NOTICE
from refined_scene import SIZE_KJI, hash_of, refined_scene
from vtkmodules.vtkCommonMath import vtkMatrix4x4

BOX = tuple(slice(0, n) for n in SIZE_KJI)


@pytest.fixture
def saved(tmp_path):
    return refined_scene(tmp_path / "earlier.mrb")


@pytest.fixture
def editor(scene, saved) -> ResultEditor:
    load_scene(scene, saved.path)
    return ResultEditor(find_results(scene)[0])


def mask(editor) -> np.ndarray:
    return segment_on_ct(editor.nodes).on(BOX) != 0


def shown(editor) -> np.ndarray:
    return read_field(editor.nodes.field, editor.nodes.volume).on(BOX)


def size(editor) -> int:
    return int(np.count_nonzero(mask(editor)))


def test_nothing_changes_until_somebody_changes_it_and_one_notice_tells(scene, editor, saved):
    assert editor.notice == f"{NOTICE} {EARLIER_RULES}"
    assert hash_of(mask(editor)) == saved.loaded["segment"]
    assert hash_of(shown(editor)) == saved.loaded["probability"]
    (attention,) = editor.nodes.attention
    assert hash_of(slicer.util.arrayFromVolume(attention)) == saved.loaded["attention"]
    assert slicer.util.getNode("*not refined*"), "the network's own attention is still there"
    # The threshold is no correction: it goes on with the field that is shown.
    editor.set_threshold(0.5)
    assert hash_of(mask(editor)) == saved.loaded["segment"]
    assert hash_of(slicer.util.arrayFromVolume(attention)) == saved.loaded["attention"]


# Voxels of what that version showed against what its clicks do by today's rules; what the refinement does is a third.
ALIKE = 0.05


def test_undo_redo_and_further_clicks_do_what_they_did_in_that_version(editor, saved):
    assert editor.undo()
    assert size(editor) == pytest.approx(saved.voxels["undone"], rel=ALIKE)
    assert editor.notice == NOTICE, "now the clicks act by today's rules"
    assert editor.redo()
    today, field = mask(editor), shown(editor)
    assert editor.undo() and editor.undo()
    without = size(editor)
    assert without == pytest.approx(saved.voxels["undone twice"], rel=ALIKE), "the refinement goes with its click"
    assert without < (1 - 2 * ALIKE) * saved.voxels["undone"]
    assert editor.notice == ""
    assert editor.redo() and editor.redo()
    np.testing.assert_array_equal(mask(editor), today)
    np.testing.assert_array_equal(shown(editor), field)
    editor.add_click(saved.ras_of(8, 11, 15), positive=True)
    assert size(editor) == pytest.approx(saved.voxels["third"], rel=ALIKE)
    editor.set_threshold(0.3)
    assert size(editor) == pytest.approx(saved.voxels["threshold"], rel=ALIKE)


def test_what_is_saved_now_opens_the_same(scene, editor, saved, tmp_path):
    assert editor.undo() and editor.redo()
    today = hash_of(mask(editor))
    editor.add_click(saved.ras_of(8, 11, 15), positive=True)
    corrected = size(editor)
    save_scene(scene, tmp_path / "now.mrb")
    scene.Clear(False)
    load_scene(scene, tmp_path / "now.mrb")
    again = ResultEditor(find_results(scene)[0])
    assert again.notice == NOTICE and size(again) == corrected
    assert again.undo()
    assert hash_of(mask(again)) == today


def test_the_refinement_follows_a_result_that_is_moved(scene, editor):
    assert editor.undo() and editor.redo(), "from here on by today's rules"
    before = mask(editor)
    matrix = vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    for node in slicer.util.getNodesByClass("vtkMRMLTransformableNode", scene):
        node.ApplyTransformMatrix(matrix)
    editor.reach_mm = 20.0
    assert not np.array_equal(mask(editor), before), "at another reach the refinement is left out"
    editor.reach_mm = 15.0
    np.testing.assert_array_equal(mask(editor), before)
    assert ResultEditor(editor.nodes).notice == NOTICE, "the clicks that the scene tells of have moved too"


def test_a_field_that_was_deleted_or_is_damaged_is_no_refinement(scene, editor):
    loaded = mask(editor)
    editor.nodes.refined.SetAttribute(f"AttentionUNetSeg.{ADAPTED_TO}", "{}")
    assert ResultEditor(editor.nodes).notice == EARLIER_RULES
    scene.RemoveNode(editor.nodes.refined)
    other = ResultEditor(editor.nodes)
    assert other.notice == EARLIER_RULES
    np.testing.assert_array_equal(mask(other), loaded)
