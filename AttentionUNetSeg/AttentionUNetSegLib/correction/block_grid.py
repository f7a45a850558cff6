"""The coarse grid on which clicks are computed, so that they cost the same on every CT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

# Voxels smaller than this are merged.
BLOCK_MM = 1.8

Triple = tuple[int, int, int]
Box = tuple[slice, slice, slice]


class BlockGrid:
    """A box of blocks of voxels, about `BLOCK_MM` large; all triples are KJI.

    Blocks are counted from the CT's first voxel, so they lie still whatever the clicks and whatever part of the CT is
    given. Arrays of voxels come with their `origin`, the place on the CT (k, j, i) of their first voxel.

    Attributes
    ----------
    blocks : Box
        Which blocks, along each axis.
    merged : voxels per block along each axis.
    spacing : tuple[float, float, float]
        Size of the blocks in mm.
    """

    def __init__(self, blocks: Box, spacing: tuple[float, float, float]) -> None:
        """Take a box of blocks; `spacing` is the size of a voxel in mm."""
        self.blocks = blocks
        self.merged = _voxels_per_block(spacing)
        self._voxel_spacing = np.array(spacing, dtype=float)
        k, j, i = (float(size) for size in self.merged * self._voxel_spacing)
        self.spacing = (k, j, i)
        self._start = np.array([part.start for part in blocks])
        self._stop = np.array([part.stop for part in blocks])

    @classmethod
    def around(
        cls,
        voxels: Triple | np.ndarray,
        origin: Triple,
        shape: tuple[int, ...],
        spacing: tuple[float, float, float],
        radius_mm: float,
    ) -> BlockGrid:
        """Return the grid of all blocks near one or more voxels, with one more at each end; only those that are given.

        Parameters
        ----------
        voxels : Triple | np.ndarray
            (k, j, i) on the CT, one or (n, 3).
        origin, shape : of the array of voxels that is given.
        """
        merged = _voxels_per_block(spacing)
        wanted = np.ceil(radius_mm / (merged * np.array(spacing, dtype=float))).astype(int) + 1
        blocks = np.atleast_2d(voxels) // merged
        first = np.maximum(blocks.min(axis=0) - wanted, np.array(origin) // merged)
        last = np.minimum(blocks.max(axis=0) + wanted, (np.array(origin) + shape - 1) // merged)
        k, j, i = (slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        return cls((k, j, i), spacing)

    def block_of(self, voxel: Triple) -> Triple:
        """Return the index in arrays of this grid of the block that holds a voxel of the CT."""
        k, j, i = (int(n) for n in np.array(voxel) // self.merged - self._start)
        return k, j, i

    def voxels(self, origin: Triple, shape: tuple[int, ...]) -> Box:
        """Return the part of an array of voxels that the blocks hold."""
        k, j, i = (slice(max(0, a), min(n, b)) for a, b, n in zip(*self._ends(origin), shape, strict=True))
        return k, j, i

    def means_of(
        self, values: np.ndarray, origin: Triple, prepared: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """Return the mean of every block, float32; beyond the array its outermost voxels go on.

        `prepared` makes of values what is averaged; it gets no more of them than the blocks hold.
        """
        part = values[self.voxels(origin, values.shape)]
        part = (part if prepared is None else prepared(part)).astype(np.float32, copy=False)
        missing = [(max(0, -a), max(0, b - n)) for a, b, n in zip(*self._ends(origin), values.shape, strict=True)]
        if np.any(missing):
            part = np.pad(part, missing, mode="edge")
        return sitk.GetArrayFromImage(sitk.BinShrink(sitk.GetImageFromArray(part), self.merged[::-1].tolist()))

    def on_voxels(self, values: np.ndarray, origin: Triple, shape: tuple[int, ...]) -> tuple[Box, np.ndarray]:
        """Return values of the blocks on voxels of an array, interpolated linearly: which voxels, and float32."""
        inside = self.voxels(origin, shape)
        image = sitk.GetImageFromArray(values.astype(np.float32, copy=False))
        image.SetSpacing([float(n) for n in self.merged[::-1]])
        image.SetOrigin([float(n) for n in (self._start * self.merged + (self.merged - 1) / 2 - origin)[::-1]])
        size = [part.stop - part.start for part in inside[::-1]]
        first = [float(part.start) for part in inside[::-1]]
        unturned = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        fine = sitk.Resample(
            image, size, sitk.Transform(), sitk.sitkLinear, first, (1.0, 1.0, 1.0), unturned,
            0.0, sitk.sitkFloat32, True,
        )  # fmt: skip
        return inside, sitk.GetArrayFromImage(fine)

    def distance_mm(self, voxel: Triple) -> np.ndarray:
        """Return the straight distance of the middle of every block from a voxel of the CT."""
        axes = [
            (middles - at) * size for middles, at, size in zip(self.middles(), voxel, self._voxel_spacing, strict=True)
        ]
        return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))

    def blocks_of(self, voxels: np.ndarray) -> np.ndarray:
        """Return the indices (m, 3) in arrays of this grid, each once, of the blocks that hold voxels (n, 3) of the CT.

        Blocks that are not of this grid are left out.
        """
        found = np.unique(voxels // self.merged - self._start, axis=0)
        return found[np.all((found >= 0) & (found < self._stop - self._start), axis=1)]

    def middles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where, along each axis, the middles of the blocks lie, counted in voxels of the CT."""
        return tuple(
            np.arange(part.start, part.stop) * n + (n - 1) / 2 for part, n in zip(self.blocks, self.merged, strict=True)
        )

    @property
    def diagonal_mm(self) -> float:
        """From the middle of one block to that of a block beside it in all three axes."""
        return float(np.linalg.norm(self.spacing))

    def _ends(self, origin: Triple) -> tuple[list[int], list[int]]:
        """Return the first voxel of the blocks and the one after their last, in an array; it may end before."""
        return tuple((ends * self.merged - origin).tolist() for ends in (self._start, self._stop))


def neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what selects, of a volume, all blocks that have a next one along an axis, and these next ones."""
    before, after = ([slice(None)] * 3 for _ in range(2))
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)


def _voxels_per_block(spacing: tuple[float, float, float]) -> np.ndarray:
    return np.maximum(1, np.rint(BLOCK_MM / np.array(spacing, dtype=float))).astype(int)
