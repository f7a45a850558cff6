"""Between the CT's grid and the model's on the device that computes: what is large is resampled there.

The CT goes there once, as it is stored, in slabs from pinned memory; only the result on the model's grid comes back.
The probability goes the other way: interpolated and rounded there, and only its box, as uint8, comes home. Both are
products with one small matrix per axis, the same as on the host (`imaging`) up to the rounding of float32. Whatever the
device cannot do, for want of memory or because axes are turned against each other, the host does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..errors import is_out_of_memory
from ..imaging.geometry import Geometry
from ..imaging.probability import interpolated_in_box
from ..imaging.resample import AIR_HU, HIGHEST_HU, resampled_along_own_axes, resampling_weights
from .device import ComputeDevice
from .memory import release_cached_memory

# 128 MB of int16 at a time, and twice as much in float32.
SLAB_VOXELS = 2**26
# Axes that meet within this, in voxels over the whole of a field, run alike.
SAME_AXIS = 1e-3


class DeviceGrids:
    """Stand-ins for `imaging.resample.resampled_along_own_axes` and `imaging.probability.interpolated_in_box`.

    Parameters
    ----------
    device : ComputeDevice
        Where to compute; any that multiplies float32 matrices.
    """

    def __init__(self, device: ComputeDevice) -> None:
        self.device = device

    def resampled(self, voxels: np.ndarray, grid: Geometry, coarse: Geometry) -> np.ndarray:
        """A KJI array of HU on a coarser or finer grid with the same axes, float32; see `to_model_grid`."""
        return self._or_on_the_host(self._resampled, resampled_along_own_axes, voxels, grid, coarse)

    def interpolated(
        self, field: sitk.Image, grid: Geometry, start: np.ndarray, stop: np.ndarray, scale: float = 255.0
    ) -> np.ndarray:
        """uint8 KJI values of a field, times `scale`, at the voxels start..stop-1 (IJK) of a grid; 0 outside of it."""
        axes = _separable(Geometry.of(field), grid)
        if axes is None:
            return interpolated_in_box(field, grid, start, stop, scale)
        return self._or_on_the_host(self._interpolated, interpolated_in_box, field, grid, start, stop, scale)

    def _or_on_the_host(
        self, here: Callable[..., np.ndarray], on_host: Callable[..., np.ndarray], *arguments: object
    ) -> np.ndarray:
        try:
            return here(*arguments)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        release_cached_memory(self.device)
        return on_host(*arguments)

    @torch.inference_mode()
    def _resampled(self, voxels: np.ndarray, grid: Geometry, coarse: Geometry) -> np.ndarray:
        along_i, along_j, along_k = (
            self._there(resampling_weights(grid.size[a], coarse.size[a], coarse.spacing[a] / grid.spacing[a]).toarray())
            for a in range(3)
        )
        result = torch.zeros((coarse.size[2], coarse.size[1] * coarse.size[0]), device=self.device.device)
        thickness = max(1, SLAB_VOXELS // (grid.size[0] * grid.size[1]))
        for first in range(0, grid.size[2], thickness):
            slab = self._there(_storable(voxels[first : first + thickness])).float().clamp_(AIR_HU, HIGHEST_HU)
            reduced = along_j @ (slab @ along_i.T)
            result.addmm_(along_k[:, first : first + len(slab)], reduced.flatten(1))
        return result.reshape(coarse.size[::-1]).cpu().numpy()

    @torch.inference_mode()
    def _interpolated(
        self, field: sitk.Image, grid: Geometry, start: np.ndarray, stop: np.ndarray, scale: float
    ) -> np.ndarray:
        axes = _separable(Geometry.of(field), grid)
        assert axes is not None, "`interpolated` asks only where they are"
        values = self._there(sitk.GetArrayFromImage(field).astype(np.float32, copy=False))
        # The field's axes in the sequence of the grid's, KJI; axis n of the field is dimension 2 - n of its array.
        values = values.permute([2 - axes[a].field_axis for a in (2, 1, 0)])
        along_k, along_j, along_i = (
            self._there(axes[a].weights(int(start[a]), int(stop[a]), values.shape[2 - a])) for a in (2, 1, 0)
        )
        k, j, i = values.shape
        values = (along_k @ values.reshape(k, j * i)).reshape(-1, j, i)
        size = [int(n) for n in (stop - start)[::-1]]
        result = torch.empty(size, dtype=torch.uint8, device=self.device.device)
        thickness = max(1, SLAB_VOXELS // (size[1] * size[2]))
        for first in range(0, size[0], thickness):
            slab = (along_j @ values[first : first + thickness]) @ along_i.T
            result[first : first + thickness] = slab.mul_(scale).clamp_(0, 255).round_().to(torch.uint8)
        return result.cpu().numpy()

    def _there(self, array: np.ndarray) -> Tensor:
        """The array on the device, by way of pinned memory where that is quicker."""
        staged = torch.empty(array.shape, dtype=_TENSOR_TYPES[array.dtype.type], pin_memory=self.device.kind == "cuda")
        np.copyto(staged.numpy(), array)
        return staged.to(self.device.device, non_blocking=True)


class _Axis:
    """Where the voxels along one axis of a grid lie along an axis of a field: offset + step * voxel."""

    def __init__(self, field_axis: int, offset: float, step: float) -> None:
        self.field_axis, self.offset, self.step = field_axis, offset, step

    def weights(self, start: int, stop: int, length: int) -> np.ndarray:
        """Linear interpolation as ITK does it, (stop - start, length): edge values go on for half a voxel, then 0."""
        positions = self.offset + self.step * np.arange(start, stop)
        below = np.floor(positions)
        fraction = positions - below
        inside = (positions >= -0.5) & (positions < length - 0.5)
        matrix = np.zeros((stop - start, length), np.float32)
        rows = np.arange(stop - start)
        for column, share in ((below, 1.0 - fraction), (below + 1.0, fraction)):
            np.add.at(matrix, (rows, np.clip(column, 0, length - 1).astype(int)), share * inside)
        return matrix


def _separable(field: Geometry, grid: Geometry) -> tuple[_Axis, _Axis, _Axis] | None:
    """For each axis of the grid, IJK, the field's axis along which it runs; None where they are turned."""
    steps = np.linalg.inv(field.index_to_physical) @ grid.index_to_physical
    offset = field.index(grid.origin)
    along = np.abs(steps).argmax(axis=0)
    if sorted(along) != [0, 1, 2]:
        return None
    off = steps * np.asarray(grid.size)
    off[along, range(3)] = 0.0
    if np.abs(off).max() > SAME_AXIS:
        return None
    i, j, k = (_Axis(int(f), float(offset[f]), float(steps[f, a])) for a, f in enumerate(along))
    return i, j, k


_TENSOR_TYPES = {np.int16: torch.int16, np.float32: torch.float32}


def _storable(slab: np.ndarray) -> np.ndarray:
    """CTs are stored as int16; everything else, rarer and larger, goes as float32, clipped before it loses digits."""
    if slab.dtype == np.int16:
        return slab
    return np.clip(slab.astype(np.float64), AIR_HU, HIGHEST_HU).astype(np.float32)
