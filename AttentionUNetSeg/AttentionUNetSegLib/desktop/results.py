"""The results in a scene and the editor of each: found again in any scene, also in one that was just loaded."""

from __future__ import annotations

import slicer

from ..errors import BadInput
from ..scene import ResultNodes, find_results
from ..session.editing import ResultEditor
from .segment_editor import drop_undo_states


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
        if nodes is None:
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
