"""Confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.training.evaluation.bootstrap import bootstrap_interval


def test_the_seed_decides():
    values, patients = np.linspace(0.5, 0.9, 12), [f"P{n}" for n in range(12)]
    first = bootstrap_interval(values, patients, seed=4)
    assert first == bootstrap_interval(values, patients, seed=4)
    assert first != bootstrap_interval(values, patients, seed=5)
    assert first[0] < values.mean() < first[1]


def test_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).normal(0.8, 0.05, 100)
    low, high = bootstrap_interval(values, [str(n) for n in range(100)], 4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.1)


def test_scans_of_one_patient_are_drawn_together():
    """Ten scans of each of two patients are no twenty patients."""
    values = [0.9] * 10 + [0.5] * 10
    together = bootstrap_interval(values, ["A"] * 10 + ["B"] * 10)
    assert together == (pytest.approx(0.5), pytest.approx(0.9))
    apart = bootstrap_interval(values, [str(n) for n in range(20)])
    assert apart[1] - apart[0] < 0.25


def test_one_patient_has_no_interval():
    assert bootstrap_interval([0.8, 0.9], ["A", "A"]) is None
    assert bootstrap_interval([0.8, 0.8], ["A", "B"]) == (pytest.approx(0.8), pytest.approx(0.8))
