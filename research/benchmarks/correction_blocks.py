"""Voxels in blocks of about 2 mm, for methods that are too slow on every voxel, and the way back to the voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from AttentionUNetSegLib.correction import Seed
from scipy import ndimage

BLOCK_MM = 2.0


class Blocks:
    """Blocks of whole voxels, the first of which begins with the first voxel; all arrays KJI.

    Parameters
    ----------
    shape : voxels along each axis. The last block of an axis may reach beyond them.
    spacing : of the voxels in mm.
    """

    def __init__(self, shape: Sequence[int], spacing: Sequence[float]) -> None:
        self.voxels, self.voxel_spacing = tuple(shape), tuple(spacing)
        self.step = tuple(max(1, round(BLOCK_MM / mm)) for mm in spacing)
        self.spacing = tuple(mm * n for mm, n in zip(spacing, self.step, strict=True))
        self.shape = tuple(-(-length // n) for length, n in zip(shape, self.step, strict=True))

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of each block's voxels; beyond the last voxel its value goes on."""
        missing = [n * k - length for n, k, length in zip(self.shape, self.step, self.voxels, strict=True)]
        whole = np.pad(np.asarray(values, np.float32), [(0, n) for n in missing], mode="edge")
        parts = whole.reshape([n for pair in zip(self.shape, self.step, strict=True) for n in pair])
        return parts.mean(axis=(1, 3, 5))

    def millimetres(self, voxel: Sequence[int]) -> np.ndarray:
        """How far the centre of every block is from the centre of a voxel."""
        place = [(v + 0.5) / n - 0.5 for v, n in zip(voxel, self.step, strict=True)]
        return millimetres([np.arange(n) for n in self.shape], place, self.spacing)

    def repeated(self, values: np.ndarray, box: Sequence[slice]) -> np.ndarray:
        """The value of the block that each voxel of a box lies in."""
        indices = [np.arange(side.start, side.stop) // n for side, n in zip(box, self.step, strict=True)]
        return values[np.ix_(*indices)]

    def interpolated(self, values: np.ndarray, box: Sequence[slice]) -> np.ndarray:
        """Values between the centres of the blocks, linearly, on the voxels of a box."""
        return ndimage.affine_transform(
            np.asarray(values, np.float32),
            [1.0 / n for n in self.step],
            [(side.start + 0.5) / n - 0.5 for side, n in zip(box, self.step, strict=True)],
            [side.stop - side.start for side in box],
            order=1,
            mode="nearest",
        )


def nearest_clicks(seeds: Sequence[Seed], shape: Sequence[int], distance) -> dict[bool, np.ndarray]:
    """How far every place is from the nearest click of either kind; `distance` gives that from one voxel."""
    nearest = {kind: np.full(shape, np.inf) for kind in (True, False)}
    for seed in seeds:
        np.minimum(nearest[seed.positive], distance(seed.voxel), out=nearest[seed.positive])
    return nearest


def box_around(seeds: Sequence[Seed], shape: Sequence[int], spacing: Sequence[float], reach_mm: float) -> tuple:
    """The voxels that a ball of a radius around any click may touch."""
    places = np.array([seed.voxel for seed in seeds])
    reach = np.ceil(reach_mm / np.array(spacing)).astype(int)
    low = np.maximum(places.min(axis=0) - reach, 0)
    high = np.minimum(places.max(axis=0) + reach + 1, shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def millimetres(indices: Sequence[np.ndarray], place: Sequence[float], spacing: Sequence[float]) -> np.ndarray:
    """How far the places with these indices along K, J, I are from one place."""
    squares = [((index - at) * mm) ** 2 for index, at, mm in zip(indices, place, spacing, strict=True)]
    return np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
