"""Whether the probabilities mean what they say, and whether a high spread announces an error.

Reliability diagram and expected calibration error: C. Guo et al., On calibration of modern neural networks, ICML 2017,
section 2; for segmentation within a region about the organ: A. Mehrtash et al., Confidence calibration and predictive
uncertainty estimation for deep medical image segmentation, IEEE TMI 2020;39:3868. Far from the organ nearly every voxel
is right with probability 0, which would hide everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.stats import spearmanr

from .cropped_case import SPREAD_SCALE, CroppedCase

BAND_MM = 10.0
BINS = 10
# Upper ends of the spread's bins (standard deviation of a probability: at most 0.5).
SPREAD_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class CalibrationCounts:
    """Voxels of one case, or of several together, by their 8-bit value. Counts of cases can be added.

    Attributes
    ----------
    voxels, labelled : int64 (256,), voxels of each probability 0/255..255/255, and how many of them are labelled.
    spread_voxels, wrong : int64 (256,), voxels of each spread 0/510..255/510, and how many of them the segment has
        wrong; all 0 where no spread was computed.
    """

    voxels: np.ndarray
    labelled: np.ndarray
    spread_voxels: np.ndarray
    wrong: np.ndarray

    def __add__(self, other: CalibrationCounts) -> CalibrationCounts:
        return CalibrationCounts(
            self.voxels + other.voxels,
            self.labelled + other.labelled,
            self.spread_voxels + other.spread_voxels,
            self.wrong + other.wrong,
        )

    @property
    def has_spread(self) -> bool:
        """Whether any case came with a spread."""
        return bool(self.spread_voxels.any())


def count_case(case: CroppedCase) -> CalibrationCounts:
    """Count the voxels of one case within 10 mm of the label or of the segment, without the ignored region."""
    region = _region(case)
    probability, label = case.probability[region], case.label[region]
    spread_voxels = wrong = np.zeros(256, np.int64)
    if case.spread is not None:
        spread = case.spread[region]
        spread_voxels = np.bincount(spread, minlength=256)
        wrong = np.bincount(spread[case.predicted[region] != label], minlength=256)
    return CalibrationCounts(
        np.bincount(probability, minlength=256), np.bincount(probability[label], minlength=256), spread_voxels, wrong
    )


def reliability(counts: CalibrationCounts, bins: int = BINS) -> dict[str, Any]:
    """The reliability diagram as JSON values.

    Returns
    -------
    dict : "band_mm", "voxels", "expected_calibration_error" (mean of |predicted - observed| over the voxels, by bin;
        None without voxels) and "bins", each with "low", "high", "voxels", "mean_predicted" and "observed" (the part
        that is labelled; None where the bin is empty).
    """
    values = np.arange(256) / 255
    which = np.minimum((values * bins).astype(int), bins - 1)
    voxels, labelled = _sums(counts.voxels, which, bins), _sums(counts.labelled, which, bins)
    predicted = _sums(counts.voxels * values, which, bins)
    rows = [
        {
            "low": round(n / bins, 6),
            "high": round((n + 1) / bins, 6),
            "voxels": int(voxels[n]),
            "mean_predicted": _part(predicted[n], voxels[n]),
            "observed": _part(labelled[n], voxels[n]),
        }
        for n in range(bins)
    ]
    error = _part(np.abs(predicted - labelled).sum(), voxels.sum())
    return {
        "band_mm": BAND_MM, "voxels": int(voxels.sum()), "expected_calibration_error": error, "bins": rows,
    }  # fmt: skip


def spread_and_error(
    counts: CalibrationCounts, mean_spreads: Sequence[float | None], dices: Sequence[float | None]
) -> dict[str, Any] | None:
    """Whether a high spread announces an error, as JSON values; None where no case came with a spread.

    Parameters
    ----------
    counts : of all cases.
    mean_spreads : mean spread within the segment of each case.
    dices : Dice of each case.

    Returns
    -------
    dict : "bins", each with "low" (exclusive, but for the first), "high", "voxels" and "error_rate" (part that the
        segment has wrong); "rank_correlation" between mean spread and 1 - Dice over the cases (Spearman), its
        "p_value", and "cases", how many it was computed from; None for fewer than three or where all are the same.
    """
    if not counts.has_spread:
        return None
    edges = np.array(SPREAD_EDGES[1:])
    which = np.minimum(np.searchsorted(edges, np.arange(256) / SPREAD_SCALE), len(edges) - 1)
    voxels, wrong = _sums(counts.spread_voxels, which, len(edges)), _sums(counts.wrong, which, len(edges))
    rows = [
        {"low": low, "high": high, "voxels": int(count), "error_rate": _part(errors, count)}
        for low, high, count, errors in zip(SPREAD_EDGES, SPREAD_EDGES[1:], voxels, wrong, strict=False)
    ]
    pairs = [
        (spread, 1 - dice)
        for spread, dice in zip(mean_spreads, dices, strict=True)
        if spread is not None and dice is not None
    ]
    correlation, p_value = _rank_correlation(pairs)
    return {"bins": rows, "rank_correlation": correlation, "p_value": p_value, "cases": len(pairs)}


def total(counts: Iterable[CalibrationCounts]) -> CalibrationCounts:
    """All counts together."""
    nothing = np.zeros(256, np.int64)
    return sum(counts, CalibrationCounts(nothing, nothing, nothing, nothing))


def _region(case: CroppedCase) -> np.ndarray:
    either = case.label | case.predicted
    if not either.any():
        return either
    image = sitk.GetImageFromArray(either.astype(np.uint8))
    image.SetSpacing(case.spacing_mm[::-1])
    distance = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    region = sitk.GetArrayViewFromImage(distance) <= BAND_MM
    return region if case.ignore is None else region & ~case.ignore


def _rank_correlation(pairs: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    columns = list(zip(*pairs, strict=True))
    if len(pairs) < 3 or any(len(set(column)) == 1 for column in columns):
        return None, None
    result = spearmanr(*columns)
    return round(float(result.statistic), 4), round(float(result.pvalue), 4)


def _sums(counts: np.ndarray, which: np.ndarray, bins: int) -> np.ndarray:
    return np.bincount(which, weights=counts, minlength=bins)


def _part(part: float, whole: float) -> float | None:
    return round(float(part / whole), 6) if whole else None
