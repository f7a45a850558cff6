"""`ResultEditor`: threshold, clicks, strokes, undo and redo of one result, replayed from the network's own probability.

    editor = ResultEditor(result.nodes)
    click = editor.add_click((12.0, -40.5, 310.0), positive=True)
    editor.move_click(click, (14.0, -40.5, 310.0))
    editor.undo()

Everything it knows lies in the scene: an editor of a result found in a loaded scene goes on where the last one ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import BadInput
from .click import Click, Position
from .refined import fitting, with_refinement

# The rooms scene and correction cost two to three seconds outside Slicer: they are imported where they are used, as in
# `controller`.
if TYPE_CHECKING:
    from ..correction import InfluenceCache
    from ..scene import CroppedField, PlacedClick, ResultNodes, StoredRefinement

DEFAULT_REACH_MM = 15.0
SMALLEST_REACH_MM, LARGEST_REACH_MM = 1.0, 60.0
STEPS_KEPT = 200


@dataclass(frozen=True)
class _Step:
    """Everything that undo brings back. Fields are never changed in place."""

    clicks: tuple[PlacedClick, ...]
    strokes: CroppedField | None
    moved: int = 0  # order number of the click that this step moved, if that is all it did
    refinement: StoredRefinement | None = None  # counts as long as its clicks are there


class ResultEditor:
    """Corrects one result. The segment is always clean(corrected probability >= threshold).

    Parameters
    ----------
    result_nodes : of `scene.import_result` or `scene.find_results`.
    """

    def __init__(self, result_nodes: ResultNodes) -> None:
        from ..scene import read_clicks, read_refinement, read_strokes

        self.nodes = result_nodes
        self._cache: InfluenceCache = {}
        self._cached_for: object = None
        self._is_writing = False
        self._warnings: tuple[str, ...] = ()
        strokes, refinement = _kept(read_strokes(result_nodes)), read_refinement(result_nodes)
        self._steps = [_Step(read_clicks(result_nodes), strokes, refinement=refinement)]
        self._current = 0

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
        return set_threshold(self.nodes, threshold, keep_largest, smoothing_mm)

    @property
    def volume_ml(self) -> float:
        """The segment's volume in mL as it is now, parent transforms left out."""
        from ..scene import segment_volume_ml

        return segment_volume_ml(self.nodes)

    # --- Clicks ---

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks, in the order in which they were made."""
        from ..scene import world_position

        return tuple(
            Click(str(click.order), world_position(self.nodes, click), click.positive, click.order)
            for click in self._step.clicks
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about the present clicks: those that contradict each other."""
        return self._warnings

    @property
    def reach_mm(self) -> float:
        """How far a click acts in tissue like the clicked one, in mm. Setting it applies all clicks anew."""
        from ..scene.provenance import read

        return float(read(self.nodes.segmentation, "reach_mm") or DEFAULT_REACH_MM)

    @reach_mm.setter
    def reach_mm(self, value: float) -> None:
        from ..scene.provenance import write

        if not SMALLEST_REACH_MM <= value <= LARGEST_REACH_MM:
            raise BadInput(
                f"A click's reach of {value} mm is not between {SMALLEST_REACH_MM:g} and {LARGEST_REACH_MM:g} mm."
            )
        self._require_scene()
        if value == self.reach_mm:
            return
        self.absorb_strokes()
        write(self.nodes.segmentation, "reach_mm", repr(float(value)))
        if self._step.clicks:
            self._apply(self._step)

    def add_click(self, position_ras_world: Position, positive: bool) -> str:
        """Add tissue (`positive`) or remove it around a world RAS position in mm; return the click's id.

        Raises
        ------
        BadInput : the position lies outside the CT, or the result is no longer in the scene. Nothing has changed then.
        """
        from ..scene import PlacedClick, placed

        self._require_scene()
        order = 1 + max((click.order for step in self._steps for click in step.clicks), default=0)
        click = PlacedClick(order, placed(self.nodes, position_ras_world), positive)
        self._change_clicks((*self._step.clicks, click))
        return str(order)

    def move_click(self, id: str, position_ras_world: Position) -> None:
        """Move a click. Successive moves of one click are one step of `undo`.

        Raises
        ------
        BadInput : there is no such click, or as for `add_click`.
        """
        from ..scene import placed

        self._require_scene()
        moved = replace(self._click(id), ras=placed(self.nodes, position_ras_world))
        clicks = tuple(moved if click.order == moved.order else click for click in self._step.clicks)
        self._change_clicks(clicks, moved=moved.order)

    def remove_click(self, id: str) -> None:
        """Take one click back, whichever it is; raises BadInput where there is no such click."""
        self._require_scene()
        removed = self._click(id)
        self._change_clicks(tuple(click for click in self._step.clicks if click.order != removed.order))

    def remove_all_clicks(self) -> None:
        """Take all clicks back and keep the strokes. Can be undone."""
        self._require_scene()
        if self._step.clicks:
            self._change_clicks(())

    def clear(self) -> None:
        """Take all clicks and strokes back: the segment is the network's own again. Can be undone."""
        self._require_scene()
        self.absorb_strokes()
        if self._step.clicks or self._step.strokes:
            self._append(_Step((), None))

    def sync_from_markups(self) -> bool:
        """Take over what people did to the result's two point lists; return whether anything had changed.

        For front ends in which points are placed, dragged and deleted. Call it after any change of the lists; calls
        that the editor's own writing causes do nothing.

        Raises
        ------
        BadInput : a point lies outside the CT. The lists are as before then.
        """
        from ..scene import read_clicks, write_clicks

        if self._is_writing:
            return False
        self._require_scene()
        before, now = self._step.clicks, read_clicks(self.nodes)
        changed = [click for click in now if not any(click.is_same(other) for other in before)]
        if not changed and len(now) == len(before):
            return False
        orders = [click.order for click in before]
        is_move = len(changed) == 1 and orders == [click.order for click in now]
        try:
            self._change_clicks(now, moved=changed[0].order if is_move else 0)
        except BadInput:
            self._write(write_clicks, before)
            raise
        return True

    def require_click_lists(self) -> tuple[object, object]:
        """Return the two point lists, for adding and for removing, made if need be."""
        from ..scene import require_click_lists

        self._require_scene()
        self._write(require_click_lists)
        return self.nodes.add_clicks, self.nodes.remove_clicks

    # --- The network's own second thoughts ---

    @property
    def refinement(self) -> StoredRefinement | None:
        """What the network said after it was adapted to clicks, as far as that counts for the present ones."""
        return fitting(self._step.refinement, self._step.clicks, self.reach_mm)

    @property
    def refinement_is_due(self) -> bool:
        """Whether there are clicks that no refinement was made for yet."""
        found = self.refinement
        return bool(self._step.clicks) and not (found and found.is_for(self._step.clicks, self.reach_mm))

    def take_refinement(self, refinement: StoredRefinement) -> bool:
        """Make it a part of the present step; return False, and do nothing, where the clicks have changed since."""
        self._require_scene()
        self.absorb_strokes()
        if not refinement.is_for(self._step.clicks, self.reach_mm):
            return False
        step = replace(self._step, refinement=refinement)
        self._apply(step)
        self._steps[self._current] = step
        return True

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
        self._append(replace(self._step, strokes=strokes, moved=0))
        return True

    # --- Undo and redo ---

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would change anything."""
        return self._current > 0

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would change anything."""
        return self._current + 1 < len(self._steps)

    def undo(self) -> bool:
        """Take the last change of clicks or strokes back; return False where there is none."""
        self._require_scene()
        self.absorb_strokes()
        return self._go(self._current - 1)

    def redo(self) -> bool:
        """Do again what `undo` took back last; return False where there is nothing."""
        self._require_scene()
        self.absorb_strokes()
        return self._go(self._current + 1)

    # --- From the steps to the scene ---

    @property
    def _step(self) -> _Step:
        return self._steps[self._current]

    def _click(self, id: str) -> PlacedClick:
        for click in self._step.clicks:
            if str(click.order) == id:
                return click
        raise BadInput(f"There is no click {id} to change.", "It may have been deleted or undone.")

    def _require_scene(self) -> None:
        nodes = self.nodes
        if not all(node.GetScene() for node in (nodes.volume, nodes.segmentation, nodes.probability)):
            raise BadInput("The result is no longer in the scene, so it cannot be corrected.")

    def _change_clicks(self, clicks: tuple[PlacedClick, ...], moved: int = 0) -> None:
        from ..scene import voxel_of

        for click in clicks:
            voxel_of(self.nodes, click)  # refuses what lies outside, before anything is changed
        self.absorb_strokes()
        step = _Step(clicks, self._step.strokes, moved, self._step.refinement)
        if moved and self._step.moved == moved:
            self._steps[self._current :] = [step]
            self._apply(step)
        else:
            self._append(step)

    def _append(self, step: _Step) -> None:
        self._apply(step)
        self._steps[self._current + 1 :] = [step]
        del self._steps[:-STEPS_KEPT]
        self._current = len(self._steps) - 1

    def _go(self, index: int) -> bool:
        if not 0 <= index < len(self._steps):
            return False
        self._apply(self._steps[index])
        self._current = index
        return True

    def _apply(self, step: _Step) -> None:
        """Compute the corrected probability of a step and put it, its clicks and its strokes into the scene."""
        from ..scene import recompute_segment, write_clicks, write_corrected, write_refinement, write_strokes

        corrected = self._corrected(step)
        self._write(write_clicks, step.clicks)
        write_strokes(self.nodes, step.strokes)
        write_corrected(self.nodes, corrected)
        write_refinement(self.nodes, fitting(step.refinement, step.clicks, self.reach_mm))
        recompute_segment(self.nodes, *self.settings)

    def _write(self, write: object, *arguments: object) -> None:
        self._is_writing = True
        try:
            write(self.nodes, *arguments)
        finally:
            self._is_writing = False

    def _corrected(self, step: _Step) -> CroppedField:
        """Replay a step on the network's own probability."""
        import slicer

        from ..correction import Seed, correct_probability, settle, surroundings
        from ..scene import CroppedField, joined_box, read_field, tight_box, voxel_of

        network = read_field(self.nodes.probability, self.nodes.volume)
        ct = slicer.util.arrayFromVolume(self.nodes.volume)
        spacing = self.nodes.volume.GetSpacing()[::-1]
        seeds = [Seed(click.order, voxel_of(self.nodes, click), click.positive) for click in step.clicks]
        self._warnings = settle(seeds)[1]
        reach = self.reach_mm
        boxes = [network.box, *(surroundings(seed.voxel, ct.shape, spacing, reach) for seed in seeds)]
        if step.strokes is not None:
            boxes.append(step.strokes.box)
        refinement = fitting(step.refinement, step.clicks, reach)
        if refinement is not None:
            boxes.append(refinement.probability.box)
        box = joined_box(*boxes)
        origin = tuple(part.start for part in box)
        corrected = correct_probability(
            ct[box],
            network.on(box),
            seeds,
            reach,
            spacing,
            strokes=None if step.strokes is None else step.strokes.on(box),
            cache=self._cache_of_ct(),
            origin=origin,
        )
        if refinement is not None:
            corrected = with_refinement(corrected, network, refinement, box, seeds, step.strokes)
        tight = tight_box(corrected, origin)
        whole = CroppedField(origin, corrected)
        tight = network.box if tight is None else joined_box(network.box, tight)
        return CroppedField(tuple(part.start for part in tight), whole.on(tight))

    def _cache_of_ct(self) -> InfluenceCache:
        """Return the cache, emptied where the CT's voxels are no longer those that it was filled for."""
        image = self.nodes.volume.GetImageData()
        state = (image.GetAddressAsString(""), image.GetPointData().GetScalars().GetMTime())
        if state != self._cached_for:
            self._cache.clear()
            self._cached_for = state
        return self._cache


def _kept(strokes: CroppedField | None) -> CroppedField | None:
    """Return a copy: the node's own voxels change when strokes are written."""
    return None if strokes is None else replace(strokes, values=strokes.values.copy())
