"""The results in a scene and the editor of each, found again in any scene; the way to Slicer's Segment Editor."""

from __future__ import annotations

import slicer

from ..errors import BadInput
from ..scene import ResultNodes, find_results
from ..scene.segment import segment_id_of
from ..session.editing import ResultEditor


class Results:
    """Gives the editor of a result's segmentation node; the same one as long as the node is in its scene."""

    def __init__(self) -> None:
        self._editors: dict[str, ResultEditor] = {}

    def nodes(self, segmentation_node: slicer.vtkMRMLSegmentationNode | None) -> ResultNodes | None:
        """Return the nodes of the result, or None where the node is no result, or one that lost its volumes."""
        if segmentation_node is None or segmentation_node.GetScene() is None:
            return None
        found = find_results(segmentation_node.GetScene())
        return next((nodes for nodes in found if nodes.segmentation is segmentation_node), None)

    def editor(self, segmentation_node: slicer.vtkMRMLSegmentationNode | None) -> ResultEditor:
        """Return the editor of the result.

        Raises
        ------
        BadInput : the node is no result of AttentionUNetSeg, or its CT or probability was deleted.
        """
        nodes = self.nodes(segmentation_node)
        if segmentation_node is None or nodes is None:
            name = segmentation_node.GetName() if segmentation_node is not None else "None"
            raise BadInput(
                f"{name} is no result of AttentionUNetSeg that can still be changed.",
                "Its CT and its probability volume must be in the scene; segment the CT again.",
            )
        # By the node: its result's identity is that of another node where a scene was loaded twice.
        key = segmentation_node.GetID()
        editor = self._editors.get(key)
        if editor is None or editor.nodes.segmentation is not segmentation_node:
            editor = self._editors[key] = ResultEditor(nodes, on_segment_written=drop_undo_states)
        return editor

    def forget(self) -> None:
        """Drop all editors: the scene was closed."""
        self._editors.clear()


def open_in_segment_editor(nodes: ResultNodes) -> None:
    """Switch to Segment Editor with the result's segment selected and its CT as the source volume.

    Strokes made there are taken over by the result's editor when anything is changed afterwards.
    """
    widget = slicer.util.getModuleWidget("SegmentEditor")
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule("SegmentEditor")
    else:
        widget.selectParameterNode()  # what entering the module does; without it the editor takes no segmentation
    editor = widget.editor
    # In this order: choosing another segmentation drops the source volume.
    editor.setSegmentationNode(nodes.segmentation)
    editor.setSourceVolumeNode(nodes.volume)
    editor.setCurrentSegmentID(segment_id_of(nodes))


def drop_undo_states(nodes: ResultNodes) -> None:
    """Let Segment Editor forget earlier masks of a segmentation that was computed anew.

    Its undo would bring one back, and the difference would be taken for what the person erased and painted.
    """
    # Not getModuleWidget, which makes the whole module where nobody has opened it yet.
    widget = getattr(slicer.modules, "SegmentEditorWidget", None)
    editor = getattr(widget, "editor", None)
    if editor is None or editor.segmentationNode() is not nodes.segmentation:
        return
    kept = editor.maximumNumberOfUndoStates
    editor.setMaximumNumberOfUndoStates(0)
    editor.setMaximumNumberOfUndoStates(kept)
