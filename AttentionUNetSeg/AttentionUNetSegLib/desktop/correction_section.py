"""Correcting the selected result: clicks and drawings in the views, what they may not enter, undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..contracts import FURTHEST
from ..scene import read_clicks
from ..scene.segment import segment_id_of
from ..session import DoubtfulClick, wall_from_segment
from .delayed_call import DelayedCall
from .drawing import CLICK, TOOLS, Drawing, PlaceMode, hint, tool_name
from .messages import Messages
from .parameters import Selection
from .results import open_in_segment_editor

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .views import SurfaceAtRest

_LONGEST = 30


class CorrectionSection(VTKObservationMixin):
    """Add and Remove with the chosen tool.

    A click puts a point into one of the result's two lists; whatever happens to the lists applies at once. Strokes,
    lassos and boxes are drawn with markups of their own and taken over when they are ended.

    Parameters
    ----------
    on_changed : called when the selected result was corrected.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        selection: Selection,
        messages: Messages,
        surface: SurfaceAtRest,
        on_changed: Callable[[], None],
    ) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._surface, self._on_changed = surface, on_changed
        self._is_showing = False
        self._synced_clicks: list[Any] = []
        self._told: set[str] = set()  # results whose notice was shown
        # Not from within the markups' own event: the displayable managers are in the middle of handling the click.
        self._sync = DelayedCall(0, self._prepare_clicks)
        self._preparing: Iterator[None] = iter(())
        self._next_part = DelayedCall(0, self._take_clicks)
        self._drawn = DelayedCall(0, self._take_ended_drawing)
        self._place_mode = PlaceMode(self._on_place_mode)
        self._drawing = Drawing(self._place_mode)
        self.walls = WallsMenu(ui, selection, self._change)
        for tool in TOOLS:
            ui.toolComboBox.addItem(tool_name(tool))
        ui.toolComboBox.connect("currentIndexChanged(int)", self._on_other_tool)
        ui.strokesTeachCheckBox.toggled.connect(self._on_strokes_teach)
        ui.addClickButton.toggled.connect(lambda checked: self._on_tool(True, checked))
        ui.removeClickButton.toggled.connect(lambda checked: self._on_tool(False, checked))
        ui.undoButton.clicked.connect(self._on_undo)
        ui.redoButton.clicked.connect(self._on_redo)
        ui.clearClicksButton.clicked.connect(self._on_clear)
        ui.reachSlider.valueChanged.connect(self._on_reach)
        ui.segmentEditorButton.clicked.connect(self._on_segment_editor)

    def show(self, editor: ResultEditor | None) -> None:
        """Turn to another result, or none."""
        self.leave()
        self._sync.drop()
        self._next_part.drop()
        self.removeObservers()
        for widget in (
            self._ui.toolComboBox, self._ui.addClickButton, self._ui.removeClickButton, self._ui.reachSlider,
            self._ui.strokesTeachCheckBox, self._ui.segmentEditorButton,
        ):  # fmt: skip
            widget.enabled = editor is not None
        if editor is not None:
            self._observe(editor)
            self._synced_clicks = [*read_clicks(editor.nodes)]
        self._ui.changeLabel.text = ""
        if editor is not None and editor.notice and editor.nodes.result_id not in self._told:
            self._told.add(editor.nodes.result_id)
            self._messages.show(editor.notice, subject=editor.nodes.result_id, node=editor.nodes.segmentation)
        if editor is not None and (editor.clicks or editor.marks):
            self._ui.correctionCollapsibleButton.collapsed = False
        self.update()

    def update(self) -> None:
        """Show what can be undone and redone, and the reach, as they are now."""
        editor = self._selection.editor
        self._ui.undoButton.enabled = editor is not None and editor.can_undo
        self._ui.redoButton.enabled = editor is not None and editor.can_redo
        self._ui.clearClicksButton.enabled = editor is not None
        if editor is not None:
            self._is_showing = True
            self._ui.reachSlider.value = editor.reach_mm
            meaning = _("Up to {near:.0f} mm in tissue alike, fading out; nothing changes beyond {far:.0f} mm.")
            self._ui.reachMeaningLabel.text = meaning.format(near=editor.reach_mm, far=FURTHEST * editor.reach_mm)
            self._ui.strokesTeachCheckBox.checked = editor.strokes_teach
            self._is_showing = False
        self.walls.update()

    def leave(self) -> None:
        """End placing points: the person goes elsewhere."""
        was_placing = self.is_placing
        self._drawn.drop()
        self._drawing.drop()
        if was_placing:
            self._place_mode.stop()
        self._show_place_mode()

    @property
    def is_placing(self) -> bool:
        """Whether the person is placing points of this panel's result now."""
        return bool(self._ui.addClickButton.checked or self._ui.removeClickButton.checked)

    def close(self) -> None:
        """Observe nothing any more."""
        self.leave()
        self.removeObservers()
        self._place_mode.close()

    # --- What the person does ---

    def _on_tool(self, positive: bool, checked: bool) -> None:
        if self._is_showing or self._selection.editor is None:
            return
        if not checked:
            self._take_drawing()
            self._place_mode.stop()
            return
        tool = TOOLS[self._ui.toolComboBox.currentIndex]
        with self._messages.errors():
            editor = self._selection.editor
            self._take_drawing()
            if tool == CLICK:
                add, remove = editor.require_click_lists()
                self._observe(editor)
                self._place_mode.start(add if positive else remove)
            else:
                self._drawing.start(tool, positive, editor.nodes)
                self._ui.changeLabel.text = hint(tool)
        self._show_place_mode()

    def _on_other_tool(self, _index: int) -> None:
        self.leave()

    def _on_place_mode(self) -> None:
        if self._drawing.is_ended:
            self._drawn.request()  # not from within the view's own event
        self._show_place_mode()

    def _take_ended_drawing(self) -> None:
        if self._drawing.is_ended:
            self._take_drawing()

    def _take_drawing(self) -> None:
        editor = self._selection.editor
        if editor is not None and self._drawing.is_on:
            self._ui.changeLabel.text = ""
            self._change(lambda: self._drawing.finish(editor))
            self._show_place_mode()

    def _on_strokes_teach(self, checked: bool) -> None:
        if not self._is_showing and self._selection.editor is not None:
            with self._messages.errors():
                self._selection.editor.strokes_teach = checked
            self.update()

    def _on_undo(self) -> None:
        self._change(lambda: self._logic.undo(self._selection.result))

    def _on_redo(self) -> None:
        self._change(lambda: self._logic.redo(self._selection.result))

    def _on_clear(self) -> None:
        self._change(lambda: self._logic.clearCorrections(self._selection.result))

    def _on_reach(self, value: float) -> None:
        if not self._is_showing:
            self._change(lambda: self._logic.setClickReach(self._selection.result, value))

    def _on_segment_editor(self) -> None:
        if self._selection.editor is not None:
            self.leave()
            with self._messages.errors():
                open_in_segment_editor(self._selection.editor.nodes)

    def _prepare_clicks(self) -> None:
        editor = self._selection.editor
        if editor is None or [*read_clicks(editor.nodes)] == self._synced_clicks:
            return  # what the editor itself has written, or a point under the mouse
        self._preparing = editor.prepare_clicks()
        self._next_part.request()

    def _take_clicks(self) -> None:
        """Do the next part of what the clicks need, then let them act."""
        editor = self._selection.editor
        if editor is None:
            return
        for _part in self._preparing:
            self._next_part.request()
            return
        try:
            self._change(lambda: editor.sync_from_markups(ask=True))
        except DoubtfulClick as doubt:
            self._ask(editor, doubt)

    def _ask(self, editor: ResultEditor, doubt: DoubtfulClick) -> None:
        """Let the person say whether a click was meant; the view stays free meanwhile."""

        def apply() -> None:
            if editor is self._selection.editor:
                self._change(lambda: editor.apply_anyway(doubt))

        label = _("Add it anyway") if doubt.positive else _("Remove there anyway")
        self._messages.show(doubt.message, is_error=True, action=(label, apply))
        self.update()

    # --- helpers ---

    def _change(self, change: Callable[[], object]) -> None:
        """Correct the selected result and show what came of it; the surface follows at rest."""
        if self._selection.editor is None:
            return
        self._surface.leave_out()
        with self._messages.errors(is_action=False, but=DoubtfulClick):
            # A refused click is taken out of its list, which comes back here as a change that is none: only a change
            # may speak, or the question about the click would go as soon as it was asked.
            if change() is not False:
                self._messages.drop_errors()
                for warning in self._selection.editor.warnings:
                    self._messages.show(warning)
                # Undo may have made the lists anew.
                self._observe(self._selection.editor)
                self._show_change()
        if self._selection.editor is not None:
            self._synced_clicks = [*read_clicks(self._selection.editor.nodes)]
        self._on_changed()
        self.update()

    def _show_change(self) -> None:
        change = self._selection.require_editor().last_change
        self._ui.changeLabel.text = "" if change is None else _("Last correction: {what}").format(what=change.text)

    def _observe(self, editor: ResultEditor) -> None:
        events = (
            slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent,
            slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent,
            slicer.vtkMRMLMarkupsNode.PointPositionUndefinedEvent,
            slicer.vtkMRMLMarkupsNode.PointRemovedEvent,
        )
        for node in (editor.nodes.add_clicks, editor.nodes.remove_clicks):
            for event in events if node is not None else ():
                if not self.hasObserver(node, event, self._on_points):
                    self.addObserver(node, event, self._on_points)

    def _on_points(self, _node: object, _event: object) -> None:
        self._sync.request()

    def _show_place_mode(self) -> None:
        """Press the button of the list that clicks go into now, and no other."""
        editor = self._selection.editor
        lists = (editor.nodes.add_clicks, editor.nodes.remove_clicks) if editor is not None else (None, None)
        is_drawing = self._drawing.is_on and not self._drawing.is_ended
        self._is_showing = True
        self._ui.addClickButton.checked = self._place_mode.is_on(lists[0]) or (is_drawing and self._drawing.positive)
        self._ui.removeClickButton.checked = self._place_mode.is_on(lists[1]) or (
            is_drawing and not self._drawing.positive
        )
        self._is_showing = False


class WallsMenu:
    """The segments that corrections do not enter: those beside the result's own, and copies of others.

    The menu is filled anew whenever it opens. What is chosen lies on the result, not in the panel, and is undone like
    any other correction.

    Parameters
    ----------
    change : calls what it is given to correct the selected result, and shows what came of it.
    """

    def __init__(self, ui: Any, selection: Selection, change: Callable[[Callable[[], object]], None]) -> None:
        self._selection, self._change, self._button = selection, change, ui.wallsButton
        self._kept: list[Any] = []  # Python would delete the menus' actions
        self.menu = qt.QMenu(self._button)
        self.menu.aboutToShow.connect(self.fill)
        self._button.setMenu(self.menu)

    def update(self) -> None:
        """Show on the button what is closed now."""
        editor = self._selection.editor
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
        editor = self._selection.editor
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
        editor = self._selection.require_editor()
        walls = [each for each in editor.walls if each != segment_id]
        self._change(lambda: setattr(editor, "walls", [*walls, segment_id] if is_closed else walls))

    def copy(self, node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> None:
        """Copy a segment of another segmentation beside the result's, closed."""
        self._change(lambda: wall_from_segment(self._selection.require_editor(), node, segment_id))

    # --- helpers ---

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
