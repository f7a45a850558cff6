"""A segment on the slices of the CT that it belongs to, as a DICOM object wants it."""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import Geometry, bounding_box

# So far may a voxel of the segment lie from one of the CT, in voxels, to count as the same: headers round, and a
# reader lets a slice lie half a millimetre beside its place.
SAME_VOXEL = 0.05


def on_source_slices(segment: sitk.Image, grid: Geometry, fractional: bool) -> tuple[np.ndarray, int]:
    """Return the slices from the first to the last that hold something, and the index of the first.

    Where the voxels of `segment` are voxels of the CT (whichever way its axes run) they are copied; from any other grid
    a mask is taken by its nearest voxel and a probability is interpolated. Of an empty segment: the middle slice.

    Parameters
    ----------
    segment : mask or probability as for `write_dicom_seg`.
    grid : the CT's.
    fractional : whether it is a probability.

    Returns
    -------
    array (slices, rows, columns): uint8 0 and 1, or float32 0..1; and which slice of the CT comes first.

    Raises
    ------
    BadInput : something of the segment lies outside the CT.
    """
    voxels = sitk.GetArrayViewFromImage(segment)
    held = bounding_box(voxels > 0)
    if held is None:
        empty = np.zeros((1, grid.size[1], grid.size[0]), np.float32 if fractional else np.uint8)
        return empty, grid.size[2] // 2
    first, last = _reach(Geometry.of(segment), held, grid)
    slab = grid.cropped((0, 0, first), (grid.size[0], grid.size[1], last - first + 1))
    if fractional:
        largest = 255.0 if np.issubdtype(voxels.dtype, np.integer) else 1.0
        interpolator = sitk.sitkNearestNeighbor if _is_same_grid(Geometry.of(segment), grid) else sitk.sitkLinear
        values = _resampled(sitk.Cast(segment, sitk.sitkFloat32), slab, interpolator)
        return np.clip(values / np.float32(largest), 0, 1), first
    return _resampled(segment > 0, slab, sitk.sitkNearestNeighbor).astype(np.uint8), first


def _reach(own: Geometry, held: tuple[slice, ...], grid: Geometry) -> tuple[int, int]:
    """Return the first and last slice of `grid` that the box of a segment reaches; it has to lie within the CT."""
    ends = [(side.start, side.stop - 1) for side in reversed(held)]
    indices = grid.index(own.physical(list(product(*ends))))
    if indices.min() < -1 or np.any(indices.max(axis=0) > np.asarray(grid.size)):
        raise BadInput(
            "The segment does not lie within the DICOM series that it should refer to.",
            "Give the series that was segmented.",
        )
    heights = indices[:, 2]
    between = 0 if _is_same_grid(own, grid) else 1  # a voxel of another grid reaches a slice further
    first = max(0, int(np.rint(heights.min())) - between)
    return first, min(grid.size[2] - 1, int(np.rint(heights.max())) + between)


def _is_same_grid(own: Geometry, grid: Geometry) -> bool:
    """Tell whether the voxels of both lie at the same places, whichever way their axes run."""
    steps = np.linalg.inv(grid.index_to_physical) @ own.index_to_physical
    whole = np.rint(steps)
    if sorted(np.abs(whole).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(whole).sum(axis=1)) != [1, 1, 1]:
        return False
    corners = grid.index(own.physical(np.array([[0, 0, 0], np.asarray(own.size) - 1])))
    return bool(np.abs(corners - np.rint(corners)).max() <= SAME_VOXEL)


def _resampled(image: sitk.Image, grid: Geometry, interpolator: int) -> np.ndarray:
    result = sitk.Resample(
        image, grid.size, sitk.Transform(), interpolator, grid.origin, grid.spacing, grid.direction, 0.0
    )
    return sitk.GetArrayFromImage(result)
