"""`ResultEditor`: threshold, clicks, strokes, undo and redo of one result, replayed from the network's own probability.

    editor = ResultEditor(result.nodes)
    click = editor.add_click((12.0, -40.5, 310.0), positive=True)
    editor.move_click(click, (14.0, -40.5, 310.0))
    editor.undo()

Everything it knows lies in the scene: an editor of a result found in a loaded scene goes on where the last one ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..contracts import DEFAULT_REACH_MM, Click, Position, check_reach
from ..errors import BadInput
from .change import Change
from .click_rules import DoubtfulClick, require_no_doubts
from .correction_replay import EARLIER_RULES, CorrectionReplay, acted_by_earlier_rules
from .ct_frame import CTFrame
from .earlier_refinement import NOTICE
from .history import Step, read_history
from .mark_editing import MarkEditing

# The scene package costs about two seconds outside Slicer: it is imported where it is used, as in `controller`.
if TYPE_CHECKING:
    from ..scene import Apart, ResultNodes


class ResultEditor(MarkEditing):
    """Corrects one result. The segment is always clean(corrected probability >= threshold).

    Parameters
    ----------
    result_nodes : of `scene.import_result` or `scene.find_results`.
    on_segment_written : called with them whenever the segment was computed anew.
    """

    def __init__(
        self, result_nodes: ResultNodes, on_segment_written: Callable[[ResultNodes], None] = lambda nodes: None
    ) -> None:
        self.nodes = result_nodes
        self._replay = CorrectionReplay(result_nodes)
        self._on_segment_written = on_segment_written
        self._is_restoring = False
        self._history = read_history(result_nodes)
        self._frame = CTFrame(result_nodes)

    # --- Threshold ---

    @property
    def settings(self) -> tuple[float, bool, float]:
        """Threshold, keep_largest and smoothing_mm that the segment is computed with."""
        from ..scene import settings_of

        return settings_of(self.nodes)

    def set_threshold(self, threshold: float, keep_largest: bool = False, smoothing_mm: float = 0.0) -> float:
        """Compute the segment anew and return its volume in mL. Strokes made meanwhile are kept. Not undone by `undo`.

        Raises
        ------
        BadInput : a setting is out of range, or the result is no longer in the scene.
        """
        from ..scene import set_threshold

        self._require_scene()
        self.absorb_strokes()
        volume = set_threshold(self.nodes, threshold, keep_largest, smoothing_mm)
        self._on_segment_written(self.nodes)
        return volume

    @property
    def volume_ml(self) -> float:
        """The segment's volume in mL as it is now, parent transforms left out."""
        from ..scene import segment_volume_ml

        return segment_volume_ml(self.nodes)

    # --- Place ---

    @property
    def apart(self) -> Apart | None:
        """What no longer lies on the CT, parent transforms included; None where everything does."""
        from ..scene import find_apart

        return find_apart(self.nodes)

    def move_along(self) -> None:
        """Put the whole result where its CT is now; raises BadInput where the CT was resampled or cropped."""
        from ..scene import move_along

        self._require_scene()
        self._replay.write(move_along)

    # --- Clicks ---

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks in world RAS, in the order in which they were made."""
        from ..scene import world_position

        return tuple(replace(click, ras=world_position(self.nodes, click)) for click in self._step.clicks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about the present clicks: those that contradict each other."""
        return self._replay.warnings

    @property
    def notice(self) -> str:
        """What a person should be told once, when the result is taken up; "" in most cases."""
        earlier = self._replay.earlier_refinement
        is_refined = earlier is not None and earlier.counts_for(self._step.clicks, self.reach_mm)
        acted_otherwise = bool(self._step.clicks) and acted_by_earlier_rules(self.nodes)
        told = ((NOTICE, is_refined), (EARLIER_RULES, acted_otherwise))
        return " ".join(sentence for sentence, applies in told if applies)

    @property
    def reach_mm(self) -> float:
        """How far a click acts in tissue like the clicked one, in mm. Setting it applies all clicks anew."""
        from ..scene.provenance import read

        return float(read(self.nodes.segmentation, "reach_mm") or DEFAULT_REACH_MM)

    @reach_mm.setter
    def reach_mm(self, value: float) -> None:
        from ..scene.provenance import write

        check_reach(value)
        self._require_scene()
        if value == self.reach_mm:
            return
        self.absorb_strokes()
        write(self.nodes.segmentation, "reach_mm", repr(float(value)))
        if self._step.clicks or self._step.marks:
            self._apply(self._step)

    @property
    def last_change(self) -> Change | None:
        """What the last correction, undo or redo changed in the segment; None before any."""
        return self._replay.last_change

    def add_click(self, position_ras_world: Position, positive: bool, ask: bool = False) -> str:
        """Add tissue (`positive`) or remove it around a world RAS position in mm; return the click's id.

        Raises
        ------
        DoubtfulClick : with `ask`, where a person may not have meant it (`click_rules`). Nothing has changed then.
        BadInput : the position lies outside the CT, CT and result lie apart, or the result is no longer in the scene.
            Nothing has changed then.
        """
        from ..scene import placed

        self._require_scene()
        self._require_place()
        click = Click(0, placed(self.nodes, position_ras_world), positive)
        if ask:
            require_no_doubts(self.nodes, click, None)
        self._change_clicks((*self._step.clicks, click), about=click)
        return str(self._step.clicks[-1].order)

    def move_click(self, id: str, position_ras_world: Position, ask: bool = False) -> None:
        """Move a click. Successive moves of one click are one step of `undo`.

        Raises
        ------
        BadInput : there is no such click, or as for `add_click`.
        """
        from ..scene import placed

        self._require_scene()
        self._require_place()
        moved = replace(self._click(id), ras=placed(self.nodes, position_ras_world))
        if ask:
            require_no_doubts(self.nodes, moved, id)
        clicks = tuple(moved if click.order == moved.order else click for click in self._step.clicks)
        self._change_clicks(clicks, moved=moved.order, about=moved)

    def apply_anyway(self, doubt: DoubtfulClick) -> None:
        """Let a click act that a person was asked about and meant; raises BadInput as `add_click`."""
        if doubt.id is None:
            self.add_click(doubt.position_ras_world, doubt.positive)
        else:
            self.move_click(doubt.id, doubt.position_ras_world)

    def remove_click(self, id: str | None) -> None:
        """Take one click back, whichever it is, or all with None; raises BadInput where there is no such click."""
        self._require_scene()
        removed = None if id is None else self._click(id).order
        self._change_clicks(tuple(click for click in self._step.clicks if id is not None and click.order != removed))

    def clear(self) -> None:
        """Take all clicks, marks and strokes back: the segment is the network's own again. Can be undone."""
        self._require_scene()
        self.absorb_strokes()
        if self._step.clicks or self._step.marks or self._step.strokes:
            self._append(Step((), None, walls=self._step.walls))

    def sync_from_markups(self, ask: bool = False) -> bool:
        """Take over what people did to the result's two point lists; return whether anything had changed.

        For front ends in which points are placed, dragged and deleted. Call it after any change of the lists; calls
        that the editor's own writing causes do nothing.

        Raises
        ------
        DoubtfulClick : with `ask`, as `add_click`. The lists are as before then.
        BadInput : a point lies outside the CT, or CT and result lie apart. Likewise.
        """
        from ..scene import read_clicks, write_clicks

        if self._replay.is_writing:
            return False
        if self._require_scene():
            return True
        before, now = self._step.clicks, read_clicks(self.nodes)
        changed = [click for click in now if not any(click.is_same(other) for other in before)]
        if not changed and len(now) == len(before):
            return False
        orders = [click.order for click in before]
        is_move = len(changed) == 1 and orders == [click.order for click in now]
        try:
            self._require_place()
            for click in changed if ask else ():
                is_old = any(click.order == other.order and click.positive == other.positive for other in before)
                require_no_doubts(self.nodes, click, str(click.order) if is_old else None)
            about = changed[0] if len(changed) == 1 else None
            self._change_clicks(now, moved=changed[0].order if is_move else 0, about=about)
        except BadInput:
            self._replay.write(write_clicks, before)
            raise
        return True

    def prepare_clicks(self) -> Iterator[None]:
        """Compute ahead, in parts, what `sync_from_markups` will need; yield after each part. Changes nothing.

        For an event loop that shall go on meanwhile. Whatever is wrong with a point is left to `sync_from_markups`.
        """
        from ..scene import read_clicks

        with suppress(BadInput):
            clicks = self._numbered(read_clicks(self.nodes))
            yield from self._replay.prepare(replace(self._step, clicks=clicks), self.reach_mm)

    def require_click_lists(self) -> tuple[object, object]:
        """Return the two point lists, for adding and for removing, made if need be."""
        from ..scene import require_click_lists

        self._require_scene()
        self._replay.write(require_click_lists)
        return self.nodes.add_clicks, self.nodes.remove_clicks

    # --- Strokes ---

    def absorb_strokes(self) -> bool:
        """Keep what was painted and erased in the segment since it was last computed; return whether there was any.

        Painted voxels become certain foreground, erased ones certain background, whatever threshold and clicks say
        later. Undo takes them back.
        """
        from ..scene import new_strokes

        self._require_scene()
        strokes = new_strokes(self.nodes)
        if strokes is None:
            return False
        marks = (*self._step.marks, *self._taught_by(strokes))
        self._append(replace(self._step, strokes=strokes, marks=marks, moved=0))
        return True

    def restore_missing(self) -> bool:
        """Bring back what somebody deleted of the corrections' volumes; return whether anything had gone.

        A deleted volume that follows from clicks and strokes is computed anew: deleting it takes no correction back. A
        deleted click list does, and can be undone. Everything else here calls it first; front ends call it when a node
        has left the scene, so that what they show is right at once.
        """
        if self._is_restoring:
            return False
        self._is_restoring = True
        try:
            is_restored = self._replay.restore_volumes(self._step, self.reach_mm)
            return self._take_over_deleted_lists() or is_restored
        finally:
            self._is_restoring = False

    def _take_over_deleted_lists(self) -> bool:
        lists = {True: self.nodes.add_clicks, False: self.nodes.remove_clicks}
        left = tuple(click for click in self._step.clicks if lists[click.positive] is not None)
        if len(left) == len(self._step.clicks):
            return False
        self.absorb_strokes()
        self._append(replace(self._step, clicks=left, moved=0))
        return True

    # --- Undo and redo ---

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would change anything."""
        return self._history.at(-1) is not None

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would change anything."""
        return self._history.at(1) is not None

    def undo(self) -> bool:
        """Take the last change of clicks or strokes back; return False where there is none."""
        self._require_scene()
        self.absorb_strokes()
        return self._go(-1)

    def redo(self) -> bool:
        """Do again what `undo` took back last; return False where there is nothing."""
        self._require_scene()
        self.absorb_strokes()
        return self._go(1)

    # --- From the steps to the scene ---

    @property
    def _step(self) -> Step:
        return self._history.step

    def _click(self, id: str) -> Click:
        for click in self._step.clicks:
            if str(click.order) == id:
                return click
        raise BadInput(f"There is no click {id} to change.", "It may have been deleted or undone.")

    def _require_scene(self) -> bool:
        """Raise BadInput where the result has gone; return whether something deleted had to be brought back."""
        nodes = self.nodes
        if not all(node.GetScene() for node in (nodes.volume, nodes.segmentation, nodes.probability)):
            raise BadInput("The result is no longer in the scene, so it cannot be corrected.")
        if nodes.volume.GetImageData() is None:
            raise BadInput(f"The volume {nodes.volume.GetName()} holds no voxels.", "Load the CT again.")
        movement = self._frame.movement()
        if movement is not None:  # every click stays on its voxel
            self._history = self._history.moved_by(movement)
            self._history.write(nodes)
            self._replay.move(movement)
        return self.restore_missing()

    def _require_place(self) -> None:
        from ..scene import require_together

        require_together(self.nodes)

    def _change_clicks(self, clicks: tuple[Click, ...], moved: int = 0, about: Click | None = None) -> None:
        from ..scene import voxel_of

        for click in clicks:
            voxel_of(self.nodes, click)  # refuses what lies outside, before anything is changed
        self.absorb_strokes()
        step = replace(self._step, clicks=self._numbered(clicks), moved=moved)
        if moved and self._step.moved == moved:
            self._apply(step, about)
            self._history.replace(step, drop_undone=True)
            self._history.write(self.nodes)
        else:
            self._append(step, about)

    def _numbered(self, clicks: tuple[Click, ...]) -> tuple[Click, ...]:
        """Return clicks, of which the new ones are numbered as later than every click and mark of any step."""
        known = {click.order for click in self._step.clicks}
        following = itertools.count(self._history.last_order + 1)
        return tuple(click if click.order in known else replace(click, order=next(following)) for click in clicks)

    def _append(self, step: Step, about: Click | None = None) -> None:
        self._apply(step, about)
        self._history.append(step)
        self._history.write(self.nodes)

    def _go(self, distance: int) -> bool:
        step = self._history.at(distance)
        if step is None:
            return False
        self._apply(step)
        self._history.go(distance)
        self._history.write(self.nodes)
        return True

    def _apply(self, step: Step, click: Click | None = None) -> None:
        """Put a step into the scene; `click` is the one that it is about."""
        self._replay.apply(step, self.reach_mm, self.settings, click)
        self._on_segment_written(self.nodes)
