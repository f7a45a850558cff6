"""What an attention gate lets pass, in the organ and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

BODY_HU = -300.0


@dataclass(frozen=True)
class GateSelectivity:
    """Attention coefficients of one gate on one scan, 0..1.

    Attributes
    ----------
    inside : mean in the labelled pancreas; None where the gate's grid is too coarse to hold a place of it.
    outside : mean in the rest of the body; None where there is none.
    low, high : 5th and 95th percentile over the body. Close together: the gate selects nothing.
    """

    inside: float | None
    outside: float | None
    low: float | None
    high: float | None


def gate_selectivity(attention: sitk.Image, ct: sitk.Image, label: sitk.Image) -> GateSelectivity:
    """Look at one gate on its own coarse grid.

    Parameters
    ----------
    attention : uint8, 255 times the coefficients.
    ct : in HU.
    label : mask on any grid, not 0 inside.
    """
    alpha = sitk.GetArrayViewFromImage(attention) / np.float32(255)
    pancreas = _at(label, attention, 0.0) > 0.5
    body = _at(ct, attention, -1000.0) > BODY_HU
    rest = alpha[body & ~pancreas]
    low, high = np.percentile(alpha[body], (5, 95)) if body.any() else (None, None)
    return GateSelectivity(_mean(alpha[pancreas]), _mean(rest), _number(low), _number(high))


def _at(image: sitk.Image, grid: sitk.Image, outside: float) -> np.ndarray:
    """`image`, linearly interpolated at the places of `grid`: as float32, on the coarse grid only."""
    resampled = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampled)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
