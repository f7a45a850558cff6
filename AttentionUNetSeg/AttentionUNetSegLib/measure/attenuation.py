"""What the CT shows within the segment: Hounsfield units, and fat between the lobules."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .smooth_shape import SmoothShape

# Adipose tissue on CT (H. Kvist et al., Am J Clin Nutr 1988;48:1351).
FAT_HU = -190, -30
# Clefts between lobules up to twice as wide are part of the gland.
CLOSING_MM = 4.0
PERCENTILES = 5, 25, 50, 75, 95


def attenuation(ct: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation and percentiles of the HU within the mask (both KJI); {} where it is empty."""
    values = ct[mask].astype(np.float32)
    if not len(values):
        return {}
    found = {"hu_mean": float(values.mean(dtype=float)), "hu_sd": float(values.std(dtype=float))}
    found |= {f"hu_p{p:02d}": float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}
    return found


def fat_share(ct: np.ndarray, mask: np.ndarray, shape: SmoothShape, spacing: np.ndarray) -> float:
    """Return the share (0..1) of voxels of -190 to -30 HU within the gland's smoothed hull.

    Networks and people draw around the fat between lobules or through it as they like. So it is counted within a hull:
    the mask, and what lies a step of the grid (1 to 2 mm) deep within the smooth shape closed by a ball of 4 mm. The
    step keeps the fat around the gland out.

    Parameters
    ----------
    ct, mask : HU and boolean (KJI), on the grid that `shape` was made of.
    spacing : mm along K, J, I.
    """
    hull = deep_within_closed(shape)
    index = [
        np.clip(np.rint((np.arange(n) * s - o) / shape.step).astype(int), 0, size - 1)
        for n, s, o, size in zip(mask.shape, spacing, shape.origin, hull.shape, strict=True)
    ]
    values = ct[hull[np.ix_(*index)] | mask]
    return float(np.mean((values >= FAT_HU[0]) & (values <= FAT_HU[1])))


def deep_within_closed(shape: SmoothShape) -> np.ndarray:
    """Return what lies deeper than a step within the shape closed by a ball of 4 mm (boolean, on the shape's grid)."""
    margin = int(np.ceil(CLOSING_MM / shape.step)) + 1
    inside = np.pad(shape.inside, margin)
    grown = ndimage.distance_transform_edt(~inside, shape.step) <= CLOSING_MM
    deep = ndimage.distance_transform_edt(grown, shape.step) > CLOSING_MM + shape.step
    return np.asarray(deep[(slice(margin, -margin),) * 3])
