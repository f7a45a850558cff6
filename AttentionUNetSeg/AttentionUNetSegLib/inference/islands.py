"""Islands far from the gland: what a network takes for pancreas in a neck, a chest or a pelvis.

The pancreas is one organ. What lies more than 30 mm from the largest part, and is much smaller, is none of it. It is
taken out of the probability, so that no threshold brings it back, and told in a sentence.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FAR_MM = 30.0
# An island of at least this share of the largest part stays: which of the two is the gland, a person has to say.
COMPARABLE = 1 / 3
# An island reaches as far as the network gives it any chance.
LOWEST = 0.1
# Distances are measured on blocks of so many voxels a side: to the nearest centimetre is enough.
BLOCK = 4
_NEIGHBOURS_26 = np.ones((3, 3, 3), bool)


def without_far_islands(
    probability: np.ndarray, threshold: float, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, float]:
    """Return the probability without islands far from the largest part, and how many mL of them reached the threshold.

    Parameters
    ----------
    probability : np.ndarray
        Float (K, J, I), 0..1; it is not changed.
    threshold : float
        Of the segment.
    spacing_mm : tuple[float, float, float]
        Along K, J, I.
    """
    labels, count = ndimage.label(probability >= min(LOWEST, threshold), structure=_NEIGHBOURS_26)
    if count < 2:
        return probability, 0.0
    sizes = np.bincount(labels[probability >= threshold], minlength=count + 1)
    sizes[0] = 0
    largest = int(sizes.argmax())
    if not sizes[largest]:
        return probability, 0.0
    far = np.ones(count + 1, bool)
    far[np.unique(labels[_near(labels == largest, spacing_mm)])] = False
    far[sizes >= COMPARABLE * sizes[largest]] = False
    far[[0, largest]] = False
    if not far.any():
        return probability, 0.0
    kept = np.where(far[labels], 0, probability).astype(probability.dtype)
    return kept, float(sizes[far].sum() * np.prod(spacing_mm) / 1000)


def _near(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Where the nearest block of the mask lies within 30 mm."""
    padded = np.pad(mask, [(0, -length % BLOCK) for length in mask.shape])
    blocks = padded.reshape([part for length in padded.shape for part in (length // BLOCK, BLOCK)]).any(axis=(1, 3, 5))
    distance = ndimage.distance_transform_edt(~blocks, [BLOCK * length for length in spacing_mm])
    near = (distance <= FAR_MM).repeat(BLOCK, 0).repeat(BLOCK, 1).repeat(BLOCK, 2)
    return near[tuple(slice(0, length) for length in mask.shape)]
