"""Where nodes appear in the subject hierarchy: one folder per result, beside its CT."""

from __future__ import annotations

import slicer


def file_in_folder(
    scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode, nodes: list[slicer.vtkMRMLNode]
) -> int:
    """Put the nodes into a new folder beside the CT, named after the first of them; return its item ID."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = hierarchy.GetItemParent(_item_of(hierarchy, volume_node))
    folder = hierarchy.CreateFolderItem(parent, nodes[0].GetName())
    for node in nodes:
        hierarchy.SetItemParent(_item_of(hierarchy, node), folder)
    return folder


def file_in_folder_of(filed: slicer.vtkMRMLNode, node: slicer.vtkMRMLNode) -> None:
    """Put a node into the subject-hierarchy folder of another one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(filed.GetScene())
    hierarchy.SetItemParent(_item_of(hierarchy, node), hierarchy.GetItemParent(_item_of(hierarchy, filed)))


def _item_of(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, node: slicer.vtkMRMLNode) -> int:
    """Return the node's item; desktop Slicer makes one for every node by itself, slicer-core does not."""
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    return item
