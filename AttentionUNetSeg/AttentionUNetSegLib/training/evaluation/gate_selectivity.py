"""What an attention gate lets pass, in the organ and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

BODY_HU = -300.0
# A CT without anything darker than this has lost its fat and air to one value, which is then no body.
LEAST_AIR_HU = -200.0


@dataclass(frozen=True)
class GateSelectivity:
    """Attention coefficients of one gate on one scan, 0..1.

    Attributes
    ----------
    inside : mean in the labelled pancreas; None where the gate's grid is too coarse to hold a place of it.
    outside : mean in the rest of the body; None where there is none.
    low, high : 5th and 95th percentile over the body. Close together: the gate selects nothing.
    auc : how often a place in the pancreas has a higher coefficient than one in the rest of the body (area under the
        ROC curve; 0.5: the gate knows nothing of it). None where there is none of either.
    """

    inside: float | None
    outside: float | None
    low: float | None
    high: float | None
    auc: float | None = None


def gate_selectivity(
    attention: sitk.Image, ct: sitk.Image, label: sitk.Image, ignore: sitk.Image | None = None
) -> GateSelectivity:
    """Look at one gate on its own coarse grid.

    Parameters
    ----------
    attention : uint8, 255 times the coefficients.
    ct : in HU.
    label : mask on any grid, not 0 inside.
    ignore : mask on any grid of where the label says nothing, or None.
    """
    alpha = sitk.GetArrayViewFromImage(attention) / np.float32(255)
    pancreas = _at(label, attention, 0.0) > 0.5
    hu = _at(ct, attention, -1000.0)
    lowest = float(sitk.GetArrayViewFromImage(ct).min())
    body = hu > (BODY_HU if lowest < LEAST_AIR_HU else lowest + 5)
    if ignore is not None:
        known = _at(ignore, attention, 0.0) < 0.5
        body, pancreas = body & known, pancreas & known
    rest = alpha[body & ~pancreas]
    low, high = np.percentile(alpha[body], (5, 95)) if body.any() else (None, None)
    return GateSelectivity(
        _mean(alpha[pancreas]), _mean(rest), _number(low), _number(high), area_under_curve(alpha[pancreas], rest)
    )


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float | None:
    """Probability that a positive value is above a negative one, ties counting half (Mann and Whitney 1947)."""
    if not positive.size or not negative.size:
        return None
    values, where = np.unique(np.concatenate((positive, negative)), return_inverse=True)
    of_positive = np.bincount(where[: positive.size], minlength=values.size)
    of_negative = np.bincount(where[positive.size :], minlength=values.size)
    below = np.cumsum(of_negative) - of_negative
    return float(of_positive @ (below + 0.5 * of_negative) / (positive.size * negative.size))


def _at(image: sitk.Image, grid: sitk.Image, outside: float) -> np.ndarray:
    """`image`, linearly interpolated at the places of `grid`: as float32, on the coarse grid only."""
    resampled = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampled)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
