"""The way from a result to Slicer's Segment Editor."""

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
