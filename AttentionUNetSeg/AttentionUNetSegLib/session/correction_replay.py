"""A step of a result's corrections, replayed on the network's own probability and put into the scene."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..contracts import Click
from ..errors import BadInput
from ..in_parts import done_at_once
from .change import Change, change_between
from .earlier_refinement import Box, EarlierRefinement, note_movement, read_earlier_refinement

if TYPE_CHECKING:
    import numpy as np

    from ..correction import InfluenceCache, Seed
    from ..scene import CroppedField, ResultNodes
    from .history import Step

# Undo and redo of the last steps compute nothing; what one changed takes some MB.
FIELDS_KEPT = 4


CLICK_RULES_KEY = "click_rules"
EARLIER_RULES = (
    "This result was corrected with an earlier version, whose clicks acted further. It stays as it is until the next "
    "click, stroke or undo: then all its clicks act as they do today."
)


class CorrectionReplay:
    """Computes the corrected probability of one result and puts it into the scene.

    What clicks reach is kept as long as the CT's voxels are. `earlier_refinement` is what the scene held when this was
    made; its volume may be deleted since. `warnings` is what a person should know about the clicks that were applied
    last: those that contradict each other.
    """

    def __init__(self, nodes: ResultNodes) -> None:
        self._nodes = nodes
        self._cache: InfluenceCache = {}
        self._cached_for: object = None
        # What the last steps changed, with their strokes; the latest used comes last.
        self._corrected: dict[tuple[object, ...], tuple[CroppedField | None, CroppedField | None]] = {}
        self.earlier_refinement: EarlierRefinement | None = read_earlier_refinement(nodes)
        self._ready: tuple[object, Any] | None = None  # a copy of the network's field, for the first correction
        self._written: object = None  # network and stored field as the last write left them
        self.is_writing = False
        self.warnings: tuple[str, ...] = ()
        self.last_change: Change | None = None

    def apply(
        self, step: Step, reach_mm: float, settings: tuple[float, bool, float], click: Click | None = None
    ) -> None:
        """Put a step's clicks, strokes and corrected probability into the scene, and the segment that follows.

        `settings` are threshold, keep_largest and smoothing_mm; `last_change` tells what that changed, and how far from
        `click`, if the step is about one. Raises BadInput as `corrected`.
        """
        from ..scene import (
            read_walls,
            recompute_segment,
            voxel_of,
            write_clicks,
            write_marks,
            write_strokes,
            write_walls,
        )
        from ..scene.strokes import segment_on_ct

        before = segment_on_ct(self._nodes)
        segments = self._nodes.segmentation.GetSegmentation()
        walls = tuple(name for name in step.walls if segments.GetSegment(name) is not None)
        walls_before = read_walls(self._nodes)
        if walls != walls_before:
            write_walls(self._nodes, walls)
        try:
            corrected = self.corrected(step, reach_mm)
        except BaseException:
            if walls != walls_before:
                write_walls(self._nodes, walls_before)
            raise
        self.write(write_clicks, step.clicks)
        write_marks(self._nodes, step.marks)
        write_strokes(self._nodes, step.strokes)
        self._write_corrected(corrected)
        _note_click_rules(self._nodes)
        recompute_segment(self._nodes, *settings)
        voxel = None if click is None else voxel_of(self._nodes, click)
        self.last_change = change_between(self._nodes, before, segment_on_ct(self._nodes), voxel)

    def restore_volumes(self, step: Step, reach_mm: float) -> bool:
        """Bring back what somebody deleted of a step's volumes; return whether anything had gone."""
        from ..scene import write_strokes

        nodes = self._nodes
        has_no_field = bool(step.clicks or step.marks or step.strokes is not None) and nodes.corrected is None
        has_no_strokes = step.strokes is not None and nodes.strokes is None
        if has_no_field:
            self._write_corrected(self.corrected(step, reach_mm))
        if has_no_strokes:
            write_strokes(nodes, step.strokes)
        return has_no_field or has_no_strokes

    def _write_corrected(self, changed: CroppedField | None) -> None:
        from ..scene import write_corrected

        prepared, self._ready = self._ready, None
        ready = prepared[1] if prepared is not None and prepared[0] == self._state() else None
        write_corrected(self._nodes, changed, ready, self._is_as_written())
        self._written = self._state_of_fields()

    def _is_as_written(self) -> bool:
        """Whether nobody edited network or stored field since this wrote the latter; of a loaded scene nobody knows."""
        return self._written is not None and self._written == self._state_of_fields()

    def _state_of_fields(self) -> object:
        from ..scene.volumes import state_of_voxels

        corrected = self._nodes.corrected
        return corrected and (state_of_voxels(self._nodes.probability), state_of_voxels(corrected))

    def move(self, matrix: np.ndarray) -> None:
        """Follow the result's frame, which has moved by a 4x4 matrix."""
        if self.earlier_refinement is not None:
            self.earlier_refinement = self.earlier_refinement.moved_by(matrix)
            note_movement(self._nodes, self.earlier_refinement)

    def write(self, write: Callable[..., None], *arguments: object) -> None:
        """Call `write(nodes, *arguments)`; `is_writing` meanwhile, so that listeners know who changes the markups."""
        self.is_writing = True
        try:
            write(self._nodes, *arguments)
        finally:
            self.is_writing = False

    def prepare(self, step: Step, reach_mm: float) -> Iterator[None]:
        """Compute ahead what `apply` of this step takes long for, and yield after each part. The scene stays as it is.

        Where somebody changes the result meanwhile, `apply` computes what is missing. Raises BadInput as `corrected`.
        """
        from ..scene import copy_in_parts, joined_box

        given = self._given(step, reach_mm)
        changed = yield from self._corrected_in_parts(step, given)
        if not self._is_as_written():  # a copy of the network's, as large as that may be
            box = given.network.box if changed is None else joined_box(given.network.box, changed.box)
            self._ready = None
            copy = yield from copy_in_parts(given.network, box)
            self._ready = (given.state, (box, copy))

    def corrected(self, step: Step, reach_mm: float) -> CroppedField | None:
        """Return a step's corrected probability, uint8, on a box of the CT: all that is not the network's, or None.

        `reach_mm` says how far a click acts in tissue like the clicked one.

        Raises
        ------
        BadInput : a click lies outside the CT, or the probability no longer lies on the CT's voxels.
        """
        from ..correction import latest_per_place

        given = self._given(step, reach_mm)
        self.warnings = (*latest_per_place(given.seeds)[1], *_in_walls(step.clicks, given.seeds, given.walls))
        return done_at_once(self._corrected_in_parts(step, given))

    def _corrected_in_parts(self, step: Step, given: _Given) -> Generator[None, None, CroppedField | None]:
        from ..correction.field import correct_in_parts
        from ..scene import CroppedField, tight_box

        known = self._corrected.pop(given.key, None)
        if known is not None and known[0] is step.strokes:
            self._corrected[given.key] = known
            return known[1]
        if given.box is None:
            return None
        ct, network, barred = given.ct[given.box], given.network.on(given.box), given.barred()
        painted = None if step.strokes is None else step.strokes.on(given.box)
        corrected = yield from correct_in_parts(
            ct,
            network,
            given.seeds,
            given.reach_mm,
            given.spacing,
            painted,
            self._cache_for(given),
            given.origin,
            barred,
        )
        yield
        if given.refinement is not None:
            corrected = given.refinement.added_to(corrected, network, given.box, given.seeds, painted, barred)
        tight = tight_box(corrected != network, given.origin)
        found = None if tight is None else CroppedField(given.origin, corrected).cut(tight)
        if given.state == self._state():  # nobody edited the CT between two parts
            self._corrected[given.key] = (step.strokes, found)
        while len(self._corrected) > FIELDS_KEPT:
            del self._corrected[next(iter(self._corrected))]
        return found

    def _given(self, step: Step, reach_mm: float) -> _Given:
        import slicer

        from ..correction import Seed, latest_per_place, surroundings
        from ..scene import joined_box, read_field, voxel_of, walls_on_ct

        clicks, strokes = step.clicks, step.strokes
        refinement = self.earlier_refinement
        if refinement is not None and not refinement.counts_for(clicks, reach_mm):
            refinement = None
        volume = self._nodes.volume
        if volume.GetImageData() is None:
            raise BadInput(f"The volume {volume.GetName()} holds no voxels.", "Load the CT again.")
        network = read_field(self._nodes.probability, volume)
        ct = slicer.util.arrayFromVolume(volume)
        spacing = volume.GetSpacing()[::-1]
        seeds = [Seed(click.order, voxel_of(self._nodes, click), click.positive) for click in clicks]
        seeds += [mark.seed(ct, spacing) for mark in step.marks]
        walls = walls_on_ct(self._nodes)
        boxes = [*(surroundings(seed.voxels, ct.shape, spacing, reach_mm) for seed in seeds)]
        if strokes is not None:
            boxes.append(strokes.box)
        if refinement is not None:
            boxes.append(refinement.probability.box)
        box = joined_box(*boxes) if boxes else None
        state = self._state(walls)
        # Where two seeds mean one voxel the later counts; otherwise their numbers change nothing.
        placed = tuple((seed.place, seed.positive) for seed in latest_per_place(seeds)[0])
        return _Given(
            ct=ct,
            network=network,
            seeds=seeds,
            reach_mm=reach_mm,
            spacing=spacing,
            box=box,
            walls=walls,
            refinement=refinement,
            state=state,
            key=(placed, reach_mm, spacing, network.start, state, id(strokes), refinement is None),
        )

    def _state(self, walls: list[CroppedField] | None = None) -> tuple[object, ...]:
        """Return what changes when the voxels of CT, network or walls do."""
        from ..scene import state_of_walls, walls_on_ct
        from ..scene.volumes import state_of_voxels

        walls = walls_on_ct(self._nodes) if walls is None else walls
        return state_of_voxels(self._nodes.volume), state_of_voxels(self._nodes.probability), state_of_walls(walls)

    def _cache_for(self, given: _Given) -> InfluenceCache:
        """Return the cache, emptied where the CT's voxels, or the walls, are no longer those it was filled for."""
        if given.state != self._cached_for:
            self._cache.clear()
            self._cached_for = given.state
        return self._cache


@dataclass(frozen=True)
class _Given:
    """What a step's corrected probability is computed from; `key` and `state` tell whether that is still so."""

    ct: np.ndarray
    network: CroppedField
    seeds: list[Seed]
    reach_mm: float
    spacing: tuple[float, float, float]
    box: Box | None  # None where there is nothing to correct
    walls: list[CroppedField]
    refinement: EarlierRefinement | None
    state: tuple[object, ...]
    key: tuple[object, ...]

    @property
    def origin(self) -> tuple[int, int, int]:
        from ..scene.fields import first_voxel

        return (0, 0, 0) if self.box is None else first_voxel(self.box)

    def barred(self) -> np.ndarray | None:
        from ..scene import mask_of_walls

        return None if self.box is None else mask_of_walls(self.walls, self.box)


def _in_walls(clicks: Sequence[Click], seeds: Sequence[Seed], walls: Sequence[CroppedField]) -> list[str]:
    """Return a sentence for every click that lies in a wall, where it changes nothing."""
    told = []
    for click, seed in zip(clicks, seeds, strict=False):
        k, j, i = (slice(n, n + 1) for n in seed.voxel)
        if any(wall.on((k, j, i)).any() for wall in walls):
            told.append(
                f"{click.kind} click {click.order} lies in a segment that is not to be entered: it changes nothing."
            )
    return told


def acted_by_earlier_rules(nodes: ResultNodes) -> bool:
    """Whether the clicks that a result shows acted otherwise than they would today."""
    from ..correction import CLICK_RULES
    from ..scene.provenance import read

    return read(nodes.segmentation, CLICK_RULES_KEY) != CLICK_RULES


def _note_click_rules(nodes: ResultNodes) -> None:
    from ..correction import CLICK_RULES
    from ..scene.provenance import write

    write(nodes.segmentation, CLICK_RULES_KEY, CLICK_RULES)
