"""How far a click reaches, or a stroke: a geodesic distance that grows fast across edges and in tissue of another kind.

The distance is the arrival time of a front (fast marching, Sethian 1996, as implemented in ITK) that starts at the
click and moves at 1 mm per mm in tissue of the clicked attenuation, slower elsewhere. Distances of this kind for
interactive segmentation: Criminisi, Sharp and Blake, "GeoS", ECCV 2008. The CT is denoised before by anisotropic
diffusion (Perona and Malik, PAMI 1990), which keeps edges. ITK's filters of this kind took most of a click's time, and
their conductance depends on the part of the CT that they get.

The constants were chosen with the robot user of research/benchmarks/correction.py on the same cases as those of
`random_field`; `COST_WHERE_REMOVED` also on results of the network's own (research/benchmarks/model_results.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..contracts import FURTHEST
from .block_grid import BlockGrid, Box, Triple, neighbours
from .log_odds import LOG_ODDS
from .seeds import Seed

# The tissue around a click is sampled in a ball of this radius.
SAMPLE_MM = 4.0
# Attenuation differences up to this many standard deviations of the clicked tissue cost nothing.
TOLERANCE = 1.0
SMALLEST_DEVIATION_HU, LARGEST_DEVIATION_HU = 12.0, 17.0
# Fat, soft tissue and contrast: what lies beyond tells nothing about soft tissue.
LOWEST_HU, HIGHEST_HU = -200.0, 300.0
# The diffusion's steps, the share of a difference that flows in one, and the slope (HU/mm) across which little flows.
DIFFUSION_STEPS, DIFFUSION_SHARE, EDGE_HU_PER_MM = 3, 0.1, 22.0
# mm per mm that every HU/mm of slope above a free amount adds: edges between tissues of much the same HU count too.
SLOPE_WEIGHT, FREE_SLOPE = 0.1, 5.0
# What a network takes in wrongly mostly looks like what it lies against. Attenuation tells less of how far to remove.
COST_WHERE_REMOVED = 0.5
# A click this close (mm) to what it asserts means a small error there, and acts over as many mm as it lies apart x 1.5.
REACH_PER_GAP = 1.5
SMALLEST_REACH_MM = 4.0
# A network that took in too much is right about most of what lies around: a click that removes acts half as far.
SHARE_WHERE_REMOVED = 0.5
# A click where the network was right already contradicts another click, and means its surroundings only. What it says
# further away has this many times that as its unit of distance, where other clicks have the reach.
AGREEING_REACH_MM = 4.5
AGREEING_FAR = 2.0
ROOM_MM = 10.0
# A stroke contradicts the network where at least this share of its blocks does; so many blocks of it show its tissue.
CONTRADICTED_SHARE, FEWEST_SAMPLES = 0.2, 4
# A stroke says itself how long the error is. It acts less far to its sides than a click does around it.
STROKE_REACH_MM, STROKE_FAR_MM = 8.0, 8.0
# Blocks of which more than this share is wall are not entered: walls one thin voxel wide hold too.
WALL_SHARE, BARRED = 0.2, 1e4


@dataclass(frozen=True)
class Influence:
    """What one click says about the blocks around it (`BlockGrid`).

    blocks : which blocks (KJI) of the CT.
    distance : float32, in units of the reach, at most `FURTHEST`; that everywhere else.
    own_reach : the share of the reach (0..1) over which the click outweighs a network that is certain of the contrary.
    far_reach : the share of the reach (0..1) that is the unit of distance for what the click says further away.
    room : the share (0..1) of the click's near surroundings that is tissue like the clicked one.
    contrary : log odds, 0 or more, with which the network says the contrary there; infinity where it does not, and the
        click contradicts other clicks.
    """

    blocks: Box
    distance: np.ndarray
    own_reach: float
    far_reach: float
    room: float
    contrary: float


def influence_of(
    ct: np.ndarray,
    probability: np.ndarray,
    seed: Seed,
    spacing: tuple[float, float, float],
    reach_mm: float,
    origin: Triple = (0, 0, 0),
    walls: np.ndarray | None = None,
) -> Influence:
    """Return what a click says, or a stroke: the front starts from all of its blocks at once.

    Parameters
    ----------
    ct : np.ndarray
        HU, KJI.
    probability : np.ndarray
        The network's own, uint8 on the same voxels.
    seed : Seed
        Its voxels are those of the CT.
    spacing : tuple[float, float, float]
        Voxel size in mm along K, J, I.
    reach_mm : float
        Length of one unit of distance.
    origin : Triple
        Where the arrays begin on the CT.
    walls : np.ndarray | None
        bool on the same voxels; where the front does not enter.
    """
    radius_mm = FURTHEST * reach_mm
    grid = BlockGrid.around(seed.voxels, origin, ct.shape, spacing, radius_mm)
    start = _Start.of(seed, grid)
    hu = _denoised(grid.means_of(ct, origin, soft_tissue), grid)
    network = grid.means_of(probability, origin)
    asserted = (network >= 127.5) == seed.positive
    contradicted = ~asserted[start.places]
    cost = _cost(hu, start.sample(contradicted, grid), grid, 1.0 if seed.positive else COST_WHERE_REMOVED)
    barred = _barred(seed, grid, walls, origin)
    barred[start.places] = False
    cost[barred] = BARRED
    speed = sitk.GetImageFromArray(1.0 / cost)
    speed.SetSpacing(grid.spacing[::-1])
    front = sitk.FastMarching(speed, start.blocks[:, ::-1].tolist(), 1.0, radius_mm)
    times = np.minimum(sitk.GetArrayFromImage(front), radius_mm)
    times[barred] = radius_mm
    straight_mm = start.straight_mm
    near = straight_mm <= max(ROOM_MM, straight_mm.min())
    room = np.count_nonzero(times[near] <= 1.3 * ROOM_MM) / np.count_nonzero(near)
    agrees = np.count_nonzero(contradicted) < CONTRADICTED_SHARE * len(contradicted)
    gap_mm = 0.0 if agrees else start.gap_mm(asserted, grid)
    own_reach = min(1.0, reach_beside(gap_mm, seed) / reach_mm)
    far_reach = min(1.0, AGREEING_FAR * AGREEING_REACH_MM / reach_mm) if agrees else 1.0
    if seed.is_whole:
        own_reach = far_reach = min(own_reach, SMALLEST_REACH_MM / reach_mm)
    elif seed.more:
        own_reach, far_reach = min(own_reach, STROKE_REACH_MM / reach_mm), min(far_reach, STROKE_FAR_MM / reach_mm)
    # Of the clicked blocks alone: beside a thin error the network is right.
    against = network[start.places][contradicted]
    contrary = np.inf if agrees else float(np.abs(LOG_ODDS[np.rint(against).astype(int)]).max())
    # A voxel takes its value from blocks of which the furthest lies a diagonal away, as a stroke's voxel may from its
    # block's middle.
    times[straight_mm > radius_mm - grid.diagonal_mm * (1 if start.is_click else 2)] = radius_mm
    blocks, distance = _tight(grid, (times / reach_mm).astype(np.float32))
    return Influence(blocks, distance, own_reach, far_reach, room, contrary)


@dataclass(frozen=True)
class _Start:
    """Where a front starts: blocks (n, 3), and the straight distance in mm of all others from them."""

    blocks: np.ndarray
    straight_mm: np.ndarray
    is_click: bool

    @classmethod
    def of(cls, seed: Seed, grid: BlockGrid) -> _Start:
        blocks = grid.blocks_of(seed.voxels)
        if not seed.more:
            return cls(blocks, grid.distance_mm(seed.voxel), True)
        elsewhere = np.ones([part.stop - part.start for part in grid.blocks], bool)
        elsewhere[tuple(blocks.T)] = False
        return cls(blocks, ndimage.distance_transform_edt(elsewhere, sampling=grid.spacing), False)

    @property
    def places(self) -> tuple[np.ndarray, ...]:
        return tuple(self.blocks.T)

    def sample(self, contradicted: np.ndarray, grid: BlockGrid) -> tuple[np.ndarray, ...] | np.ndarray:
        """Return what selects the blocks that show what tissue is meant."""
        if self.is_click:
            return self.straight_mm <= max(SAMPLE_MM, *grid.spacing)
        # A person paints on what is meant, a ball around it would be less sure; where the network said so already, the
        # stroke says nothing new.
        meant = self.blocks[contradicted]
        return tuple((meant if len(meant) >= FEWEST_SAMPLES else self.blocks).T)

    def gap_mm(self, asserted: np.ndarray, grid: BlockGrid) -> float:
        """Return how far what is asserted lies from the click, or from half of the stroke's contradicted blocks."""
        if self.is_click or not asserted.any():
            return float(self.straight_mm[asserted].min(initial=np.inf))
        gaps = ndimage.distance_transform_edt(~asserted, sampling=grid.spacing)[self.places]
        return float(np.median(gaps[gaps > 0]))


def _barred(seed: Seed, grid: BlockGrid, walls: np.ndarray | None, origin: Triple) -> np.ndarray:
    """Return the blocks that a front must not enter: walls, and what lies beyond the seed's limit."""
    shape = [part.stop - part.start for part in grid.blocks]
    barred = np.zeros(shape, bool)
    if walls is not None:
        barred |= grid.means_of(walls, origin) > WALL_SHARE
    if seed.limit:
        within = [
            (middles >= first - 0.5) & (middles <= last + 0.5)
            for middles, first, last in zip(grid.middles(), *seed.limit, strict=True)
        ]
        barred |= ~(within[0][:, None, None] & within[1][None, :, None] & within[2][None, None, :])
    return barred


def reach_beside(gap_mm: float, seed: Seed) -> float:
    """Return over how many mm a click or stroke acts that lies `gap_mm` beside what it asserts; 0 is within."""
    whole = AGREEING_REACH_MM if gap_mm == 0.0 else max(SMALLEST_REACH_MM, REACH_PER_GAP * gap_mm)
    return whole if seed.positive or seed.more else SHARE_WHERE_REMOVED * whole


def soft_tissue(ct: np.ndarray) -> np.ndarray:
    """Return HU between `LOWEST_HU` and `HIGHEST_HU`, float32."""
    hu = ct.astype(np.float32)
    return np.clip(hu, LOWEST_HU, HIGHEST_HU, out=hu)  # integers would become double


def surroundings(
    voxels: Triple | np.ndarray, shape: tuple[int, ...], spacing: tuple[float, float, float], reach_mm: float
) -> Box:
    """Return the box, cut off at the CT's ends, that holds everything on which a click's influence depends.

    Parameters
    ----------
    voxels : Triple | np.ndarray
        Of a click (k, j, i), of a stroke (n, 3).
    shape : tuple[int, ...]
        Of the CT.
    spacing : tuple[float, float, float]
        Voxel size in mm along K, J, I.
    reach_mm : float
        How far a click acts in tissue like the clicked one.
    """
    return BlockGrid.around(voxels, (0, 0, 0), shape, spacing, FURTHEST * reach_mm).voxels((0, 0, 0), shape)


def _tight(grid: BlockGrid, distance: np.ndarray) -> tuple[Box, np.ndarray]:
    """Return the blocks that are reached, with one more at each end, and their distances; one block where none is."""
    reached = np.argwhere(distance < FURTHEST)
    if not len(reached):
        reached = np.zeros((1, 3), int)
    first = np.maximum(reached.min(axis=0) - 1, 0)
    end = np.minimum(reached.max(axis=0) + 2, distance.shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, end, strict=True))
    k, j, i = (
        slice(inner.start + outer.start, inner.stop + outer.start)
        for inner, outer in zip(part, grid.blocks, strict=True)
    )
    return (k, j, i), distance[part].copy()


def _denoised(hu: np.ndarray, grid: BlockGrid) -> np.ndarray:
    """Return the attenuation after some steps of explicit anisotropic diffusion, the same for every crop."""
    hu = hu.copy()
    closest = min(grid.spacing)
    for _ in range(DIFFUSION_STEPS):
        flow = np.zeros_like(hu)
        for axis, step in enumerate(grid.spacing):
            change = np.diff(hu, axis=axis)
            change *= DIFFUSION_SHARE * (closest / step) ** 2 * np.exp(-((change / (step * EDGE_HU_PER_MM)) ** 2))
            first, second = neighbours(axis)
            flow[first] += change
            flow[second] -= change
        hu += flow
    return hu


def _cost(hu: np.ndarray, sample: tuple[np.ndarray, ...] | np.ndarray, grid: BlockGrid, weight: float) -> np.ndarray:
    """Return mm of distance per mm of way: 1 in tissue like the sample, by `weight` more elsewhere; float32."""
    around = hu[sample]
    clicked = float(np.median(around))
    deviation = 1.4826 * float(np.median(np.abs(around - clicked)))
    deviation = min(max(deviation, SMALLEST_DEVIATION_HU), LARGEST_DEVIATION_HU)
    excess = np.maximum(np.abs(hu - clicked) / deviation - TOLERANCE, 0.0)
    slope = np.sqrt(sum((ndimage.sobel(hu, axis) / 32.0 / step) ** 2 for axis, step in enumerate(grid.spacing)))
    return (1.0 + weight * (excess**2 + SLOPE_WEIGHT * np.maximum(slope - FREE_SLOPE, 0.0))).astype(np.float32)
