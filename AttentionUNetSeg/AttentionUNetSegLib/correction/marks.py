"""Strokes, lassos and boxes that teach: which voxels they mean, and the seed that acts from all of these at once.

Points are continuous indices (k, j, i) of the CT, and shapes the CT's. What a stroke covers is meant. What a lasso or a
box encloses is meant where it removes; where it adds, people draw around the missed part with room to spare, so what is
meant looks otherwise than what lies along the border.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from ..errors import BadInput
from .block_grid import BlockGrid
from .influence import HIGHEST_HU, LOWEST_HU, soft_tissue
from .seeds import FREE, Seed

Spacing = tuple[float, float, float]
# People draw around what lies this close to a region's border. An attenuation that is so many times as frequent further
# inside is meant.
BORDER_MM, MORE_FREQUENT = 2.5, 1.5
SMOOTHING_MM, BIN_HU = 1.0, 10.0
# Fat is not added by a region, however it is drawn.
FAT_HU = -30.0
FEWEST_VOXELS = 4


def stroke_seed(
    order: int, points: np.ndarray, positive: bool, spacing: Spacing, shape: tuple[int, ...], radius_mm: float = 0.0
) -> Seed:
    """Return the seed of a stroke: a line through points (n, 3), `radius_mm` thick around it.

    Parameters
    ----------
    order : int
        Its number in the order in which a person made them.
    points : np.ndarray
        (n, 3), places k, j, i on the CT; between two of them the stroke is straight.
    positive : bool
        Whether it adds; otherwise it removes.
    spacing : Spacing
        Voxel size in mm along K, J, I.
    shape : tuple[int, ...]
        Of the CT.
    radius_mm : float
        Thickness around the line; 0: the line itself.

    Raises
    ------
    BadInput
        The stroke lies outside of the CT.
    """
    points = np.atleast_2d(np.asarray(points, dtype=float))
    steps = [
        first + (second - first) * np.linspace(0, 1, max(2, int(2 * np.abs(second - first).max()) + 2))[:, None]
        for first, second in pairwise(points)
    ]
    line = np.concatenate([points[:1], *steps])
    voxels = np.unique(np.floor(line + 0.5).astype(int), axis=0)
    if radius_mm > 0:
        extent = [int(radius_mm / size) for size in spacing]
        ball = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in extent], indexing="ij"), axis=-1).reshape(-1, 3)
        ball = ball[np.linalg.norm(ball * np.array(spacing), axis=1) <= radius_mm]
        voxels = np.unique((voxels[:, None] + ball).reshape(-1, 3), axis=0)
    return Seed.of(order, _inside(voxels, shape, "stroke"), positive)


def painted_seed(order: int, voxels: np.ndarray, positive: bool, spacing: Spacing) -> Seed:
    """Return the seed of voxels (n, 3) that somebody painted: one voxel of every block, which teach as much as all.

    Parameters
    ----------
    order : int
        Its number in the order in which a person made them.
    voxels : np.ndarray
        (n, 3), k, j, i on the CT.
    positive : bool
        Whether it adds; otherwise it removes.
    spacing : Spacing
        Voxel size in mm along K, J, I.
    """
    return Seed.of(order, one_per_block(voxels, spacing), positive)


def one_per_block(voxels: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Return of voxels (n, 3) one in each block of the grid that clicks are computed on.

    Parameters
    ----------
    voxels : np.ndarray
        (n, 3), k, j, i on the CT.
    spacing : Spacing
        Voxel size in mm along K, J, I.
    """
    merged = BlockGrid((slice(0, 1),) * 3, spacing).merged
    _, first = np.unique(voxels // merged, axis=0, return_index=True)
    return voxels[np.sort(first)]


def lasso_seed(order: int, ct: np.ndarray, points: np.ndarray, positive: bool, spacing: Spacing) -> Seed:
    """Return the seed of what a closed line (n, 3) encloses in its plane, which may be oblique.

    In a plane along the CT's axes it acts within the lasso's bounding rectangle only, on all slices.

    Parameters
    ----------
    order : int
        Its number in the order in which a person made them.
    ct : np.ndarray
        HU, KJI.
    points : np.ndarray
        (n, 3), places k, j, i of the line's corners.
    positive : bool
        Whether it adds; otherwise it removes.
    spacing : Spacing
        Voxel size in mm along K, J, I.

    Raises
    ------
    BadInput
        Fewer than three points, a line instead of an area, or a lasso outside of the CT.
    """
    points = np.atleast_2d(np.asarray(points, dtype=float))
    region, axis = _enclosed(points, spacing, ct.shape)
    seed = _region_seed(order, ct, region, positive, spacing)
    if axis is None:
        return seed
    first, last = np.rint(points.min(axis=0)).astype(int), np.rint(points.max(axis=0)).astype(int)
    first[axis], last[axis] = -FREE, FREE
    return Seed(order, seed.voxel, positive, seed.more, (tuple(first.tolist()), tuple(last.tolist())))


def box_seed(order: int, ct: np.ndarray, corners: np.ndarray, positive: bool, spacing: Spacing) -> Seed:
    """Return the seed of a box along the CT's axes between two corners (2, 3); it acts within the box only.

    Parameters
    ----------
    order : int
        Its number in the order in which a person made them.
    ct : np.ndarray
        HU, KJI.
    corners : np.ndarray
        (2, 3), places k, j, i of two opposite corners.
    positive : bool
        Whether it adds; otherwise it removes.
    spacing : Spacing
        Voxel size in mm along K, J, I.

    Raises
    ------
    BadInput
        The box lies outside of the CT.
    """
    corners = np.asarray(corners, dtype=float).reshape(2, 3)
    first = np.maximum(np.rint(corners.min(axis=0)).astype(int), 0)
    last = np.minimum(np.rint(corners.max(axis=0)).astype(int), np.array(ct.shape) - 1)
    if np.any(first > last):
        raise BadInput("The box lies outside the volume.", "Draw it inside the CT.")
    axes = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    region = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    seed = _region_seed(order, ct, region, positive, spacing)
    return Seed(order, seed.voxel, positive, seed.more, (tuple(first.tolist()), tuple(last.tolist())))


def _inside(voxels: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    inside = voxels[np.all((voxels >= 0) & (voxels < shape), axis=1)]
    if not len(inside):
        raise BadInput(f"The {what} lies outside the volume.", "Draw it inside the CT.")
    return inside


def _enclosed(points: np.ndarray, spacing: Spacing, shape: tuple[int, ...]) -> tuple[np.ndarray, int | None]:
    """Return the voxels (n, 3) in a polygon's plane that it encloses, and the CT's axis that the plane is normal to."""
    size = np.array(spacing)
    places = points * size
    middle = places.mean(axis=0)
    if len(points) < 3:
        raise BadInput("A lasso needs at least three points.")
    _, widths, axes = np.linalg.svd(places - middle, full_matrices=False)
    if widths[1] < 1e-3 * max(widths[0], 1e-9):
        raise BadInput("The lasso encloses nothing.", "Draw around something.")
    normal = axes[2]
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 2, shape)
    if np.any(low >= high):
        raise BadInput("The lasso lies outside the volume.", "Draw it inside the CT.")
    grid = np.stack(
        np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    away = grid * size - middle
    near = np.abs(away @ normal) <= 0.5 * np.abs(normal) @ size + 1e-9
    grid, flat = grid[near], away[near] @ axes[:2].T
    inside = grid[_in_polygon(flat, (places - middle) @ axes[:2].T)]
    if not len(inside):
        raise BadInput("The lasso encloses nothing in the volume.", "Draw around something.")
    axis = int(np.abs(normal).argmax())
    return inside, axis if np.abs(normal[axis]) > 0.999 else None


def _in_polygon(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return which points (n, 2) a polygon (m, 2) encloses, by the even-odd rule."""
    inside = np.zeros(len(points), bool)
    x, y = points.T
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < ax + (bx - ax) * (y - ay) / (by - ay if by != ay else 1.0))
    return inside


def _region_seed(order: int, ct: np.ndarray, region: np.ndarray, positive: bool, spacing: Spacing) -> Seed:
    meant = _unlike_its_border(ct, region, spacing) if positive else region
    return Seed.of(order, meant, positive)


def _unlike_its_border(ct: np.ndarray, region: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Return the voxels of a region (n, 3) of an attenuation that is more frequent inside it than along its border.

    The whole region where there is none: it lies in one tissue.
    """
    low, high = region.min(axis=0), region.max(axis=0) + 1
    mask = np.zeros(high - low + 2, bool)
    mask[tuple((region - low + 1).T)] = True
    # The slices beside a lasso's are no border.
    sampling = [1e6 if n == 3 else size for n, size in zip(mask.shape, spacing, strict=True)]
    inner = (slice(1, -1),) * 3
    depth = ndimage.distance_transform_edt(mask, sampling=sampling)[inner]
    mask = mask[inner]
    margin = [int(np.ceil(3 * SMOOTHING_MM / size)) for size in spacing]
    around = tuple(slice(max(0, a - m), min(n, b + m)) for a, b, m, n in zip(low, high, margin, ct.shape, strict=True))
    smooth = ndimage.gaussian_filter(
        soft_tissue(ct[around]).astype(np.float32), [SMOOTHING_MM / size for size in spacing]
    )
    hu = smooth[tuple(slice(a - part.start, b - part.start) for a, b, part in zip(low, high, around, strict=True))]
    border = mask & (depth <= BORDER_MM)
    core = mask & ~border
    if not border.any() or not core.any():
        return region
    place = ((hu - LOWEST_HU) / BIN_HU).astype(int)
    inside, along = (_shares(place[part]) for part in (core, border))
    meant = mask & (hu > FAT_HU) & (inside > MORE_FREQUENT * along)[place]
    meant = ndimage.binary_opening(meant, ndimage.generate_binary_structure(3, 1) & _flat(mask.shape)) & meant
    return np.argwhere(meant) + low if np.count_nonzero(meant) >= FEWEST_VOXELS else region


def _shares(places: np.ndarray) -> np.ndarray:
    """Return how frequent each bin of the attenuation is, smoothed."""
    bins = int((HIGHEST_HU - LOWEST_HU) / BIN_HU) + 1
    counts = ndimage.gaussian_filter1d(np.bincount(places, minlength=bins).astype(float), 1.0) + 0.5
    return counts / counts.sum()


def _flat(shape: tuple[int, ...]) -> np.ndarray:
    """Return which neighbours count: in a single slice those of the slices beside it do not."""
    counts = np.ones((3, 3, 3), bool)
    for axis, n in enumerate(shape):
        if n == 1:
            beside = [slice(None)] * 3
            beside[axis] = slice(None, None, 2)
            counts[tuple(beside)] = False
    return counts
