"""The way from a result to Slicer's Segment Editor, and what that may not bring back."""

from __future__ import annotations

import slicer

from ..scene import ResultNodes
from ..scene.segment import segment_id_of


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
