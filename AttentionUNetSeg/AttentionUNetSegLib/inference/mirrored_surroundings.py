"""What the network sees beyond the ends of a scan: the scan's mirror image, for 40 mm.

Where a scan ends is no edge of the body. A network that sees nothing beyond (which looks like air) loses a gland near
the end: of a cube of 12 cm about the gland it found none of it at all, where the whole scan gave the whole gland.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIRRORED_MM = 40.0


@dataclass(frozen=True)
class Mirrored:
    """How many voxels are mirrored beyond each side of a field.

    Attributes
    ----------
    before, after : tuple[int, int, int]
        Voxels along K, J, I; each a multiple of the network's stride, so that pooling windows and the grid of every
        gate stay where the field begins.
    size : tuple[int, int, int]
        Of the field (K, J, I), without them.
    """

    before: tuple[int, int, int]
    after: tuple[int, int, int]
    size: tuple[int, int, int]

    @classmethod
    def about(cls, box: Sequence[slice], shape: Sequence[int], spacing_mm: Sequence[float], stride: int) -> Mirrored:
        """Mirror where the field ends with the scan; where air around the body was cut away, air is the truth.

        Parameters
        ----------
        box : Sequence[slice]
            The field (KJI) within the scan.
        shape : Sequence[int]
            Of the scan on the model's grid (K, J, I).
        spacing_mm : Sequence[float]
            Of that grid, (I, J, K).
        stride : int
            Of the network.
        """
        wanted = [math.ceil(MIRRORED_MM / mm / stride) * stride for mm in reversed(spacing_mm)]
        # One voxel has no mirror image.
        size = tuple(side.stop - side.start for side in box)
        amounts = [amount if length > 1 else 0 for amount, length in zip(wanted, size, strict=True)]
        before = tuple(amount * (side.start == 0) for amount, side in zip(amounts, box, strict=True))
        after = tuple(amount * (side.stop == n) for amount, side, n in zip(amounts, box, shape, strict=True))
        return cls(before, after, size)

    def padded(self, field: np.ndarray) -> np.ndarray:
        """The field (K, J, I) with its mirror image beyond its sides."""
        return np.pad(field, list(zip(self.before, self.after, strict=True)), mode="reflect")

    def cropped(self, computed: np.ndarray, level: int = 0) -> np.ndarray:
        """Of an array on the padded field's grid, `level` times halved, the part that covers the field."""
        parts = (
            slice(start >> level, (start >> level) + -(-length // 2**level))
            for start, length in zip(self.before, self.size, strict=True)
        )
        return computed[tuple(parts)]
