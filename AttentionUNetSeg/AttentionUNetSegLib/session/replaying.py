"""A step of a result's corrections, replayed on the network's own probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .refined import with_refinement

if TYPE_CHECKING:
    from ..correction import InfluenceCache
    from ..scene import CroppedField, PlacedClick, ResultNodes, StoredRefinement
    from .history import Step


class Replaying:
    """Computes the corrected probability of one result; what clicks reach is kept as long as the CT's voxels are."""

    def __init__(self, nodes: ResultNodes) -> None:
        self._nodes = nodes
        self._cache: InfluenceCache = {}
        self._cached_for: object = None

    def corrected(
        self,
        clicks: Sequence[PlacedClick],
        strokes: CroppedField | None,
        refinement: StoredRefinement | None,
        reach_mm: float,
    ) -> tuple[CroppedField, tuple[str, ...]]:
        """Return the corrected probability (uint8, on a box of the CT) and what a person should know about the clicks.

        Parameters
        ----------
        strokes : 1 certain background, 2 certain foreground; None without any.
        refinement : what the adapted network said, where that counts for these clicks.
        reach_mm : how far a click acts in tissue like the clicked one.

        Raises
        ------
        BadInput : a click lies outside the CT, or the probability no longer lies on the CT's voxels.
        """
        import slicer

        from ..correction import Seed, correct_probability, settle, surroundings
        from ..scene import CroppedField, joined_box, read_field, tight_box, voxel_of

        volume = self._nodes.volume
        network = read_field(self._nodes.probability, volume)
        ct = slicer.util.arrayFromVolume(volume)
        spacing = volume.GetSpacing()[::-1]
        seeds = [Seed(click.order, voxel_of(self._nodes, click), click.positive) for click in clicks]
        boxes = [network.box, *(surroundings(seed.voxel, ct.shape, spacing, reach_mm) for seed in seeds)]
        if strokes is not None:
            boxes.append(strokes.box)
        if refinement is not None:
            boxes.append(refinement.probability.box)
        box = joined_box(*boxes)
        origin = tuple(part.start for part in box)
        corrected = correct_probability(
            ct[box],
            network.on(box),
            seeds,
            reach_mm,
            spacing,
            strokes=None if strokes is None else strokes.on(box),
            cache=self._cache_of_ct(),
            origin=origin,
        )
        if refinement is not None:
            corrected = with_refinement(corrected, network, refinement, box, seeds, strokes)
        tight = tight_box(corrected, origin)
        whole = CroppedField(origin, corrected)
        tight = network.box if tight is None else joined_box(network.box, tight)
        return CroppedField(tuple(part.start for part in tight), whole.on(tight)), settle(seeds)[1]

    def _cache_of_ct(self) -> InfluenceCache:
        """Return the cache, emptied where the CT's voxels are no longer those that it was filled for."""
        image = self._nodes.volume.GetImageData()
        state = (image.GetAddressAsString(""), image.GetPointData().GetScalars().GetMTime())
        if state != self._cached_for:
            self._cache.clear()
            self._cached_for = state
        return self._cache


def restore_volumes(
    nodes: ResultNodes,
    step: Step,
    refinement: StoredRefinement | None,
    corrected: Callable[[Step], CroppedField],
) -> bool:
    """Bring back what somebody deleted of a step's volumes; return whether anything had gone.

    `refinement` is what counts for the step; `corrected` computes its corrected probability.
    """
    from ..scene import write_corrected, write_refinement, write_strokes

    has_no_field = bool(step.clicks or step.strokes is not None) and nodes.corrected is None
    has_no_strokes = step.strokes is not None and nodes.strokes is None
    has_no_refinement = refinement is not None and nodes.refined is None
    if has_no_field:
        write_corrected(nodes, corrected(step))
    if has_no_strokes:
        write_strokes(nodes, step.strokes)
    if has_no_refinement:
        write_refinement(nodes, refinement)
    return has_no_field or has_no_strokes or has_no_refinement
