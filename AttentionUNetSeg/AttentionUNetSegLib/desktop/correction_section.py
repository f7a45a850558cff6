"""Correcting the selected result: clicks in the views, undo and redo, and the way to Segment Editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..contracts import FURTHEST
from ..session import DoubtfulClick
from .delayed_call import DelayedCall
from .drawing import CLICK, TOOLS, Drawing, hint, tool_name
from .place_mode import PlaceMode
from .segment_editor import open_in_segment_editor
from .walls_menu import WallsMenu

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel


class CorrectionSection(VTKObservationMixin):
    """Add and Remove with the chosen tool.

    A click puts a point into one of the result's two lists; whatever happens to the lists applies at once. Strokes,
    lassos and boxes are drawn with markups of their own and taken over when they are ended.
    """

    def __init__(self, panel: Panel) -> None:
        VTKObservationMixin.__init__(self)
        self._panel, self._ui = panel, panel.ui
        self._is_showing = False
        self._told: set[str] = set()  # results whose notice was shown
        # Not from within the markups' own event: the displayable managers are in the middle of handling the click.
        self._sync = DelayedCall(0, self._take_clicks)
        self._drawn = DelayedCall(0, self._take_ended_drawing)
        self._place_mode = PlaceMode(self._on_place_mode)
        self._drawing = Drawing(self._place_mode)
        self.walls = WallsMenu(panel)
        ui = self._ui
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
        self.removeObservers()
        for widget in (
            self._ui.toolComboBox, self._ui.addClickButton, self._ui.removeClickButton, self._ui.reachSlider,
            self._ui.strokesTeachCheckBox, self._ui.segmentEditorButton,
        ):  # fmt: skip
            widget.enabled = editor is not None
        if editor is not None:
            self._observe(editor)
        self._ui.changeLabel.text = ""
        if editor is not None and editor.notice and editor.nodes.result_id not in self._told:
            self._told.add(editor.nodes.result_id)
            self._panel.message.show(editor.notice, subject=editor.nodes.result_id, node=editor.nodes.segmentation)
        if editor is not None and (editor.clicks or editor.marks):
            self._ui.correctionCollapsibleButton.collapsed = False
        self.update()

    def update(self) -> None:
        """Show what can be undone and redone, and the reach, as they are now."""
        editor = self._panel.editor
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
        if self._is_showing or self._panel.editor is None:
            return
        if not checked:
            self._take_drawing()
            self._place_mode.stop()
            return
        tool = TOOLS[self._ui.toolComboBox.currentIndex]
        with self._panel.errors():
            editor = self._panel.editor
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
        editor = self._panel.editor
        if editor is not None and self._drawing.is_on:
            self._ui.changeLabel.text = ""
            self._change(lambda: self._drawing.finish(editor))
            self._show_place_mode()

    def _on_strokes_teach(self, checked: bool) -> None:
        if not self._is_showing and self._panel.editor is not None:
            with self._panel.errors():
                self._panel.editor.strokes_teach = checked
            self.update()

    def _on_undo(self) -> None:
        self._change(lambda: self._panel.logic.undo(self._panel.result))

    def _on_redo(self) -> None:
        self._change(lambda: self._panel.logic.redo(self._panel.result))

    def _on_clear(self) -> None:
        self._change(lambda: self._panel.logic.clearCorrections(self._panel.result))

    def _on_reach(self, value: float) -> None:
        if not self._is_showing:
            self._change(lambda: self._panel.logic.setClickReach(self._panel.result, value))

    def _on_segment_editor(self) -> None:
        if self._panel.editor is not None:
            self.leave()
            with self._panel.errors():
                open_in_segment_editor(self._panel.editor.nodes)

    def _take_clicks(self) -> None:
        editor = self._panel.editor
        if editor is None:
            return
        try:
            self._change(lambda: editor.sync_from_markups(ask=True))
        except DoubtfulClick as doubt:
            self._ask(editor, doubt)

    def _ask(self, editor: ResultEditor, doubt: DoubtfulClick) -> None:
        """Let the person say whether a click was meant; the view stays free meanwhile."""

        def apply() -> None:
            if editor is self._panel.editor:
                self._change(lambda: editor.apply_anyway(doubt))

        label = _("Add it anyway") if doubt.positive else _("Remove there anyway")
        self._panel.message.show(doubt.message, is_error=True, action=(label, apply))
        self.update()

    def show_changed(self) -> None:
        """Show a result whose corrections act otherwise now: the walls are others."""
        self._panel.result_section.update()
        self._panel.attention.follow_field()
        self.update()

    # --- helpers ---

    def _change(self, change: object) -> None:
        if self._panel.editor is None:
            return
        with self._panel.errors(is_action=False, but=DoubtfulClick):
            # A refused click is taken out of its list, which comes back here as a change that is none: only a change
            # may speak, or the question about the click would go as soon as it was asked.
            if change() is not False:
                self._panel.message.drop_errors()
                for warning in self._panel.editor.warnings:
                    self._panel.message.show(warning)
                # Undo may have made the lists anew.
                self._observe(self._panel.editor)
                self._show_change()
        self.show_changed()

    def _show_change(self) -> None:
        change = self._panel.editor.last_change
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
        editor = self._panel.editor
        lists = (editor.nodes.add_clicks, editor.nodes.remove_clicks) if editor is not None else (None, None)
        is_drawing = self._drawing.is_on and not self._drawing.is_ended
        self._is_showing = True
        self._ui.addClickButton.checked = self._place_mode.is_on(lists[0]) or (is_drawing and self._drawing.positive)
        self._ui.removeClickButton.checked = self._place_mode.is_on(lists[1]) or (
            is_drawing and not self._drawing.positive
        )
        self._is_showing = False
