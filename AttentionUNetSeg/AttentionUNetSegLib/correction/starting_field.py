"""Any segmentation as a field: the signed distance from its surface as log odds, for threshold and clicks to act on.

A mask says inside or outside and nothing else. As a field it is undecided at its surface and certain
`SATURATION_MM` away from it: a threshold of another value moves the surface by up to that much, and clicks outweigh it
as they outweigh a network that is certain.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .log_odds import LOG_ODDS, NETWORK_LOG_ODDS, stored_probability

# So far from the surface, in mm, a mask counts as certain: stored as 255 or 0.
SATURATION_MM = 3.0
# The threshold at which the field of a mask is the mask.
MASK_THRESHOLD = 0.5


def signed_depth(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return mm below a mask's surface, float32, negative outside, cut off at `SATURATION_MM`; never 0.

    The surface lies half of the smallest spacing in front of the middle of the mask's outermost voxels.

    Parameters
    ----------
    mask : np.ndarray
        KJI; what is not 0 belongs to it. Beyond the array nothing does.
    spacing : tuple[float, float, float]
        Voxel size in mm along K, J, I.
    """
    inside = mask != 0
    depth = np.full(inside.shape, -SATURATION_MM, np.float32)
    found = ndimage.find_objects(inside.view(np.uint8))
    if not found:
        return depth
    margins = [int(np.ceil(SATURATION_MM / size)) + 1 for size in spacing]
    near = tuple(slice(max(0, part.start - n), part.stop + n) for part, n in zip(found[0], margins, strict=True))
    half = min(spacing) / 2
    # One voxel more on every side, so that a mask that fills the array has a surface too.
    padded = np.pad(inside[near], 1)
    here = (slice(1, -1),) * 3
    below = ndimage.distance_transform_edt(padded, sampling=spacing)[here]
    above = ndimage.distance_transform_edt(~padded, sampling=spacing)[here]
    signed = np.where(inside[near], below - half, half - above)
    depth[near] = np.clip(signed, -SATURATION_MM, SATURATION_MM)
    return depth


def field_of_depth(depth_mm: np.ndarray) -> np.ndarray:
    """Return the stored probability, uint8, of a signed depth: 128 and more inside, 127 and less outside.

    The log odds rise by `NETWORK_LOG_ODDS` over `SATURATION_MM`; from there on it is 255 or 0.
    """
    field = stored_probability(depth_mm * np.float32(NETWORK_LOG_ODDS / SATURATION_MM))
    field = np.where(depth_mm >= 0, np.maximum(field, 128), np.minimum(field, 127))
    field[depth_mm >= SATURATION_MM] = 255
    field[depth_mm <= -SATURATION_MM] = 0
    return field.astype(np.uint8)


def changed_field(start: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return a stored field with a change of its log odds; exactly what it was where the change is 0.

    Parameters
    ----------
    start : np.ndarray
        uint8 0..255, a stored probability.
    change : np.ndarray
        float32, same shape, added to its log odds.
    """
    changed = start.copy()
    touched = change != 0
    changed[touched] = stored_probability(LOG_ODDS[start[touched]] + change[touched])
    return changed


def change_between(start: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return by how much the log odds of a stored field changed, float32.

    Parameters
    ----------
    start, now : np.ndarray
        uint8 0..255, stored probabilities of one shape.
    """
    return LOG_ODDS[now] - LOG_ODDS[start]
