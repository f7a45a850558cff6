"""The segments that corrections do not enter: a menu of those beside the result's own, and of other segmentations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..scene.segment import segment_id_of
from ..session import wall_from_segment

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel

_LONGEST = 30


class WallsMenu:
    """Fills the menu anew whenever it opens. What is chosen lies on the result, not in the panel."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._button = panel, panel.ui.wallsButton
        self._kept: list[Any] = []  # Python would delete the menus' actions
        self.menu = qt.QMenu(self._button)
        self.menu.aboutToShow.connect(self.fill)
        self._button.setMenu(self.menu)

    def update(self) -> None:
        """Show on the button what is closed now."""
        editor = self._panel.editor
        self._button.enabled = editor is not None
        names = [] if editor is None else [_name(editor, each) for each in editor.walls]
        text = ", ".join(names)
        if len(text) > _LONGEST:  # the panel would grow
            text = _("{count} segments").format(count=len(names))
        self._button.text = text or _("Nothing is closed")

    def fill(self) -> None:
        """List the segments of the result's node, which can be ticked, and those of others, which can be copied."""
        self.menu.clear()
        self._kept.clear()
        editor = self._panel.editor
        if editor is None:
            return
        own = segment_id_of(editor.nodes)
        beside = [each for each in _segments_of(editor.nodes.segmentation) if each != own]
        for segment_id in beside:
            action = self._add(self.menu, _name(editor, segment_id))
            action.checkable = True
            action.checked = segment_id in editor.walls
            action.connect("toggled(bool)", lambda checked, segment_id=segment_id: self._set(segment_id, checked))
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if node is not editor.nodes.segmentation and _segments_of(node):
                self._add_others(node)
        if not self._kept:
            self._add(self.menu, _("There is no other segment in the scene")).enabled = False

    # --- What the person does ---

    def _set(self, segment_id: str, is_closed: bool) -> None:
        editor = self._panel.editor
        walls = [each for each in editor.walls if each != segment_id]
        self._apply(lambda: setattr(editor, "walls", [*walls, segment_id] if is_closed else walls))

    def copy(self, node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> None:
        """Copy a segment of another segmentation beside the result's, closed."""
        self._apply(lambda: wall_from_segment(self._panel.editor, node, segment_id))

    # --- helpers ---

    def _apply(self, change: Any) -> None:
        with self._panel.errors():
            change()
        self._panel.correction.show_changed()

    def _add_others(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        menu = qt.QMenu(_("Copy from {name}").format(name=node.GetName()), self.menu)
        self._kept += [menu, self.menu.addMenu(menu)]
        for segment_id in _segments_of(node):
            action = self._add(menu, node.GetSegmentation().GetSegment(segment_id).GetName())
            action.connect("triggered(bool)", lambda _on, node=node, each=segment_id: self.copy(node, each))

    def _add(self, menu: Any, text: str) -> Any:
        action = qt.QAction(text, menu)
        menu.addAction(action)
        self._kept.append(action)
        return action


def _segments_of(node: slicer.vtkMRMLSegmentationNode) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def _name(editor: ResultEditor, segment_id: str) -> str:
    return editor.nodes.segmentation.GetSegmentation().GetSegment(segment_id).GetName()
