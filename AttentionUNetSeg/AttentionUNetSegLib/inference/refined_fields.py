"""A change of log odds and attention, found on a patch, brought into the whole fields and faded out around the clicks.

What is stored is changed by the difference of two passes over one patch. So what distinguishes a patch from the whole
field of view (its borders, tiles, precision, test-time augmentation) cancels out, and where the difference has faded to
nothing the stored values stay as they are, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..correction import FURTHEST
from ..imaging import Geometry, bounding_box, image_on_grid


@dataclass(frozen=True)
class ReachingClick:
    """A click and how far the network's answer to it is taken over.

    Attributes
    ----------
    position : LPS in mm.
    positive : a click that adds only raises, one that removes only lowers.
    reach_mm : taken over fully up to here, not at all beyond `FURTHEST` times it.
    """

    position: tuple[float, float, float]
    positive: bool
    reach_mm: float


Clicks = Sequence[ReachingClick]


def refined_probability(
    stored: sitk.Image,
    reference: Geometry,
    log_odds: sitk.Image,
    own: sitk.Image,
    clicks: Clicks,
) -> sitk.Image:
    """The stored probability with a change of log odds added, uint8 on the same voxels, its box enlarged if need be.

    Parameters
    ----------
    stored : uint8 0..255, a part of `reference`'s voxels; 0 elsewhere.
    reference : the CT's grid.
    log_odds : float32, the change, on the patch's grid.
    own : float32, the network's own log odds on the patch: what a stored 0 or 255 leaves open is taken from it.
    clicks : where the change is taken over.
    """
    start = np.rint(reference.index(stored.GetOrigin())).astype(int)
    low, high = box_around(reference, clicks)
    first = np.minimum(start, low)
    last = np.maximum(start + stored.GetSize(), high)
    whole = np.zeros((last - first)[::-1], np.uint8)
    old = tuple(slice(a, a + n) for a, n in zip((start - first)[::-1], stored.GetSize()[::-1], strict=True))
    whole[old] = sitk.GetArrayViewFromImage(stored)
    here = tuple(slice(a, b) for a, b in zip((low - first)[::-1], (high - first)[::-1], strict=True))
    part = reference.cropped(tuple(low), tuple(high - low))
    raised, lowered = fades(part, clicks)
    change = _on_grid(log_odds, part)
    change = np.maximum(change, 0.0) * raised + np.minimum(change, 0.0) * lowered
    whole[here] = _added(whole[here], change, _on_grid(own, part))
    tight = _tight(whole, old)
    grid = reference.cropped(tuple(first + [box.start for box in reversed(tight)]), whole[tight].shape[::-1])
    return image_on_grid(whole[tight], grid)


def refined_attention(stored: sitk.Image, change: sitk.Image, clicks: Clicks) -> sitk.Image:
    """The stored coefficients (uint8 0..255) with a change (float32) added, on the same grid."""
    grid = Geometry.of(stored)
    low, high = box_around(grid, clicks)
    part = grid.cropped(tuple(low), tuple(high - low))
    added = 255.0 * _on_grid(change, part) * np.maximum(*fades(part, clicks))
    values = sitk.GetArrayFromImage(stored)
    here = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))
    values[here] = np.rint(np.clip(values[here] + added, 0, 255)).astype(np.uint8)
    return image_on_grid(values, stored)


def fades(grid: Geometry, clicks: Clicks) -> tuple[np.ndarray, np.ndarray]:
    """Share of a raising and of a lowering change that is taken over at every place of a grid, KJI float32."""
    shares = {True: np.zeros(grid.size[::-1], np.float32), False: np.zeros(grid.size[::-1], np.float32)}
    for click in clicks:
        distance = np.sqrt(squared_distances(grid, [click.position])[0])
        share = np.clip((FURTHEST * click.reach_mm - distance) / ((FURTHEST - 1.0) * click.reach_mm), 0.0, 1.0)
        np.maximum(shares[click.positive], share * share * (3.0 - 2.0 * share), out=shares[click.positive])
    return shares[True], shares[False]


def squared_distances(grid: Geometry, points: Sequence[Sequence[float]]) -> np.ndarray:
    """Squared distances in mm of every place of a grid from every point (LPS, mm), (points, K, J, I) float32."""
    found = []
    for place in grid.index(np.asarray(points, dtype=float)):
        axes = [((np.arange(n) - p) * s) ** 2 for n, p, s in zip(grid.size, place, grid.spacing, strict=True)]
        total = axes[2][:, None, None] + axes[1][None, :, None] + axes[0][None, None, :]
        found.append(total.astype(np.float32))
    return np.stack(found)


def box_around(grid: Geometry, clicks: Clicks, margin_mm: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """First voxel and the one after the last (IJK) of the box, within the grid, that holds all that clicks may change.

    `margin_mm` widens it on all sides.
    """
    places = grid.index(np.asarray([click.position for click in clicks], dtype=float))
    radii = np.array([[FURTHEST * click.reach_mm + margin_mm] for click in clicks]) / np.asarray(grid.spacing)
    size = np.asarray(grid.size)
    # The same box on every part of a CT, whatever the last digit says.
    low = np.clip(np.floor((places - radii).min(axis=0) + 1e-6).astype(int), 0, size - 1)
    high = np.clip(np.ceil((places + radii).max(axis=0) - 1e-6).astype(int) + 1, low + 1, size)
    return low, high


def _on_grid(image: sitk.Image, grid: Geometry) -> np.ndarray:
    """Linear interpolation; the outermost values go on beyond the edge."""
    resampled = sitk.Resample(
        image, grid.size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction,
        0.0, sitk.sitkFloat32, True,
    )  # fmt: skip
    return sitk.GetArrayFromImage(resampled)


def log_odds_range(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest log odds that round to each stored value (0..255, also between whole values)."""
    with np.errstate(divide="ignore"):
        low = np.log(np.maximum(stored - 0.5, 0.0)) - np.log(np.minimum(255.5 - stored, 255.0))
        high = np.log(np.minimum(stored + 0.5, 255.0)) - np.log(np.maximum(254.5 - stored, 0.0))
    return low.astype(np.float32), high.astype(np.float32)


def _added(stored: np.ndarray, change: np.ndarray, own: np.ndarray) -> np.ndarray:
    touched = np.abs(change) > 1e-3
    base = np.clip(own[touched], *(bound[stored[touched]] for bound in _RANGE))
    new = stored.copy()
    new[touched] = np.rint(255.0 / (1.0 + np.exp(-(base + change[touched])))).astype(np.uint8)
    return new


_RANGE = log_odds_range(np.arange(256, dtype=np.float32))


def _tight(values: np.ndarray, kept: tuple[slice, ...]) -> tuple[slice, ...]:
    """The smallest box that holds `kept` and everything that is not 0."""
    found = bounding_box(values) or kept
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(kept, found, strict=True))
