"""How far one click reaches: a geodesic distance that grows fast across edges and in tissue unlike the clicked one.

The distance is the arrival time of a front (fast marching, Sethian 1996, as implemented in ITK) that starts at the
click and moves at 1 mm per mm in tissue of the clicked attenuation, slower elsewhere. Distances of this kind for
interactive segmentation: Criminisi, Sharp and Blake, "GeoS", ECCV 2008. The CT is denoised before by anisotropic
diffusion (Perona and Malik, PAMI 1990), which keeps edges. ITK's filters of this kind took most of a click's time, and
their conductance depends on the part of the CT that they get.

The constants were chosen with the robot user of Testing/benchmarks/correction.py on the same cases as `random_field`'s;
`COST_WHERE_REMOVED` also on results of the network's own (Testing/benchmarks/own_results.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .block_grid import BlockGrid, Box, Triple, neighbours
from .log_odds import LOG_ODDS

# Beyond this many times the reach no click changes anything.
FURTHEST = 3.0
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
# A click where the network was right already contradicts another click, and means its surroundings only. What it says
# further away has this many times that as its unit of distance, where other clicks have the reach.
AGREEING_REACH_MM = 4.5
AGREEING_FAR = 2.0
ROOM_MM = 10.0


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
    voxel: Triple,
    positive: bool,
    spacing: tuple[float, float, float],
    reach_mm: float,
    origin: Triple = (0, 0, 0),
) -> Influence:
    """Return what a click on a voxel says.

    Parameters
    ----------
    ct : HU, KJI.
    probability : the network's own, uint8 on the same voxels.
    voxel : (k, j, i) of the click on the CT.
    positive : whether the click says that this is foreground.
    spacing : voxel size in mm along K, J, I.
    reach_mm : length of one unit of distance.
    origin : where the arrays begin on the CT.
    """
    radius_mm = FURTHEST * reach_mm
    grid = BlockGrid.around(voxel, origin, ct.shape, spacing, radius_mm)
    straight_mm = grid.distance_mm(voxel)
    hu = _denoised(grid.means_of(ct, origin, soft_tissue), grid)
    speed = sitk.GetImageFromArray(1.0 / _cost(hu, straight_mm, grid, 1.0 if positive else COST_WHERE_REMOVED))
    speed.SetSpacing(grid.spacing[::-1])
    front = sitk.FastMarching(speed, [grid.block_of(voxel)[::-1]], 1.0, radius_mm)
    times = np.minimum(sitk.GetArrayFromImage(front), radius_mm)
    near = straight_mm <= max(ROOM_MM, straight_mm.min())
    room = np.count_nonzero(times[near] <= 1.3 * ROOM_MM) / np.count_nonzero(near)
    network = grid.means_of(probability, origin)
    asserted = (network >= 127.5) == positive
    block = grid.block_of(voxel)
    agrees = bool(asserted[block])
    gap_mm = 0.0 if agrees else float(straight_mm[asserted].min(initial=np.inf))
    own_reach = min(1.0, reach_beside(gap_mm) / reach_mm)
    far_reach = min(1.0, AGREEING_FAR * AGREEING_REACH_MM / reach_mm) if agrees else 1.0
    # Of the clicked block alone: beside a thin error the network is right.
    contrary = np.inf if agrees else abs(float(LOG_ODDS[round(float(network[block]))]))
    # A voxel takes its value from blocks of which the furthest lies a diagonal away.
    times[straight_mm > radius_mm - grid.diagonal_mm] = radius_mm
    blocks, distance = _tight(grid, (times / reach_mm).astype(np.float32))
    return Influence(blocks, distance, own_reach, far_reach, room, contrary)


def reach_beside(gap_mm: float) -> float:
    """Return over how many mm a click acts that lies `gap_mm` beside what it asserts; 0 is within."""
    return AGREEING_REACH_MM if gap_mm == 0.0 else max(SMALLEST_REACH_MM, REACH_PER_GAP * gap_mm)


def soft_tissue(ct: np.ndarray) -> np.ndarray:
    """Return HU between `LOWEST_HU` and `HIGHEST_HU`."""
    return np.clip(ct, LOWEST_HU, HIGHEST_HU)


def surroundings(voxel: Triple, shape: tuple[int, ...], spacing: tuple[float, float, float], reach_mm: float) -> Box:
    """Return the box, cut off at the CT's ends, that holds everything on which a click's influence depends."""
    return BlockGrid.around(voxel, (0, 0, 0), shape, spacing, FURTHEST * reach_mm).voxels((0, 0, 0), shape)


def _tight(grid: BlockGrid, distance: np.ndarray) -> tuple[Box, np.ndarray]:
    """Return the blocks that are reached, with one more at each end, and their distances; one block where none is."""
    reached = np.argwhere(distance < FURTHEST)
    if not len(reached):
        reached = np.zeros((1, 3), int)
    first = np.maximum(reached.min(axis=0) - 1, 0)
    end = np.minimum(reached.max(axis=0) + 2, distance.shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, end, strict=True))
    blocks = tuple(
        slice(inner.start + outer.start, inner.stop + outer.start)
        for inner, outer in zip(part, grid.blocks, strict=True)
    )
    return blocks, distance[part].copy()


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


def _cost(hu: np.ndarray, straight_mm: np.ndarray, grid: BlockGrid, weight: float) -> np.ndarray:
    """Return mm of distance per mm of way: 1 in tissue like the clicked one, by `weight` more elsewhere; float32."""
    around = hu[straight_mm <= max(SAMPLE_MM, *grid.spacing)]
    clicked = float(np.median(around))
    deviation = 1.4826 * float(np.median(np.abs(around - clicked)))
    deviation = min(max(deviation, SMALLEST_DEVIATION_HU), LARGEST_DEVIATION_HU)
    excess = np.maximum(np.abs(hu - clicked) / deviation - TOLERANCE, 0.0)
    slope = np.sqrt(sum((ndimage.sobel(hu, axis) / 32.0 / step) ** 2 for axis, step in enumerate(grid.spacing)))
    return (1.0 + weight * (excess**2 + SLOPE_WEIGHT * np.maximum(slope - FREE_SLOPE, 0.0))).astype(np.float32)
