"""All clicks together on the probability map: evidence in log odds, and what the tissue makes of it (`random_field`).

The same in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

import numpy as np

from ..contracts import FURTHEST
from ..errors import BadInput
from ..in_parts import done_at_once
from .block_grid import BlockGrid, Box, Triple
from .influence import Influence, influence_of, soft_tissue
from .log_odds import LOG_ODDS, stored_probability
from .neighbouring_clicks import with_own_reaches
from .random_field import change_around_clicks
from .seeds import BACKGROUND, FOREGROUND, Seed, latest_per_place

# How clicks act, which a scene keeps: by other constants its clicks do something else as soon as anything is computed
# anew. "2": removing acts half as far, and less is turned beyond a click's own reach.
CLICK_RULES = "2"
# Log odds of a click in the tissue that it lies on: so much, and so many times what the network says to the contrary,
# up to a limit. Where the network hesitates a click decides between its own doubts; where it is certain
# (`NETWORK_LOG_ODDS`) a click turns it two of its own reaches away, where half of its weight is left.
LEAST_CLICK_LOG_ODDS, OVER_CONTRARY, MOST_CLICK_LOG_ODDS = 3.0, 1.5, 12.0
# Up to the full reach a click still turns a network that hesitates; several clicks of a kind add up, to a limit. A
# stroke shows more of what is meant, and turns one that is certain. With a stroke's for clicks one click in eleven
# lowered the Dice by more than 0.01 (model_results.py, folds 0 and 1), with these one in fifty.
FAR_WHERE_ADDED, FAR_WHERE_REMOVED = 2.0, 1.0
FAR_OF_A_STROKE = 5.5
MOST_FAR_LOG_ODDS = 9.0
# The weight falls as 1 - (distance / FURTHEST) ** DECAY.
DECAY = 1.7

InfluenceCache = dict[tuple[object, ...], Influence]


def correct_probability(
    ct: np.ndarray,
    probability: np.ndarray,
    seeds: Iterable[Seed],
    reach_mm: float,
    spacing: tuple[float, float, float],
    strokes: np.ndarray | None = None,
    cache: InfluenceCache | None = None,
    origin: Triple = (0, 0, 0),
    walls: np.ndarray | None = None,
) -> np.ndarray:
    """Return the corrected probability, uint8 0..255, of the same shape. Nothing that is passed in is changed.

    The result depends on the set of seeds only, not on their sequence. A clicked voxel becomes 255 or 0; where seeds
    share a voxel the latest counts. Voxels further than 3 x `reach_mm` from every click, and without a stroke, keep
    their value exactly; so do voxels of walls, through which no click acts.

    Parameters
    ----------
    ct : np.ndarray
        HU, KJI. It should hold the `surroundings` of every click.
    probability : np.ndarray
        uint8 0..255, on the voxels of `ct`: the network's own, never an already corrected one.
    seeds : Iterable[Seed]
        Clicks, and strokes that teach. Of several clicks on one voxel the latest counts (see `latest_per_place`).
    reach_mm : float
        How far a click acts in tissue like the clicked one.
    spacing : tuple[float, float, float]
        Voxel size in mm along K, J, I.
    strokes : np.ndarray | None
        uint8 on the same voxels; `FOREGROUND` becomes 255, `BACKGROUND` becomes 0, whatever clicks say.
    cache : InfluenceCache | None
        Keep the same one for as long as CT, network and walls stay the same: clicks seen before then cost next to
        nothing.
    origin : Triple
        Where the arrays begin on the grid (k, j, i) that the seeds' voxel indices count on. An array that was enlarged
        keeps its cache this way.
    walls : np.ndarray | None
        bool on the same voxels; what no click and no stroke that teaches may enter. Hard strokes may.

    Raises
    ------
    BadInput
        Shapes or types do not fit, a click lies outside, the reach or the spacing is not positive.
    """
    return done_at_once(correct_in_parts(ct, probability, seeds, reach_mm, spacing, strokes, cache, origin, walls))


def correct_in_parts(
    ct: np.ndarray,
    probability: np.ndarray,
    seeds: Iterable[Seed],
    reach_mm: float,
    spacing: tuple[float, float, float],
    strokes: np.ndarray | None = None,
    cache: InfluenceCache | None = None,
    origin: Triple = (0, 0, 0),
    walls: np.ndarray | None = None,
) -> Generator[None, None, np.ndarray]:
    """Do as `correct_probability`, and yield after each part, so that an event loop can go on.

    Nothing that was passed in may change meanwhile.
    """
    seeds, _ = latest_per_place(seeds)
    _check(ct, probability, seeds, reach_mm, spacing, strokes, origin)
    if walls is not None and walls.shape != ct.shape:
        raise BadInput("The CT and the walls do not have the same voxels.")
    cache = {} if cache is None else cache
    influences = []
    for seed in seeds:
        known = len(cache)
        influences.append(_influence(ct, probability, seed, reach_mm, spacing, cache, origin, walls))
        if len(cache) > known:
            yield
    influences = with_own_reaches(seeds, influences, reach_mm, spacing)
    corrected = probability.copy()
    yield
    for blocks in _joined(one.blocks for one in influences):
        grid = BlockGrid(blocks, spacing)
        hu = grid.means_of(ct, origin, soft_tissue)
        network = grid.means_of(probability, origin, LOG_ODDS.__getitem__)
        yield
        change = _change(hu, network, grid, seeds, influences)
        yield
        box, change = grid.on_voxels(change, origin, ct.shape)
        yield
        touched = change != 0
        corrected[box][touched] = stored_probability(LOG_ODDS[probability[box][touched]] + change[touched])
    for seed in seeds:
        corrected[_in_arrays(seed, origin)] = 255 if seed.positive else 0
    if walls is not None:
        corrected[walls] = probability[walls]
    if strokes is not None:
        corrected[strokes == FOREGROUND] = 255
        corrected[strokes == BACKGROUND] = 0
    return corrected


def _influence(
    ct: np.ndarray,
    probability: np.ndarray,
    seed: Seed,
    reach_mm: float,
    spacing: tuple[float, float, float],
    cache: InfluenceCache,
    origin: Triple,
    walls: np.ndarray | None,
) -> Influence:
    key = (seed.place, seed.positive, reach_mm)
    if key not in cache:
        cache[key] = influence_of(ct, probability, seed, spacing, reach_mm, origin, walls)
    return cache[key]


def _change(
    hu: np.ndarray, network: np.ndarray, grid: BlockGrid, seeds: tuple[Seed, ...], influences: list[Influence]
) -> np.ndarray:
    """Return by how much the log odds of blocks change that hold each influence wholly or not at all."""
    evidence, distance = _evidence(grid.blocks, seeds, influences)
    return evidence + change_around_clicks(hu, network + evidence, distance, grid.spacing)


def _evidence(box: Box, seeds: tuple[Seed, ...], influences: list[Influence]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the clicks in a box add to the log odds, and the distance of the nearest click in reaches."""
    shape = tuple(part.stop - part.start for part in box)
    distance = np.full(shape, FURTHEST, np.float32)
    nearest = {kind: np.full(shape, FURTHEST, np.float32) for kind in (True, False)}
    weight = {kind: np.zeros(shape, np.float32) for kind in (True, False)}
    far = {kind: np.zeros(shape, np.float32) for kind in (True, False)}
    # By place, not by time: sums of floats depend on the sequence.
    for seed, one in sorted(zip(seeds, influences, strict=True), key=lambda pair: pair[0].place):
        if not all(a.start <= b.start and b.stop <= a.stop for a, b in zip(box, one.blocks, strict=True)):
            continue
        part = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(box, one.blocks, strict=True))
        np.minimum(distance[part], one.distance, out=distance[part])
        in_own_reaches = np.minimum(one.distance / np.float32(one.own_reach), FURTHEST)
        np.minimum(nearest[seed.positive][part], in_own_reaches, out=nearest[seed.positive][part])
        near = weight[seed.positive][part]
        close = min(LEAST_CLICK_LOG_ODDS + OVER_CONTRARY * one.contrary, MOST_CLICK_LOG_ODDS)
        np.maximum(near, close * _left(in_own_reaches), out=near)
        far[seed.positive][part] += _further(seed, one.contrary) * _left(
            np.minimum(one.distance / np.float32(one.far_reach), FURTHEST)
        )
    for kind, near in weight.items():
        np.maximum(near, np.minimum(far[kind], MOST_FAR_LOG_ODDS), out=near)
    to_add, to_remove = nearest[True] ** 2, nearest[False] ** 2
    both = to_add + to_remove
    # Where clicks of both kinds act, the nearer kind counts more, and alone at its own click.
    share = np.divide(to_remove, both, out=np.full_like(both, 0.5), where=both > 0)
    return share * weight[True] - (1.0 - share) * weight[False], distance


def _further(seed: Seed, contrary: float) -> float:
    """Return the log odds of a seed up to its full reach: to remove, no more than the network said at the seed."""
    most = FAR_OF_A_STROKE if seed.more else FAR_WHERE_ADDED if seed.positive else FAR_WHERE_REMOVED
    return most if seed.positive else min(contrary, most)


def _left(distance: np.ndarray) -> np.ndarray:
    """Return the share of a click's weight that is left: 1 at the click, 0 at FURTHEST."""
    return 1.0 - (distance / np.float32(FURTHEST)) ** np.float32(DECAY)


def _in_arrays(seed: Seed, origin: Triple) -> tuple[np.ndarray, ...]:
    """Return what selects a seed's voxels."""
    return tuple((seed.voxels - np.array(origin)).T)


def _joined(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes that hold all the given ones and do not overlap each other."""
    joined: list[Box] = []
    for box in boxes:
        while overlapping := [other for other in joined if _overlap(box, other)]:
            joined = [other for other in joined if other not in overlapping]
            for other in overlapping:
                k, j, i = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, other, strict=True))
                box = (k, j, i)
        joined.append(box)
    return joined


def _overlap(first: Box, second: Box) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def _check(
    ct: np.ndarray,
    probability: np.ndarray,
    seeds: tuple[Seed, ...],
    reach_mm: float,
    spacing: tuple[float, float, float],
    strokes: np.ndarray | None,
    origin: Triple,
) -> None:
    if probability.dtype != np.uint8 or probability.ndim != 3:
        raise BadInput("The probability to correct is not a volume of values 0 to 255.")
    if ct.shape != probability.shape or (strokes is not None and strokes.shape != ct.shape):
        raise BadInput("The CT, the probability and the strokes do not have the same voxels.")
    if not 0.0 < reach_mm < np.inf or len(spacing) != 3 or not all(0.0 < s < np.inf for s in spacing):
        raise BadInput(f"A reach of {reach_mm} mm on voxels of {spacing} mm cannot be used: both must be above 0.")
    for seed in seeds:
        if not all(np.all((n >= 0) & (n < size)) for n, size in zip(_in_arrays(seed, origin), ct.shape, strict=True)):
            raise BadInput(f"Click {seed.order} lies outside the volume.")
