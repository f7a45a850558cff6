"""Reliability, and whether a spread announces errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from AttentionUNetSegLib.training.evaluation import count_case, reliability, spread_and_error
from AttentionUNetSegLib.training.evaluation.calibration import total
from AttentionUNetSegLib.training.evaluation.calibration_drawing import COLORS, draw_reliability

SHAPE = (30, 30, 30)


@pytest.fixture
def case_of(make_case):
    """A case with these probabilities (float KJI) and this label."""
    return lambda probability, label: make_case(np.rint(probability * 255).astype(np.uint8), label, (1.0, 1.0, 1.0))


def test_probabilities_that_mean_what_they_say(case_of):
    probability = np.random.default_rng(0).uniform(0, 1, SHAPE)
    label = np.random.default_rng(1).uniform(0, 1, SHAPE) < probability
    diagram = reliability(count_case(case_of(probability, label)))
    assert diagram["expected_calibration_error"] < 0.02
    assert diagram["voxels"] == sum(row["voxels"] for row in diagram["bins"]) == probability.size
    assert all(row["observed"] == pytest.approx(row["mean_predicted"], abs=0.04) for row in diagram["bins"])


def test_overconfidence_is_measured(case_of):
    """All voxels say 0.9, half of them are labelled: off by 0.4."""
    label = np.indices(SHAPE).sum(axis=0) % 2 == 0
    diagram = reliability(count_case(case_of(np.full(SHAPE, 0.9), label)))
    assert diagram["expected_calibration_error"] == pytest.approx(0.4, abs=0.005)
    (row,) = [row for row in diagram["bins"] if row["voxels"]]
    assert row["low"] <= 0.9 <= row["high"] and row["observed"] == pytest.approx(0.5, abs=0.01)


def test_only_a_band_about_the_organ_counts(make_case, box):
    mask = box((18, 20, 28), (22, 30, 32))
    counts = count_case(make_case(mask, mask, (2.0, 1.0, 1.0)))
    inside, beside = counts.voxels[200], counts.voxels[0]
    assert inside == counts.labelled[200] == np.count_nonzero(mask) and counts.labelled[0] == 0
    # Grown by 10 mm: between the box that is as much larger, and a half of it for its round corners.
    assert 0.5 * (14 * 30 * 24) < inside + beside < 14 * 30 * 24
    ignore = box((0, 0, 30), (40, 50, 60))
    ignored = count_case(make_case(mask, mask, (2.0, 1.0, 1.0), ignore=ignore))
    assert ignored.voxels.sum() < 0.6 * counts.voxels.sum()
    nothing = count_case(make_case(box((0, 0, 0), (0, 0, 0)), box((0, 0, 0), (0, 0, 0))))
    assert reliability(nothing)["expected_calibration_error"] is None


def test_a_spread_that_announces_errors(make_case, box):
    label, predicted = box((10, 10, 10), (20, 20, 20)), box((10, 10, 12), (20, 20, 22))
    case = make_case(predicted, label)
    assert spread_and_error(count_case(case), [None], [0.8]) is None
    telling = dataclasses.replace(case, spread=np.where(case.predicted != case.label, 153, 5).astype(np.uint8))
    counts = total([count_case(telling), count_case(telling)])
    found = spread_and_error(counts, [0.3, 0.2, 0.1, None], [0.5, 0.7, 0.9, 0.1])
    assert found["rank_correlation"] == 1 and found["cases"] == 3
    rates = {row["high"]: row["error_rate"] for row in found["bins"] if row["voxels"]}
    assert rates == {0.02: 0.0, 0.3: 1.0}  # 153 of 510
    assert spread_and_error(counts, [0.3, 0.2], [0.5, 0.7])["rank_correlation"] is None
    assert spread_and_error(counts, [0.3] * 4, [0.5, 0.6, 0.7, 0.8])["rank_correlation"] is None


def test_the_diagram_shows_a_line_per_kind_of_labels(case_of):
    label = np.indices(SHAPE).sum(axis=0) % 2 == 0
    diagram = reliability(count_case(case_of(np.random.default_rng(0).uniform(0, 1, SHAPE), label)))
    picture = np.asarray(draw_reliability({"manual": diagram, "OtherNet": diagram}))
    for color in COLORS[:2]:
        assert np.count_nonzero((picture == color).all(axis=-1)) > 50
