"""The coarse grid on which a click's influence is computed, so that it costs the same on every CT."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

# Voxels smaller than this are merged.
WORKING_SPACING_MM = 1.8

Box = tuple[slice, slice, slice]


def voxels_per_block(spacing: tuple[float, float, float]) -> np.ndarray:
    """Return how many voxels of a size in mm are merged along each axis; 1 where they are not small."""
    return np.maximum(1, np.rint(WORKING_SPACING_MM / np.array(spacing, dtype=float))).astype(int)


class WorkingGrid:
    """Blocks of voxels around a click, about `WORKING_SPACING_MM` large; all triples are KJI.

    The blocks are placed by the click and end where the CT ends. A crop that holds all of `start`..`stop` therefore
    gives the same blocks as the whole CT.

    Attributes
    ----------
    merged : voxels per block along each axis.
    spacing : size of the blocks in mm.
    size : number of blocks.
    middle : the click's block.
    start, stop : the voxels that the blocks cover; the outermost may reach beyond the CT.
    """

    def __init__(
        self,
        voxel: tuple[int, int, int],
        shape: tuple[int, ...],
        spacing: tuple[float, float, float],
        radius_mm: float,
    ) -> None:
        self._voxel = np.array(voxel)
        self._shape = np.array(shape)
        self._voxel_spacing = np.array(spacing, dtype=float)
        self._radius_mm = radius_mm
        self.merged = voxels_per_block(spacing)
        self.spacing = tuple(float(s) for s in self.merged * self._voxel_spacing)
        wanted = np.ceil(radius_mm / np.array(self.spacing)).astype(int) + 1
        before, after = (self.merged - 1) // 2, self.merged // 2  # voxels of the click's block beside the click
        self.middle = np.minimum(wanted, -(-np.maximum(0, self._voxel - before) // self.merged))
        room = np.maximum(0, self._shape - 1 - self._voxel - after)
        self.size = self.middle + 1 + np.minimum(wanted, -(-room // self.merged))
        self.start = self._voxel - before - self.middle * self.merged
        self.stop = self.start + self.size * self.merged

    def means_of(self, values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
        """Return the mean of every block, float32, of values cut off at the lowest and the highest."""
        shape = values.shape
        inside = tuple(slice(max(0, a), min(b, n)) for a, b, n in zip(self.start, self.stop, shape, strict=True))
        means = np.clip(values[inside], lowest, highest).astype(np.float32)
        missing = [(max(0, -a), max(0, b - n)) for a, b, n in zip(self.start, self.stop, shape, strict=True)]
        if np.any(missing):
            means = np.pad(means, missing, mode="edge")
        for axis in range(3):
            if self.merged[axis] > 1:
                split = [*means.shape[:axis], self.size[axis], self.merged[axis], *means.shape[axis + 1 :]]
                means = means.reshape(split).mean(axis=axis + 1)
        return means

    def distance_mm(self) -> np.ndarray:
        """Return the straight distance of every block from the click's."""
        axes = [(np.arange(n) - m) * s for n, m, s in zip(self.size, self.middle, self.spacing, strict=True)]
        return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))

    def nearest_mm(self, blocks: np.ndarray) -> float:
        """Return the distance of the nearest of some blocks (a mask) from the click's; infinity where there is none."""
        return float(self.distance_mm()[blocks].min(initial=np.inf))

    def on_voxels(self, distance: np.ndarray, furthest: float) -> tuple[Box, np.ndarray]:
        """Return values of the blocks on voxels: the tightest box with any below `furthest`, and the values, float32.

        They are interpolated linearly, `furthest` beyond the radius and 0 at the click.
        """
        distance = np.where(self.distance_mm() > self._radius_mm, furthest, distance).astype(np.float32)
        reached = np.argwhere(distance < furthest)
        first = np.maximum(reached.min(axis=0) - 1, 0)
        last = np.minimum(reached.max(axis=0) + 1, self.size - 1)
        start = np.maximum(self.start + first * self.merged, 0)
        stop = np.minimum(self.start + (last + 1) * self.merged, self._shape)
        image = sitk.GetImageFromArray(distance)
        image.SetSpacing([float(n) for n in self.merged[::-1]])
        image.SetOrigin([float(n) for n in (self.start + (self.merged - 1) / 2)[::-1]])
        fine = sitk.Resample(
            image, [int(n) for n in (stop - start)[::-1]], sitk.Transform(), sitk.sitkLinear,
            [float(n) for n in start[::-1]], (1.0, 1.0, 1.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
            furthest, sitk.sitkFloat32, True,
        )  # fmt: skip
        values = sitk.GetArrayFromImage(fine)
        values[self._straight_squared(start, stop) > self._radius_mm**2] = furthest
        values[tuple(self._voxel - start)] = 0.0
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)), values

    def _straight_squared(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        axes = [
            (np.arange(a, b) - v) * s for a, b, v, s in zip(start, stop, self._voxel, self._voxel_spacing, strict=True)
        ]
        return sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
