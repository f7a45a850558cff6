"""Confidence intervals of a mean by resampling patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
FEW_PATIENTS = 10


def bootstrap_interval(
    values: Sequence[float], patients: Sequence[str], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean over all cases (B. Efron, R. Tibshirani 1993, chapter 13).

    Patients are drawn with replacement, each with all of its cases: scans of one patient are not independent.

    Parameters
    ----------
    values : one per case.
    patients : whose case it is.
    resamples : how many means are drawn.
    seed : of the random numbers; the same one gives the same interval.

    Returns
    -------
    (low, high), or None for fewer than two patients: one patient tells nothing about others.
    """
    names, owners = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(owners, weights=np.asarray(values, dtype=float))
    counts = np.bincount(owners)
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
