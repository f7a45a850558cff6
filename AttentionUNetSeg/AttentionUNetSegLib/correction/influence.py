"""How far one click reaches: a geodesic distance that grows fast across edges and in tissue unlike the clicked one.

The distance is the arrival time of a front (fast marching, Sethian 1996, as implemented in ITK) that starts at the
click and moves at 1 mm per mm in tissue of the clicked attenuation, slower elsewhere. Distances of this kind for
interactive segmentation: Criminisi, Sharp and Blake, "GeoS", ECCV 2008. The CT is denoised before by curvature
anisotropic diffusion (Whitaker and Xue, ICIP 2001), which keeps edges.

The constants were chosen with the robot user of Testing/benchmarks/correction.py on phantoms 1 and 2 and the real CTs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .working_grid import Box, WorkingGrid

# Beyond this many times the reach no click changes anything.
FURTHEST = 3.0
# The tissue around a click is sampled in a ball of this radius.
SAMPLE_MM = 4.0
# Attenuation differences up to this many standard deviations of the clicked tissue cost nothing.
TOLERANCE = 1.0
SMALLEST_DEVIATION_HU, LARGEST_DEVIATION_HU = 12.0, 17.0
# Fat, soft tissue and contrast: what lies beyond tells nothing about soft tissue.
LOWEST_HU, HIGHEST_HU = -200.0, 300.0
# Iterations, time step and conductance of the diffusion.
DENOISING = (3, 0.06, 1.2)
# mm per mm that every HU/mm of slope above a free amount adds: edges between tissues of much the same HU count too.
SLOPE_WEIGHT, FREE_SLOPE = 0.1, 5.0
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
    """What one click says about the voxels around it.

    box : where on the grid (KJI) the distances lie.
    distance : float32, in units of the reach, 0 at the click, at most `FURTHEST`; that everywhere outside the box.
    own_reach : the share of the reach (0..1) over which the click outweighs a network that is certain of the contrary.
    far_reach : the share of the reach (0..1) that is the unit of distance for what the click says further away.
    room : the share (0..1) of the click's near surroundings that is tissue like the clicked one.
    """

    box: Box
    distance: np.ndarray
    own_reach: float
    far_reach: float
    room: float


def influence_of(
    ct: np.ndarray,
    probability: np.ndarray,
    voxel: tuple[int, int, int],
    positive: bool,
    spacing: tuple[float, float, float],
    reach_mm: float,
) -> Influence:
    """Return what a click on a voxel says.

    Parameters
    ----------
    ct : HU, KJI.
    probability : the network's own, uint8 on the same voxels.
    voxel : (k, j, i) of the click in `ct`.
    positive : whether the click says that this is foreground.
    spacing : voxel size in mm along K, J, I.
    reach_mm : length of one unit of distance.
    """
    radius_mm = FURTHEST * reach_mm
    grid = WorkingGrid(voxel, ct.shape, spacing, radius_mm)
    speed = sitk.GetImageFromArray(1.0 / _cost(_denoised(grid.means_of(ct, LOWEST_HU, HIGHEST_HU), grid), grid))
    speed.SetSpacing(grid.spacing[::-1])
    front = sitk.FastMarching(speed, [tuple(int(n) for n in grid.middle[::-1])], 1.0, radius_mm)
    times = np.minimum(sitk.GetArrayFromImage(front), radius_mm)
    near = grid.distance_mm() <= ROOM_MM
    room = np.count_nonzero(times[near] <= 1.3 * ROOM_MM) / np.count_nonzero(near)
    box, distance = grid.on_voxels(times / reach_mm, FURTHEST)
    asserted = (grid.means_of(probability, 0.0, 255.0) >= 127.5) == positive
    gap_mm = grid.nearest_mm(asserted)
    own_reach = min(1.0, reach_beside(gap_mm) / reach_mm)
    far_reach = min(1.0, AGREEING_FAR * AGREEING_REACH_MM / reach_mm) if gap_mm == 0.0 else 1.0
    return Influence(box, distance, own_reach, far_reach, room)


def reach_beside(gap_mm: float) -> float:
    """Return over how many mm a click acts that lies `gap_mm` beside what it asserts; 0 is within."""
    return AGREEING_REACH_MM if gap_mm == 0.0 else max(SMALLEST_REACH_MM, REACH_PER_GAP * gap_mm)


def surroundings(
    voxel: tuple[int, int, int], shape: tuple[int, ...], spacing: tuple[float, float, float], reach_mm: float
) -> Box:
    """Return the box, cut off at the volume's ends, that holds everything on which a click's influence depends."""
    grid = WorkingGrid(voxel, shape, spacing, FURTHEST * reach_mm)
    return tuple(
        slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(grid.start, grid.stop, shape, strict=True)
    )


def _denoised(hu: np.ndarray, grid: WorkingGrid) -> np.ndarray:
    steps, time_step, conductance = DENOISING
    if min(hu.shape) < 2:  # the filter needs neighbours
        return hu
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(grid.spacing[::-1])
    time_step = min(time_step, min(grid.spacing) / 16.0)  # where the scheme is stable
    return sitk.GetArrayFromImage(sitk.CurvatureAnisotropicDiffusion(image, time_step, conductance, 1, steps))


def _cost(hu: np.ndarray, grid: WorkingGrid) -> np.ndarray:
    """Return mm of distance per mm of way: 1 in tissue like the clicked one, more elsewhere; float32."""
    around = hu[grid.distance_mm() <= max(SAMPLE_MM, *grid.spacing)]
    clicked = float(np.median(around))
    deviation = 1.4826 * float(np.median(np.abs(around - clicked)))
    deviation = min(max(deviation, SMALLEST_DEVIATION_HU), LARGEST_DEVIATION_HU)
    excess = np.maximum(np.abs(hu - clicked) / deviation - TOLERANCE, 0.0)
    slope = np.sqrt(sum((ndimage.sobel(hu, axis) / 32.0 / step) ** 2 for axis, step in enumerate(grid.spacing)))
    return (1.0 + excess**2 + SLOPE_WEIGHT * np.maximum(slope - FREE_SLOPE, 0.0)).astype(np.float32)
