"""From HU of tissue to what a scanner makes of them: slices, kernel, correlated noise, artefacts, a couch."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from ...imaging import image_on_grid, to_model_grid
from ...imaging.geometry import Geometry
from .random_fields import smooth_field


def acquire(rng: np.random.Generator, hu: np.ndarray, grid: Geometry, slice_mm: float) -> sitk.Image:
    """Scan: blur as a reconstruction kernel does, average to slices of `slice_mm`, add noise and artefacts.

    Parameters
    ----------
    hu : float32 (K, J, I) on `grid`, identity direction.

    Returns
    -------
    int16 image in HU with slices of `slice_mm`, the plane's spacing as it was.
    """
    spacing = grid.spacing
    if rng.random() < 0.12:
        hu = _breathe(rng, hu, spacing)
    for axis, step in ((1, spacing[1]), (2, spacing[0])):
        hu = gaussian_filter1d(hu, rng.uniform(0.4, 1.1) / step, axis=axis, mode="nearest")
    image = image_on_grid(hu.astype(np.float32), grid)
    if slice_mm > spacing[2] * 1.05:
        image = to_model_grid(image, (spacing[0], spacing[1], slice_mm))
    slices = sitk.GetArrayFromImage(image)
    slices += _noise(rng, slices.shape, spacing, rng.uniform(4, 26) * np.clip(np.sqrt(2.5 / slice_mm), 0.6, 1.5))
    if rng.random() < 0.3:  # beam hardening and scatter: the level drifts over the field of view
        slices += rng.uniform(2, 9) * smooth_field(rng, slices.shape, (slice_mm, spacing[1], spacing[0]), 90.0)
    if rng.random() < 0.12:
        slices += _streaks(rng, slices)
    if rng.random() < 0.1:  # another calibration
        slices = slices * rng.uniform(0.95, 1.05) + rng.normal(0, 6)
    return image_on_grid(np.clip(np.rint(slices), -1024, 3071).astype(np.int16), Geometry.of(image))


def lay_on_couch(
    rng: np.random.Generator, hu: np.ndarray, body: np.ndarray, spacing_mm: tuple[float, float, float]
) -> None:
    """Paint a couch below (high J) the body into the air; changes `hu` (K, J, I)."""
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    if not len(rows):
        return
    top = int(rows[-1] + rng.uniform(1, 12) / spacing_mm[1])
    columns = np.arange(hu.shape[2]) - hu.shape[2] / 2
    sag = (columns * spacing_mm[2]) ** 2 * rng.uniform(0, 4e-4)  # a curved couch; mm above its middle
    thickness = max(1, round(rng.uniform(2, 6) / spacing_mm[1]))
    value, filling = rng.uniform(-300, 150), rng.uniform(-960, -800)
    deep = round(rng.uniform(20, 60) / spacing_mm[1])
    for i in range(hu.shape[2]):
        row = top - int(sag[i] / spacing_mm[1])
        for first, last, paint in ((row, row + deep, filling), (row, row + thickness, value)):
            first, last = max(first, 0), min(last, hu.shape[1])
            if first < last:
                air = ~body[:, first:last, i]
                hu[:, first:last, i][air] = paint


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], spacing: tuple[float, ...], deviation: float
) -> np.ndarray:
    """Noise of filtered back projection: correlated in the plane; a sharp kernel also lacks low frequencies."""
    noise = rng.standard_normal(shape, np.float32)
    plane = (0.0, rng.uniform(0.5, 1.3) / spacing[1], rng.uniform(0.5, 1.3) / spacing[0])
    noise = gaussian_filter(noise, plane, mode="wrap")
    if rng.random() < 0.5:
        noise -= 0.8 * gaussian_filter(noise, (0.0, 3.0 / spacing[1], 3.0 / spacing[0]), mode="wrap")
    return noise * np.float32(deviation / max(float(noise.std()), 1e-6))


def _breathe(rng: np.random.Generator, hu: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Motion: each slice shifted and doubled a little, smoothly along the patient."""
    along = gaussian_filter1d(rng.standard_normal(hu.shape[0]), 6)
    shifts = np.rint(along / max(along.std(), 1e-6) * rng.uniform(0.5, 2.5) / spacing[1]).astype(int)
    moved = np.stack([np.roll(one, shift, axis=0) for one, shift in zip(hu, shifts, strict=True)])
    share = np.float32(rng.uniform(0.2, 0.6))
    return (1 - share) * hu + share * moved


def _streaks(rng: np.random.Generator, slices: np.ndarray) -> np.ndarray:
    """Streaks from something dense (metal, arms, barium) through a few neighbouring slices."""
    result = np.zeros_like(slices)
    middle = rng.uniform(0.2, 0.8, 3) * slices.shape
    rows, columns = np.mgrid[: slices.shape[1], : slices.shape[2]]
    angle = np.arctan2(rows - middle[1], columns - middle[2])
    distance = np.hypot(rows - middle[1], columns - middle[2]) + 4
    pattern = sum(rng.normal() * np.cos(n * angle + rng.uniform(0, 6.3)) for n in rng.integers(3, 30, 8))
    pattern = pattern / np.abs(pattern).max() * rng.uniform(30, 160) * np.exp(-distance / 60)
    reach = rng.uniform(1, 4)
    for k in range(slices.shape[0]):
        result[k] = pattern * np.exp(-(((k - middle[0]) / reach) ** 2))
    return result
