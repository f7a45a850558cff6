"""The coarse grid that clicks share: it lies still, whatever clicks there are and whatever part of the CT is given."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .working_grid import Box, voxels_per_block


class SharedGrid:
    """Blocks of voxels over a box; they begin at multiples of their size, counted from the CT's first voxel (KJI).

    Attributes
    ----------
    spacing : size of the blocks in mm along K, J, I.
    """

    def __init__(self, box: Box, spacing: tuple[float, float, float]) -> None:
        """Cover a box of voxels; `spacing` is the size of a voxel in mm along K, J, I."""
        self._merged = [int(n) for n in voxels_per_block(spacing)]
        self.spacing = tuple(float(n * s) for n, s in zip(self._merged, spacing, strict=True))
        self._before = [part.start % n for part, n in zip(box, self._merged, strict=True)]
        self._shape = [part.stop - part.start for part in box]
        self._after = [
            -(before + size) % n for before, size, n in zip(self._before, self._shape, self._merged, strict=True)
        ]

    def means_of(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of every block, float32; of a block that the box cuts, its outermost voxels count more."""
        values = values.astype(np.float32, copy=False)
        if any(self._before) or any(self._after):
            values = np.pad(values, list(zip(self._before, self._after, strict=True)), mode="edge")
        return sitk.GetArrayFromImage(sitk.BinShrink(sitk.GetImageFromArray(values), self._merged[::-1]))

    def on_voxels(self, blocks: np.ndarray) -> np.ndarray:
        """Return values of the blocks on the voxels of the box, interpolated linearly; float32."""
        image = sitk.GetImageFromArray(blocks.astype(np.float32, copy=False))
        image.SetSpacing([float(n) for n in self._merged[::-1]])
        image.SetOrigin([(n - 1) / 2 for n in self._merged[::-1]])
        fine = sitk.Resample(
            image, self._shape[::-1], sitk.Transform(), sitk.sitkLinear, [float(n) for n in self._before[::-1]],
            (1.0, 1.0, 1.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), 0.0, sitk.sitkFloat32, True,
        )  # fmt: skip
        return sitk.GetArrayFromImage(fine)
