"""The results in a scene: which nodes belong to one, how they are found, filed and deleted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

from . import provenance
from .provenance import PREFIX

INPUT_REFERENCE = f"{PREFIX}input"
PROBABILITY_REFERENCE = f"{PREFIX}probability"
SPREAD_REFERENCE = f"{PREFIX}spread"
ATTENTION_REFERENCE = f"{PREFIX}attention"
CORRECTED_REFERENCE = f"{PREFIX}corrected"
REFINED_REFERENCE = f"{PREFIX}refined"
STROKES_REFERENCE = f"{PREFIX}strokes"
ADD_CLICKS_REFERENCE = f"{PREFIX}clicks.add"
REMOVE_CLICKS_REFERENCE = f"{PREFIX}clicks.remove"
MEASUREMENTS_REFERENCE = f"{PREFIX}measurements"
CENTRE_LINE_REFERENCE = f"{PREFIX}centre_line"
SOURCE_REFERENCE = f"{PREFIX}source"


@dataclass(frozen=True)
class ResultNodes:
    """The nodes of one result in one scene.

    volume : the CT that was segmented.
    segmentation : holds the segment; its node references lead to all the others.
    probability : the network's uint8 field (0..255) on the CT's voxels, cropped; never changed.
    folder_item : subject-hierarchy item ID of the result's folder; valid in this scene only, never saved.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    probability: slicer.vtkMRMLScalarVolumeNode
    folder_item: int

    @property
    def scene(self) -> slicer.vtkMRMLScene:
        """The MRML scene that holds the nodes."""
        return self.segmentation.GetScene()

    @property
    def gates(self) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
        """The attention volumes that are in the scene now, by the number of their gate, finest (1) first.

        uint8, each on its gate's coarser grid. May be empty, and may have gaps where somebody deleted a volume: a gate
        keeps its number.
        """
        return volumes_by_gate(self.segmentation, ATTENTION_REFERENCE)

    @property
    def attention(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The volumes of `gates`, finest first. Their places in the list are no numbers of gates."""
        return list(self.gates.values())

    @property
    def spread(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The spread of the probability over the passes of test-time augmentation; None where there was one pass.

        uint8 on the grid of `probability`: 510 times the standard deviation, so that 255 is 0.5, the largest there is.
        """
        return self.segmentation.GetNodeReference(SPREAD_REFERENCE)

    @property
    def corrected(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The probability with clicks and strokes applied, like `probability`; None before the first correction."""
        return self.segmentation.GetNodeReference(CORRECTED_REFERENCE)

    @property
    def field(self) -> slicer.vtkMRMLScalarVolumeNode:
        """What the segment is computed from: the corrected probability where there is one, or the network's."""
        return self.corrected or self.probability

    @property
    def refined(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """What an earlier version's refinement found (see `session.earlier_refinement`); None where there was none."""
        return self.segmentation.GetNodeReference(REFINED_REFERENCE)

    @property
    def strokes(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """uint8, 1 where somebody erased and 2 where somebody painted; None where nobody did."""
        return self.segmentation.GetNodeReference(STROKES_REFERENCE)

    @property
    def source(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """What the result started from, a uint8 field on its own grid; None where that is the CT's (see `starting`)."""
        return self.segmentation.GetNodeReference(SOURCE_REFERENCE)

    @property
    def add_clicks(self) -> slicer.vtkMRMLMarkupsFiducialNode | None:
        """The clicks that add tissue; None before the first correction."""
        return self.segmentation.GetNodeReference(ADD_CLICKS_REFERENCE)

    @property
    def remove_clicks(self) -> slicer.vtkMRMLMarkupsFiducialNode | None:
        """The clicks that remove tissue; None before the first correction."""
        return self.segmentation.GetNodeReference(REMOVE_CLICKS_REFERENCE)

    @property
    def measurements(self) -> slicer.vtkMRMLTableNode | None:
        """The table of measurements as it was last written (see `measurement_table`); None where there is none."""
        return self.segmentation.GetNodeReference(MEASUREMENTS_REFERENCE)

    @property
    def centre_line(self) -> slicer.vtkMRMLMarkupsCurveNode | None:
        """The centre line of the measurements where it is drawn (see `show_centre_line`)."""
        return self.segmentation.GetNodeReference(CENTRE_LINE_REFERENCE)

    @property
    def result_id(self) -> str:
        """Identifies the result across saving, loading and merging of scenes."""
        return provenance.read(self.segmentation, "result") or ""


def find_results(scene: slicer.vtkMRMLScene) -> list[ResultNodes]:
    """Return every result in the scene, oldest first, as it was imported: threshold and attention work at once.

    A result whose CT or probability somebody deleted cannot be recomputed and is left out. Of two that share an
    identity, because one scene was loaded twice or a node was copied, the later gets an identity of its own.
    """
    results = []
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
        if provenance.read(segmentation, "role") != provenance.SEGMENTATION:
            continue
        volume = segmentation.GetNodeReference(INPUT_REFERENCE)
        probability = segmentation.GetNodeReference(PROBABILITY_REFERENCE)
        if volume is not None and probability is not None:
            results.append(ResultNodes(volume, segmentation, probability, _folder_of(segmentation)))
    _tell_apart(results)
    return sorted(results, key=lambda nodes: provenance.read(nodes.segmentation, "date") or "")


def link(nodes: ResultNodes, attention: list[slicer.vtkMRMLScalarVolumeNode]) -> None:
    """Write the node references that `find_results` follows; `attention` holds the gates' volumes, stamped."""
    nodes.segmentation.SetNodeReferenceID(INPUT_REFERENCE, nodes.volume.GetID())
    nodes.segmentation.SetNodeReferenceID(PROBABILITY_REFERENCE, nodes.probability.GetID())
    for node in attention:
        nodes.segmentation.AddNodeReferenceID(ATTENTION_REFERENCE, node.GetID())


def nodes_of_segmentation(segmentation: slicer.vtkMRMLSegmentationNode) -> list[slicer.vtkMRMLNode]:
    """Return the segmentation and what was made for it: fields, strokes, click lists; not the CT."""
    roles = [segmentation.GetNthNodeReferenceRole(n) for n in range(segmentation.GetNumberOfNodeReferenceRoles())]
    own = [role for role in roles if role and role.startswith(PREFIX) and role != INPUT_REFERENCE]
    linked = [
        segmentation.GetNthNodeReference(role, n)
        for role in own
        for n in range(segmentation.GetNumberOfNodeReferences(role))
    ]
    return [segmentation, *(node for node in linked if node is not None)]


def volumes_by_gate(
    segmentation: slicer.vtkMRMLSegmentationNode, reference: str
) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
    """Return the volumes of one kind of reference by the gate's number that each was stamped with, lowest first."""
    count = segmentation.GetNumberOfNodeReferences(reference)
    nodes = [segmentation.GetNthNodeReference(reference, n) for n in range(count)]
    found = {provenance.gate_of(node): node for node in nodes if node is not None}
    return {level: found[level] for level in sorted(found) if level}


def _tell_apart(results: list[ResultNodes]) -> None:
    """Give every result that repeats the identity of an earlier one in the scene a new one."""
    known: set[str] = set()
    taken: set[str] = set()
    for nodes in results:
        own = [node for node in nodes_of_segmentation(nodes.segmentation) if node.GetID() not in taken]
        if nodes.result_id in known:
            identity = uuid.uuid4().hex
            for node in own:
                provenance.write(node, "result", identity)
        known.add(nodes.result_id)
        taken.update(node.GetID() for node in own)


def _folder_of(segmentation: slicer.vtkMRMLSegmentationNode) -> int:
    """Return the item of the result's folder; the scene's own, or 0, where there is none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(segmentation.GetScene())
    item = hierarchy.GetItemByDataNode(segmentation) if hierarchy is not None else 0
    return hierarchy.GetItemParent(item) if item else 0


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
            scene.RemoveNode(node)
    is_folder = hierarchy is not None and _has_item(hierarchy, folder) and hierarchy.GetItemLevel(folder) == "Folder"
    if is_folder and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder, False, False)


def _has_item(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> bool:
    """Return whether there is such an item; asking for anything else of a missing one prints an error."""
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return items.IsId(item) >= 0
