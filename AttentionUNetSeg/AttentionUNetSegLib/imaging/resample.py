"""CT to the model's grid: axes along the patient, the model's spacing, anti-aliased, without a full-size float copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import sparse

from .geometry import (
    Geometry,
    Triple,
    closest_patient_axes,
    image_on_grid,
    obliqueness_degrees,
    triple_of,
    whole_numbers_of,
)

AIR_HU = -1024.0
# The top of the 12-bit CT scale: metal above it carries no information, but would bleed into its neighbours.
HIGHEST_HU = 3071.0
# Above this angle the network would see a patient turned further than its training augmentation turned them.
LARGEST_OBLIQUENESS_DEGREES = 10.0
SLAB_VOXELS = 2**22


def to_model_grid(
    image: sitk.Image,
    spacing_mm: Triple,
    resampled: Callable[[np.ndarray, Geometry, Geometry], np.ndarray] | None = None,
) -> sitk.Image:
    """Resample a CT to the model's grid.

    The axes are permuted and flipped to the closest of L, P, S; a volume turned by more than 10 degrees against those
    is resampled onto a grid along L, P, S that covers its bounding box (-1024 HU outside the volume), a smaller
    turn is kept and stands in the result's direction. The grid has exactly the spacing asked for, covers the input's
    field of view (outer voxel faces) and shares its centre (no corner is aligned: use the physical coordinates).

    Along an axis that gets coarser, the kernel is a triangle as wide as two output voxels (the linear interpolation
    kernel, scaled), which suppresses what the coarser grid cannot show; along an axis that gets finer it is linear
    interpolation. Linear functions of position are reproduced exactly inside, edge values are repeated beyond the
    edge. Values are clipped to -1024 .. 3071 HU first, so that padding outside the scanner's circular field of view
    (-2000, -32768) and metal do not bleed.

    Parameters
    ----------
    image : sitk.Image
        3D, one component, any scalar type, HU.
    spacing_mm : Triple
        Spacing of the result along L, P, S in mm.
    resampled : Callable[[np.ndarray, Geometry, Geometry], np.ndarray] | None
        Does the heavy part instead of `resampled_along_own_axes`, with the same outcome.

    Returns
    -------
    float32 image in HU.
    """
    grid = Geometry.of(image)
    order, flipped = closest_patient_axes(grid.axes)
    own_spacing = [0.0, 0.0, 0.0]
    for patient_axis, image_axis in enumerate(order):
        own_spacing[image_axis] = float(spacing_mm[patient_axis])
    coarse_grid = grid.resampled(triple_of(own_spacing))
    coarse = (resampled or resampled_along_own_axes)(sitk.GetArrayViewFromImage(image), grid, coarse_grid)
    result = _turn_to_patient_axes(coarse, coarse_grid, order, flipped)
    if obliqueness_degrees(grid.axes) > LARGEST_OBLIQUENESS_DEGREES:
        return sitk.Resample(result, *_upright_grid(result, spacing_mm), AIR_HU, sitk.sitkFloat32)
    return result


def resampling_weights(n_in: int, n_out: int, ratio: float) -> sparse.csr_matrix:
    """Return the weights (n_out, n_in) that resample one axis, the centres of both grids coinciding.

    Parameters
    ----------
    n_in, n_out : int
        Number of voxels before and after.
    ratio : float
        Spacing after / spacing before.
    """
    width = max(1.0, ratio)
    positions = (n_in - 1) / 2 + (np.arange(n_out) - (n_out - 1) / 2) * ratio
    offsets = np.arange(-int(np.ceil(width)), int(np.ceil(width)) + 2)
    columns = np.floor(positions)[:, None].astype(int) + offsets
    distances = columns - positions[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(distances) / width)
    weights /= weights.sum(axis=1, keepdims=True)
    # A sampled triangle of fractional width has its centre of mass a little off; tilt it back, so that ramps survive.
    first = (weights * distances).sum(axis=1, keepdims=True)
    second = (weights * distances**2).sum(axis=1, keepdims=True)
    variance = second - first**2
    tilt = np.divide(first, variance, out=np.zeros_like(first), where=variance > 1e-9)
    weights *= 1.0 - tilt * (distances - first)
    rows = np.broadcast_to(np.arange(n_out)[:, None], columns.shape)
    # Columns beyond the edge are counted for the edge voxel: csr_matrix adds entries that fall together.
    entries = (weights.ravel().astype(np.float32), (rows.ravel(), np.clip(columns, 0, n_in - 1).ravel()))
    matrix = sparse.csr_matrix(entries, shape=(n_out, n_in))
    matrix.eliminate_zeros()
    return matrix


def resampled_along_own_axes(voxels: np.ndarray, grid: Geometry, coarse: Geometry) -> np.ndarray:
    """Resample a KJI array of HU to another grid with the same axes, slab by slab; float32, KJI.

    J and I of each slice first, then these slices' share of K. Sparse products throughout: a dense one would do 50
    times the work and, on a busy machine, wait for BLAS threads.
    """
    along_i, along_j, along_k = (
        resampling_weights(grid.size[a], coarse.size[a], coarse.spacing[a] / grid.spacing[a]) for a in range(3)
    )
    by_slice = along_k.tocsc()
    result = np.zeros(coarse.size[::-1], dtype=np.float32)
    thickness = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
    for start in range(0, grid.size[2], thickness):
        slices = voxels[start : start + thickness]
        share = by_slice[:, start : start + len(slices)].tocsr()
        rows = np.flatnonzero(np.diff(share.indptr))
        if not len(rows):
            continue
        reduced = np.empty((len(slices), coarse.size[1], coarse.size[0]), dtype=np.float32)
        for number, one_slice in enumerate(slices):
            clipped = np.clip(one_slice, *_limits(one_slice.dtype)).astype(np.float32)
            reduced[number] = (along_i @ np.ascontiguousarray((along_j @ clipped).T)).T
        first, last = rows[0], rows[-1] + 1
        result[first:last] += (share[first:last] @ reduced.reshape(len(slices), -1)).reshape(-1, *reduced.shape[1:])
    return result


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Return the clipping limits within what the type can hold (numpy 2 refuses -1024 for an unsigned type)."""
    if not np.issubdtype(dtype, np.integer):
        return AIR_HU, HIGHEST_HU
    held = np.iinfo(dtype)
    return max(int(AIR_HU), held.min), min(int(HIGHEST_HU), held.max)


def _turn_to_patient_axes(
    array: np.ndarray, grid: Geometry, order: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> sitk.Image:
    """Permute and flip a KJI array and its grid so that I, J, K run closest to L, P, S."""
    turned = array.transpose([2 - axis for axis in reversed(order)])
    turned = turned[tuple(slice(None, None, -1 if flip else None) for flip in reversed(flipped))]
    first_voxel = [0, 0, 0]
    for image_axis, flip in zip(order, flipped, strict=True):
        first_voxel[image_axis] = grid.size[image_axis] - 1 if flip else 0
    axes = grid.axes[:, list(order)] * np.where(flipped, -1.0, 1.0)
    return image_on_grid(
        turned,
        Geometry(
            whole_numbers_of(grid.size[a] for a in order),
            triple_of(grid.spacing[a] for a in order),
            triple_of(grid.physical(first_voxel)),
            tuple(axes.ravel().tolist()),
        ),
    )


def _upright_grid(image: sitk.Image, spacing_mm: Triple) -> tuple[Any, ...]:
    """Return size, transform, interpolator, origin, spacing, direction of a grid along L, P, S around the image."""
    corners = Geometry.of(image).corners()
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = np.asarray(spacing_mm, dtype=float)
    size = np.maximum(1, np.ceil((high - low) / spacing - 1e-4)).astype(int)
    origin = (low + high) / 2 - (size - 1) / 2 * spacing
    return (
        size.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        spacing.tolist(),
        np.eye(3).ravel().tolist(),
    )
