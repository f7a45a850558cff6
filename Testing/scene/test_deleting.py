"""What people delete in a scene: a gate's volume, a whole result, one of two loadings of a scene."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.scene import (
    CroppedField,
    PlacedClick,
    StoredRefinement,
    delete_result,
    export_for_refinement,
    find_results,
    import_refinement,
    import_result,
    nodes_of_segmentation,
    read_field,
    require_click_lists,
    save_scene,
    show_attention,
    write_refinement,
)
from vtkmodules.vtkCommonCore import vtkIdList

CLICK = PlacedClick(1, (0.0, 0.0, 0.0), True)


def voxels(node) -> np.ndarray:
    return slicer.util.arrayFromVolume(node).copy()


def test_a_gate_keeps_its_number_when_another_is_deleted(scene, nodes):
    scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    finest, coarser = nodes.attention
    scene.RemoveNode(finest)
    for seen in (nodes, *find_results(scene)):
        assert seen.gates == {2: coarser}
    with pytest.raises(BadInput, match="no attention volume of gate 1 .there are: 2."):
        show_attention(nodes, 1)
    show_attention(nodes, 2)
    (composite,) = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)
    assert composite.GetForegroundVolumeID() == coarser.GetID()


def test_a_refinement_changes_the_gate_it_is_of_where_another_was_deleted(scene, nodes, tmp_path):
    finest, coarser = nodes.attention
    own = voxels(coarser)
    scene.RemoveNode(finest)
    box = tuple(slice(0, 4) for _ in range(3))
    names = export_for_refinement(nodes, box, tmp_path)
    assert names == ["attention_1.nrrd", "attention_2.nrrd"]  # the worker knows a gate by its place
    found = import_refinement(nodes, tmp_path, "probability.nrrd", names, (CLICK,), 12.0)
    assert list(found.attention) == [2]
    np.testing.assert_array_equal(found.attention[2], own)
    field = read_field(nodes.probability, nodes.volume)
    refined = StoredRefinement(CroppedField(field.start, field.values), {1: own, 2: 255 - own}, (CLICK,), 12.0)
    write_refinement(nodes, refined)
    np.testing.assert_array_equal(voxels(coarser), 255 - own)
    scene.RemoveNode(nodes.refined)  # by a person; what comes back must not keep the refined map as the network's
    write_refinement(nodes, refined)
    write_refinement(nodes, None)
    np.testing.assert_array_equal(voxels(coarser), own)
    assert nodes.gates == {2: coarser}


def test_a_deleted_result_leaves_the_ct_and_other_results_alone(scene, ct_node, measured_job):
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode", scene)}
    first = import_result(scene, ct_node, measured_job.result, measured_job.folder)
    require_click_lists(first)
    second = import_result(scene, ct_node, measured_job.result, measured_job.folder)
    kept = {node.GetID() for node in nodes_of_segmentation(second.segmentation)}
    delete_result(first)
    assert [found.result_id for found in find_results(scene)] == [second.result_id]
    assert ct_node.GetScene() is scene
    others = second.segmentation, *nodes_of_segmentation(second.segmentation)
    kept |= {node.GetNthDisplayNodeID(0) for node in others if node.GetNumberOfDisplayNodes()}
    left = [node for node in slicer.util.getNodesByClass("vtkMRMLNode", scene) if node.GetID() not in before | kept]
    assert [node.GetName() for node in left if not node.GetSingletonTag()] == []
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    assert items.IsId(first.folder_item) < 0 <= items.IsId(second.folder_item)


def test_two_loadings_of_a_scene_are_two_results(scene, nodes, tmp_path):
    identity = nodes.result_id
    save_scene(scene, tmp_path / "ct_scene.mrb")
    assert scene.ReadFromMRB(str(tmp_path / "ct_scene.mrb"), False)
    found = find_results(scene)
    assert [each.segmentation is nodes.segmentation for each in found] == [True, False]
    first, second = found
    assert first.result_id == identity
    assert second.result_id != identity
    stamps = {node.GetAttribute("AttentionUNetSeg.result") for node in nodes_of_segmentation(second.segmentation)}
    assert stamps == {second.result_id}
    assert [each.result_id for each in find_results(scene)] == [identity, second.result_id]
