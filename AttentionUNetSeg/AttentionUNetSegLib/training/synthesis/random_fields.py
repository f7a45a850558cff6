"""Smooth random fields: the raw material of texture, vessels, mottling and noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scale_mm: float
) -> np.ndarray:
    """Gaussian random field (K, J, I), float32, mean 0, variance 1, correlated over about `scale_mm`.

    Parameters
    ----------
    spacing_mm : along K, J, I.
    """
    spacing = np.array(spacing_mm)
    step = np.maximum(1.0, scale_mm / 2 / spacing)  # a coarse lattice suffices for a coarse field
    coarse = [int(np.ceil(n / s)) + 2 for n, s in zip(shape, step, strict=True)]
    noise = rng.standard_normal(coarse, np.float32)
    field = gaussian_filter(noise, scale_mm / 2 / (spacing * step), mode="reflect")
    if (step > 1).any():
        field = zoom(field, [max(1.0, (n + 1) / c) for n, c in zip(shape, coarse, strict=True)], order=1)
        field = np.pad(field, [(0, max(0, n - have)) for n, have in zip(shape, field.shape, strict=True)], mode="edge")
    field = field[tuple(slice(0, n) for n in shape)]
    return ((field - field.mean()) / max(float(field.std()), 1e-6)).astype(np.float32)


def thin_curves(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
    width: float,
) -> np.ndarray:
    """Mask (K, J, I) of winding curves: where two independent fields are both near zero, they look like vessels.

    `width` is the bound on the fields, in standard deviations; about `width` times `scale_mm` is the curves' radius.
    """
    first = smooth_field(rng, shape, spacing_mm, scale_mm)
    second = smooth_field(rng, shape, spacing_mm, scale_mm)
    return first**2 + second**2 < width**2
