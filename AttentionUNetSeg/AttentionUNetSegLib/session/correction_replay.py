"""A step of a result's corrections, replayed on the network's own probability and put into the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..contracts import Click
from .change import Change, change_between
from .earlier_refinement import EarlierRefinement, note_movement, read_earlier_refinement

if TYPE_CHECKING:
    import numpy as np

    from ..correction import InfluenceCache, Seed
    from ..scene import CroppedField, ResultNodes
    from .history import Step


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
        self.earlier_refinement: EarlierRefinement | None = read_earlier_refinement(nodes)
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
            write_corrected,
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
        write_corrected(self._nodes, corrected)
        _note_click_rules(self._nodes)
        recompute_segment(self._nodes, *settings)
        voxel = None if click is None else voxel_of(self._nodes, click)
        self.last_change = change_between(self._nodes, before, segment_on_ct(self._nodes), voxel)

    def restore_volumes(self, step: Step, reach_mm: float) -> bool:
        """Bring back what somebody deleted of a step's volumes; return whether anything had gone."""
        from ..scene import write_corrected, write_strokes

        nodes = self._nodes
        has_no_field = bool(step.clicks or step.marks or step.strokes is not None) and nodes.corrected is None
        has_no_strokes = step.strokes is not None and nodes.strokes is None
        if has_no_field:
            write_corrected(nodes, self.corrected(step, reach_mm))
        if has_no_strokes:
            write_strokes(nodes, step.strokes)
        return has_no_field or has_no_strokes

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

    def corrected(self, step: Step, reach_mm: float) -> CroppedField:
        """Return a step's corrected probability: uint8, on a box of the CT.

        `reach_mm` says how far a click acts in tissue like the clicked one.

        Raises
        ------
        BadInput : a click lies outside the CT, or the probability no longer lies on the CT's voxels.
        """
        import slicer

        from ..correction import Seed, correct_probability, latest_per_place, surroundings
        from ..scene import CroppedField, joined_box, mask_of_walls, read_field, tight_box, voxel_of, walls_on_ct
        from ..scene.fields import first_voxel

        clicks, strokes = step.clicks, step.strokes
        refinement = self.earlier_refinement
        if refinement is not None and not refinement.counts_for(clicks, reach_mm):
            refinement = None
        volume = self._nodes.volume
        network = read_field(self._nodes.probability, volume)
        ct = slicer.util.arrayFromVolume(volume)
        spacing = volume.GetSpacing()[::-1]
        seeds = [Seed(click.order, voxel_of(self._nodes, click), click.positive) for click in clicks]
        seeds += [mark.seed(ct, spacing) for mark in step.marks]
        walls = walls_on_ct(self._nodes)
        boxes = [network.box, *(surroundings(seed.voxels, ct.shape, spacing, reach_mm) for seed in seeds)]
        if strokes is not None:
            boxes.append(strokes.box)
        if refinement is not None:
            boxes.append(refinement.probability.box)
        box = joined_box(*boxes)
        origin = first_voxel(box)
        barred = mask_of_walls(walls, box)
        painted = None if strokes is None else strokes.on(box)
        corrected = correct_probability(
            ct[box],
            network.on(box),
            seeds,
            reach_mm,
            spacing,
            strokes=painted,
            cache=self._cache_for(walls),
            origin=origin,
            walls=barred,
        )
        if refinement is not None:
            corrected = refinement.added_to(corrected, network.on(box), box, seeds, painted, barred)
        found = tight_box(corrected, origin)
        tight = network.box if found is None else joined_box(network.box, found)
        self.warnings = (*latest_per_place(seeds)[1], *_in_walls(clicks, seeds, walls))
        return CroppedField(origin, corrected).cut(tight)

    def _cache_for(self, walls: list[CroppedField]) -> InfluenceCache:
        """Return the cache, emptied where the CT's voxels, or the walls, are no longer those it was filled for."""
        from ..scene import state_of_walls

        image = self._nodes.volume.GetImageData()
        state = (image.GetAddressAsString(""), image.GetPointData().GetScalars().GetMTime(), state_of_walls(walls))
        if state != self._cached_for:
            self._cache.clear()
            self._cached_for = state
        return self._cache


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
