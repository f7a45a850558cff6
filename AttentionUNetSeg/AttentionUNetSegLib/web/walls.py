"""Segments of the result's node that corrections do not enter: chosen, and brought in from files."""

from __future__ import annotations

from collections.abc import Callable

from ..imaging import StoredSegment
from ..scene.segment import segment_id_of
from ..session import ResultEditor, add_wall_to
from .workspace import Workspace

_COLOR = (0.62, 0.66, 1.0)


class Walls:
    """The segments beside the result's own.

    State: `walls`, a list of dicts (id, name, is_wall).

    Parameters
    ----------
    workspace : whose result has them.
    change : runs a change of the editor and shows what came of it.
    """

    def __init__(self, workspace: Workspace, change: Callable[[Callable[[ResultEditor], object]], None]) -> None:
        self._workspace = workspace
        self._change = change
        workspace.server.state.walls = []
        workspace.server.trigger("toggle_wall")(self.toggle)

    def add(self, stored: StoredSegment) -> None:
        """Bring a segment in and make it a wall; raises BadInput where it has nothing in common with the CT."""
        nodes = self._workspace.require_result()
        name = add_wall_to(self._workspace.require_editor(), stored)
        segment = nodes.segmentation.GetSegmentation().GetSegment(name)
        segment.SetColor(*(stored.color or _COLOR))
        display = nodes.segmentation.GetDisplayNode()
        display.SetSegmentVisibility3D(name, False)
        display.SetSegmentOpacity2DFill(name, 0.5)
        self.after_change()

    def toggle(self, segment_id: str) -> None:
        """Make a segment a wall, or none any more."""
        editor = self._workspace.editor
        if editor is None:
            return
        before = editor.walls
        after = tuple(each for each in before if each != segment_id) if segment_id in before else (*before, segment_id)
        self._change(lambda editor: setattr(editor, "walls", after))
        self.publish()

    def after_change(self) -> None:
        """Show what the segment has become."""
        self._change(lambda editor: None)
        self.publish()

    def publish(self) -> None:
        """Write the segments into the page's state, and show those that are walls in the slices."""
        nodes, editor = self._workspace.result, self._workspace.editor
        listed = []
        if nodes is not None and editor is not None:
            segmentation, display = nodes.segmentation.GetSegmentation(), nodes.segmentation.GetDisplayNode()
            chosen = editor.walls
            for n in range(segmentation.GetNumberOfSegments()):
                name = segmentation.GetNthSegmentID(n)
                if name != segment_id_of(nodes):
                    is_wall = name in chosen
                    display.SetSegmentVisibility(name, is_wall)
                    listed.append({"id": name, "name": segmentation.GetSegment(name).GetName(), "is_wall": is_wall})
        self._workspace.show(walls=listed)
