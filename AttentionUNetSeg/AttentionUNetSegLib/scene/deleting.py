"""Taking a result out of the scene, with everything that was made for it."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

from .results import ResultNodes, nodes_of_segmentation


def delete_result(nodes: ResultNodes) -> None:
    """Remove a result: segmentation, fields, strokes, click lists, and its folder where nothing else lies in it.

    The CT stays, and so does what another segmentation, such as a copy, refers to as well. Scenes drop what displays
    and stores a node with the node.
    """
    scene, folder = nodes.scene, nodes.folder_item
    others = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    shared = {
        node.GetID() for other in others if other is not nodes.segmentation for node in nodes_of_segmentation(other)
    }
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in nodes_of_segmentation(nodes.segmentation):
        if node.GetID() not in shared:
            item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
            scene.RemoveNode(node)
            if item and _has_item(hierarchy, item):  # desktop Slicer removes it by itself, slicer-core does not
                hierarchy.RemoveItem(item, False, False)
    is_folder = hierarchy is not None and _has_item(hierarchy, folder) and hierarchy.GetItemLevel(folder) == "Folder"
    if is_folder and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder, False, False)


def _has_item(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> bool:
    """Return whether there is such an item; asking for anything else of a missing one prints an error."""
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return items.IsId(item) >= 0
