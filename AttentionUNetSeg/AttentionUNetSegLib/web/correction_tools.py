"""What the mouse does in a slice: browse, add, remove (by clicks, lassos, boxes), paint, erase; and undoing it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import slicer
from trame_slicer.segmentation import (
    BrushDiameterMode,
    SegmentationEffectErase,
    SegmentationEffectNoTool,
    SegmentationEffectPaint,
)
from trame_slicer.views import SliceView

from ..contracts import DEFAULT_REACH_MM
from ..session import DoubtfulClick, ResultEditor
from .pane_protocol import REMOVE_CLICK
from .questions import Questions
from .readout import Readout
from .ruler import AREA, DISTANCE, Ruler
from .shape_drawing import CLICK, ShapeDrawing
from .workspace import LatestOnly, Workspace

BROWSE, ADD, REMOVE, PAINT, ERASE = "browse", "add", "remove", "paint", "erase"
_EFFECTS = {PAINT: SegmentationEffectPaint, ERASE: SegmentationEffectErase}
# A press and release further apart than this is a drag.
_CLICK_PIXELS = 4
_MEASURES = (DISTANCE, AREA)
_WAIT = "Wait for the segmentation to end, or cancel it, before you correct: its result takes the place of this one."


class CorrectionTools:
    """The tool in hand, and the history of corrections.

    State: `tool`, `shape` (what Add and Remove draw: see `drawing`), `reach_mm` (of a click), `box_mm` (a box's depth),
    `brush_mm` (diameter), `teach` (whether what is painted spreads as clicks do); `can_undo`, `can_redo`, `additions`,
    `removals` (numbers of clicks), `marks` (number of strokes, lassos and boxes that teach), `last_change` (a few
    words).

    Parameters
    ----------
    workspace : whose result is corrected.
    questions : asked before a click acts that a person may not have meant.
    on_change : called when the segment was changed by a tool.
    changing : makes a context that the segment is changed in.
    """

    def __init__(
        self,
        workspace: Workspace,
        questions: Questions,
        on_change: Callable[[], None],
        changing: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._workspace = workspace
        self._questions = questions
        self._on_change = on_change
        self._changing = changing
        self._in_hand = BROWSE
        self._pressed: tuple[SliceView, int, int] | None = None
        self._buttons: set[str] = set()
        self._readout = Readout(workspace)
        self._ruler = Ruler(workspace)
        self._drawing = ShapeDrawing()
        self._dragged: str | None = None
        self._destination = (0.0, 0.0, 0.0)
        self._move_click = LatestOnly(workspace, self._follow_click)
        workspace.server.state.update(
            {
                "tool": BROWSE,
                "shape": CLICK,
                "reach_mm": DEFAULT_REACH_MM,
                "box_mm": 20.0,
                "brush_mm": 10.0,
                "teach": False,
                "can_undo": False,
                "can_redo": False,
                "additions": 0,
                "removals": 0,
                "marks": 0,
                "last_change": "",
            }
        )
        controller, state = workspace.server.controller, workspace.server.state
        controller.add("undo")(self._undo)
        controller.add("redo")(self._redo)
        controller.add("remove_click")(self.remove_click)
        workspace.server.trigger("undo")(self._undo)
        workspace.server.trigger("redo")(self._redo)
        controller.add("clear_clicks")(self.remove_all_clicks)
        controller.add("clear_corrections")(self.remove_all_corrections)
        controller.add("reset_views")(lambda: workspace.views.reset())
        state.change("tool", "has_result", "run")(lambda **values: self._take_in_hand())
        state.change("brush_mm")(lambda **values: self._set_brush())
        state.change("teach", "has_result")(lambda **values: self._set_teaching())
        state.change("reach_mm")(LatestOnly(workspace, self._set_reach))

    def forget(self) -> None:
        """Put the tools away: there is no result any more."""
        self._workspace.show(tool=BROWSE)
        self._ruler.publish()
        self._show_history()

    def take_result(self) -> None:
        """Make the tools work on the workspace's new result."""
        workspace = self._workspace
        segment_editor = workspace.slicer_app.segmentation_editor
        segment_editor.set_active_segmentation(workspace.require_result().segmentation, workspace.volume)
        segment_editor.show_3d(True)
        self._set_reach()
        self._set_teaching()
        self._show_history()
        self._take_in_hand()
        if notice := workspace.require_editor().notice:
            workspace.notice("warning", notice)

    def on_pointer(self, view: SliceView, event: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
        """Follow the mouse in a slice view; return whether to keep the event from the view, and what lies there."""
        is_kept = False
        with self._workspace.reporting():
            is_kept = self._follow(view, event)
        if (event["type"] == "MouseMove" and not self._buttons) or event["type"] == "RightButtonPress":
            return is_kept, self._readout.at(view, event["ras"], event["mm_per_pixel"])
        return is_kept, None

    def _follow(self, view: SliceView, event: dict[str, Any]) -> bool:
        kind, tool = event["type"], self._in_hand
        if kind == REMOVE_CLICK:
            click = self._readout.click_at(view, event["ras"], event["mm_per_pixel"])
            if click is not None:
                self.remove_click(click)
            return True
        if kind.endswith("Press"):
            self._buttons.add(kind[: -len("Press")])
        elif kind.endswith("Release"):
            self._buttons.discard(kind[: -len("Release")])
        if kind == "LeftButtonPress":
            if tool != self._workspace.server.state.tool and self._workspace.server.state.run:
                self._workspace.notice("warning", _WAIT)
            self._pressed = (view, event["x"], event["y"])
            if tool in _MEASURES:
                self._ruler.begin(tool, view, event)
                return True
            if self._is_drawing(tool):
                self._drawing.begin(self._workspace.server.state.shape, view, event)
                return True
            if tool not in _EFFECTS:
                self._dragged = self._readout.click_at(view, event["ras"], event["mm_per_pixel"])
            return tool in (ADD, REMOVE) or self._dragged is not None
        if kind == "LeftButtonRelease":
            return self._release(view, event, tool)
        if kind == "MouseMove" and tool in _MEASURES and "LeftButton" in self._buttons:
            if self._pressed is not None and self._pressed[0] is view:
                self._ruler.follow(event)
            return True
        if kind == "MouseMove" and self._is_drawing(tool) and "LeftButton" in self._buttons:
            self._drawing.follow(view, event)
            return True
        if kind == "MouseMove" and self._dragged is not None:
            if self._pressed is not None and _distance(self._pressed, event) > _CLICK_PIXELS:
                self._pressed = None
            if self._pressed is None:
                self._destination = event["ras"]
                self._move_click()
            return True
        if kind == "MouseMove" and not self._buttons:
            # Only the brush and Shift (the other views follow) need to know where an idle mouse is.
            return tool not in _EFFECTS and not event.get("shiftKey")
        return kind == "MouseMove" and tool in (ADD, REMOVE) and "LeftButton" in self._buttons

    def _release(self, view: SliceView, event: dict[str, Any], tool: str) -> bool:
        pressed, self._pressed = self._pressed, None
        dragged, self._dragged = self._dragged, None
        is_click = pressed is not None and pressed[0] is view and _distance(pressed, event) <= _CLICK_PIXELS
        position = event["ras"]
        if event.get("is_cancelled"):  # a stroke is in the segment already, and a click where it was dragged to
            self._ruler.cancel()
            self._drawing.cancel()
            is_click, dragged = False, None
        if tool in _MEASURES:
            self._ruler.end()
            return True
        if self._is_drawing(tool):
            apply = self._drawing.finish(view, event, tool == ADD, float(self._workspace.server.state.box_mm))
            if apply is not None:
                self.change(apply)
            return True
        if tool in _EFFECTS:
            self._workspace.views.pass_on(view, event)  # in which the effect writes its stroke
            self.change(ResultEditor.absorb_strokes)
            return True
        elif is_click and (tool == BROWSE or dragged is not None):
            self._workspace.views.jump_to(position, but=view)
        elif is_click:
            self.change(lambda editor: editor.add_click(position, positive=tool == ADD, ask=True))
        elif dragged is not None:
            self.change(lambda editor: editor.move_click(dragged, position, ask=True))
        return tool in (ADD, REMOVE) or dragged is not None

    def _follow_click(self) -> None:
        """Move the click that is being dragged to where the mouse is by now."""
        if self._dragged is not None:
            dragged, destination = self._dragged, self._destination
            self.change(lambda editor: editor.move_click(dragged, destination))

    def remove_click(self, click: str) -> None:
        """Take one click back."""
        self.change(lambda editor: editor.remove_click(click))

    def remove_all_clicks(self) -> None:
        """Take all clicks back at once; strokes stay."""
        self.change(lambda editor: editor.remove_click(None))

    def remove_all_corrections(self) -> None:
        """Take clicks, strokes, lassos and boxes back at once; undo brings them again."""
        self.change(ResultEditor.clear)

    def _is_drawing(self, tool: str) -> bool:
        return tool in (ADD, REMOVE) and self._workspace.server.state.shape != CLICK

    def _undo(self) -> None:
        if self._workspace.editor is not None and self._workspace.editor.can_undo:
            self.change(ResultEditor.undo)

    def _redo(self) -> None:
        if self._workspace.editor is not None and self._workspace.editor.can_redo:
            self.change(ResultEditor.redo)

    def change(self, do: Callable[[ResultEditor], object]) -> None:
        """Correct the workspace's result and show what came of it; asks where a click may not have been meant."""
        editor = self._workspace.editor
        if editor is None:
            return
        if self._workspace.server.state.run:
            self._workspace.notice("warning", _WAIT)
            return
        with self._workspace.reporting():
            try:
                with self._changing():
                    do(editor)
            except DoubtfulClick as doubt:
                self._ask(doubt)
        for text in editor.warnings:
            self._workspace.notice("warning", text)
        self._workspace.show(unsaved=editor.is_corrected)
        self._show_history()
        self._on_change()

    def _ask(self, doubt: DoubtfulClick) -> None:
        self._questions.ask(
            "Did you mean this click?",
            doubt.message,
            "Let it act",
            lambda: self.change(lambda editor: editor.apply_anyway(doubt)),
            no="Leave it out",
        )

    def _show_history(self) -> None:
        editor = self._workspace.editor
        clicks = editor.clicks if editor else ()
        self._workspace.show(
            can_undo=bool(editor and editor.can_undo),
            can_redo=bool(editor and editor.can_redo),
            additions=sum(click.positive for click in clicks),
            removals=sum(not click.positive for click in clicks),
            marks=len(editor.marks) if editor else 0,
            last_change=editor.last_change.text if editor and editor.last_change else "",
        )

    # --- What is in hand ---

    def _take_in_hand(self) -> None:
        workspace = self._workspace
        tool = workspace.server.state.tool
        if tool not in _MEASURES and (workspace.editor is None or workspace.server.state.run):
            tool = BROWSE  # there is nothing to correct, or another result is about to come
        if tool != self._in_hand:
            workspace.views.let_go()  # what was begun with the other tool ends with that
        self._ruler.cancel()
        self._drawing.cancel()
        self._in_hand = tool
        interaction = workspace.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        mode = slicer.vtkMRMLInteractionNode
        interaction.SetCurrentInteractionMode(mode.AdjustWindowLevel if tool == BROWSE else mode.ViewTransform)
        workspace.slicer_app.segmentation_editor.set_active_effect_type(_EFFECTS.get(tool, SegmentationEffectNoTool))
        self._set_brush()

    def _set_brush(self) -> None:
        editor = self._workspace.slicer_app.segmentation_editor
        for effect in _EFFECTS.values():
            brush = editor.get_effect(effect)
            brush.set_use_sphere_brush(True)
            brush.set_brush_diameter(float(self._workspace.server.state.brush_mm), BrushDiameterMode.Absolute)

    def _set_teaching(self) -> None:
        editor, teach = self._workspace.editor, bool(self._workspace.server.state.teach)
        if editor is not None and editor.strokes_teach != teach:
            with self._workspace.reporting():
                editor.strokes_teach = teach

    def _set_reach(self) -> None:
        if self._workspace.editor is not None:
            self._workspace.editor.reach_mm = float(self._workspace.server.state.reach_mm)
            self._on_change()


def _distance(pressed: tuple[SliceView, int, int], event: dict[str, Any]) -> float:
    return max(abs(pressed[1] - event["x"]), abs(pressed[2] - event["y"]))
