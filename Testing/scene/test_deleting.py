"""What people delete in a scene: a gate's volume, a whole result, one of two loadings of a scene."""

from __future__ import annotations

import pytest
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.scene import (
    delete_result,
    find_results,
    import_result,
    nodes_of_segmentation,
    require_click_lists,
    save_scene,
    show_attention,
)
from vtkmodules.vtkCommonCore import vtkIdList


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
