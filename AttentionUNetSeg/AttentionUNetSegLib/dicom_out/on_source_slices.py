"""A segment on the slices of the CT that it belongs to, as a DICOM object wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from os import PathLike

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import Geometry, bounding_box
from .source_series import read_source_series

# So far may a voxel of the segment lie from one of the CT, in voxels, to count as the same: headers round, and a
# reader lets a slice lie half a millimetre beside its place.
SAME_VOXEL = 0.05


def on_source_slices(
    segment: sitk.Image, grid: Geometry, shifts: np.ndarray | None, fractional: bool
) -> tuple[np.ndarray, int]:
    """Return the slices from the first to the last that hold something, and the index of the first.

    Where the voxels of `segment` are voxels of the CT (whichever way its axes run) they are copied; from any other grid
    a mask is taken by its nearest voxel and a probability is interpolated. Of an empty segment: the middle slice.

    Parameters
    ----------
    segment : mask or probability as for `write_dicom_seg`.
    grid : the CT's.
    shifts : how far each of its slices lies off the grid, as in `SourceSeries`: a tilted gantry shears it.
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
    is_same = shifts is None and _is_same_grid(Geometry.of(segment), grid)
    first, last = _reach(Geometry.of(segment), held, grid, is_same, shifts is not None)
    slices = _slabs(grid, shifts, first, last)
    if fractional:
        largest = 255.0 if np.issubdtype(voxels.dtype, np.integer) else 1.0
        interpolator = sitk.sitkNearestNeighbor if is_same else sitk.sitkLinear
        values = _resampled(sitk.Cast(segment, sitk.sitkFloat32), slices, interpolator)
        return np.clip(values / np.float32(largest), 0, 1), first
    return _resampled(segment > 0, slices, sitk.sitkNearestNeighbor).astype(np.uint8), first


def require_slices_at(grid: Geometry, dicom_files: Sequence[str | PathLike[str]]) -> None:
    """Raise BadInput where the slices of a series do not lie on the voxels of a CT that should have been read from it.

    A CT that somebody moved, resampled or cropped since no longer says where on the slices a segment lies.
    """
    series = read_source_series(dicom_files)
    if series.shifts is not None:
        raise BadInput(
            "The gantry was tilted, so the slices of the series do not lie on the voxels of the CT.",
            "Run attention-unet-seg segment with --dicom-seg on the DICOM folder.",
        )
    if not _is_same_grid(grid, series.grid):
        raise BadInput(
            "The CT no longer lies where its DICOM series does: it was moved, resampled or cropped.",
            "Load the series again and segment it there.",
        )


def _reach(own: Geometry, held: tuple[slice, ...], grid: Geometry, is_same: bool, is_tilted: bool) -> tuple[int, int]:
    """Return the first and last slice of `grid` that the box of a segment reaches; it has to lie within the CT."""
    ends = [(side.start, side.stop - 1) for side in reversed(held)]
    indices = grid.index(own.physical(list(product(*ends))))
    beyond = np.maximum(-indices, indices - (np.asarray(grid.size) - 1)).max(axis=0)  # voxels, where positive
    # A tilted CT is read into a box that is wider than its slices, but no higher.
    if (beyond[2] if is_tilted else beyond.max()) > (SAME_VOXEL if is_same else 1):
        raise BadInput(
            "The segment does not lie within the DICOM series that it should refer to.",
            "Give the series that was segmented.",
        )
    heights = indices[:, 2]
    between = 0 if is_same else 1  # a voxel of another grid reaches a slice further
    first = max(0, int(np.rint(heights.min())) - between)
    return first, min(grid.size[2] - 1, int(np.rint(heights.max())) + between)


def _slabs(grid: Geometry, shifts: np.ndarray | None, first: int, last: int) -> list[Geometry]:
    """Return the slices first..last as grids: one for all, or one for each where a tilt shifts them."""
    if shifts is None:
        return [grid.cropped((0, 0, first), (grid.size[0], grid.size[1], last - first + 1))]
    single = [grid.cropped((0, 0, k), (grid.size[0], grid.size[1], 1)) for k in range(first, last + 1)]
    moved = zip(single, shifts[first : last + 1], strict=True)
    return [replace(each, origin=tuple((each.origin + grid.axes[:, :2] @ shift).tolist())) for each, shift in moved]


def _is_same_grid(own: Geometry, grid: Geometry) -> bool:
    """Tell whether the voxels of both lie at the same places, whichever way their axes run."""
    steps = np.linalg.inv(grid.index_to_physical) @ own.index_to_physical
    whole = np.rint(steps)
    if sorted(np.abs(whole).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(whole).sum(axis=1)) != [1, 1, 1]:
        return False
    corners = grid.index(own.physical(np.array([[0, 0, 0], np.asarray(own.size) - 1])))
    return bool(np.abs(corners - np.rint(corners)).max() <= SAME_VOXEL)


def _resampled(image: sitk.Image, grids: list[Geometry], interpolator: int) -> np.ndarray:
    parts = [
        sitk.Resample(image, grid.size, sitk.Transform(), interpolator, grid.origin, grid.spacing, grid.direction, 0.0)
        for grid in grids
    ]
    return np.concatenate([sitk.GetArrayFromImage(part) for part in parts])
