"""The network's probability back on the voxels of the input, cropped to where there is something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from .components import bounding_box
from .geometry import Geometry, image_on_grid

SLAB_VOXELS = 2**23


def probability_to_input_grid(
    probability: sitk.Image,
    reference: sitk.Image,
    lowest: float = 0.01,
    interpolated: Callable[..., np.ndarray] | None = None,
) -> sitk.Image:
    """Interpolate a probability map linearly on the voxels of the input, where it is above `lowest`.

    Parameters
    ----------
    probability : sitk.Image
        Float image, 0..1, on any grid (the model's).
    reference : sitk.Image
        Image whose voxel grid the result is aligned with; its values are not read.
    lowest : float
        Probabilities up to this one are left out where that makes the result smaller.
    interpolated : Callable[..., np.ndarray] | None
        Does the heavy part instead of `interpolated_in_box`, with the same outcome.

    Returns
    -------
    uint8 image, round(255 * probability), the smallest box of reference voxels that holds every value above
    255 * lowest. Where there is none: one voxel with 0 in the middle of the reference.
    """
    grid = Geometry.of(reference)
    box = _reference_box(probability, grid, lowest)
    if box is None:
        return _one_empty_voxel(grid)
    start, stop = box
    values = (interpolated or interpolated_in_box)(probability, grid, start, stop)
    tight = bounding_box(values > lowest * 255)
    if tight is None:
        return _one_empty_voxel(grid)
    values = values[tight]
    return image_on_grid(values, grid.cropped(start + [side.start for side in reversed(tight)], values.shape[::-1]))


def on_grid_of(field: sitk.Image, reference: sitk.Image, scale: float = 255.0) -> sitk.Image:
    """Interpolate a field linearly on the whole voxel grid of a reference, 0 outside of the field.

    Parameters
    ----------
    field : sitk.Image
        Float image on any grid.
    reference : sitk.Image
        Its grid is taken, its values are not read.
    scale : float
        The field's value 1 becomes this; what exceeds 255 then is clipped.

    Returns
    -------
    uint8 image, round(scale * field), on the grid of `reference`.
    """
    grid = Geometry.of(reference)
    return image_on_grid(interpolated_in_box(field, grid, np.zeros(3, dtype=int), np.asarray(grid.size), scale), grid)


def linearly_on(field: sitk.Image, grid: Geometry) -> np.ndarray:
    """Return a field interpolated linearly at all voxels of a grid.

    Parameters
    ----------
    field : sitk.Image
        Float image on any grid.
    grid : Geometry
        Where values are wanted.

    Returns
    -------
    float32, KJI; 0 outside of the field.
    """
    interpolated = sitk.Resample(
        field, grid.size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction,
        0.0, sitk.sitkFloat32,
    )  # fmt: skip
    return sitk.GetArrayFromImage(interpolated)


def _reference_box(probability: sitk.Image, grid: Geometry, lowest: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return start and stop (IJK of the reference) of the voxels that interpolation can raise above `lowest`."""
    found = bounding_box(sitk.GetArrayViewFromImage(probability) > lowest)
    if found is None:
        return None
    # Linear interpolation reaches one voxel further than the voxels that are above.
    first, last = ([getattr(side, end) for side in reversed(found)] for end in ("start", "stop"))
    corners = grid.index(Geometry.of(probability).corners(np.array(first) - 1, np.array(last) + 1))
    start = np.maximum(0, np.floor(corners.min(axis=0)).astype(int))
    stop = np.minimum(np.asarray(grid.size), np.ceil(corners.max(axis=0)).astype(int) + 1)
    return (start, stop) if np.all(start < stop) else None


def interpolated_in_box(
    field: sitk.Image, grid: Geometry, start: np.ndarray, stop: np.ndarray, scale: float = 255.0
) -> np.ndarray:
    """Return the KJI uint8 values of reference voxels start..stop-1 (IJK), slab by slab to save memory."""
    size = stop - start
    values = np.empty(size[::-1], dtype=np.uint8)
    thickness = max(1, SLAB_VOXELS // int(size[0] * size[1]))
    for k in range(0, int(size[2]), thickness):
        slab = grid.cropped(start + [0, 0, k], (size[0], size[1], min(thickness, size[2] - k)))
        scaled = linearly_on(field, slab)
        scaled *= np.float32(scale)
        values[k : k + thickness] = np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled)
    return values


def _one_empty_voxel(grid: Geometry) -> sitk.Image:
    middle = tuple(n // 2 for n in grid.size)
    return image_on_grid(np.zeros((1, 1, 1), dtype=np.uint8), grid.cropped(middle, (1, 1, 1)))
