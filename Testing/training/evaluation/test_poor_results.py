"""From which doubt on results are poor."""

from __future__ import annotations

import shutil
from functools import lru_cache

import numpy as np
import pytest
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.models.package import QualityLimits
from AttentionUNetSegLib.training.evaluation import record_warning_limits
from AttentionUNetSegLib.training.evaluation.case_metrics import CaseMetrics, compare
from AttentionUNetSegLib.training.evaluation.case_result import CaseResult
from AttentionUNetSegLib.training.evaluation.cropped_case import CroppedCase
from AttentionUNetSegLib.training.evaluation.poor_results import MOST_IN_VAIN, POOR_DICE, warning_limits
from hypothesis import given
from hypothesis import strategies as st


def case_with(dice: float, spread: float | None, probability: float | None) -> CaseResult:
    """A row with that Dice and that doubt."""
    spacing = (1.0, 1.0, 1.0)
    return CaseResult("case", "patient", "synthetic", (200, 1, 1), spacing, measured(dice), 1.0, spread, probability)


@lru_cache
def measured(dice: float) -> CaseMetrics:
    """What is measured where the segment overlaps a label of 100 voxels so far that the Dice is `dice`."""
    label, segment = np.zeros((2, 1, 1, 200), dtype=bool)
    label[..., :100] = True
    segment[..., 100 - round(100 * dice) : 200 - round(100 * dice)] = True
    return compare(CroppedCase(segment * np.uint8(255), segment, label, (1.0, 1.0, 1.0), (0, 0, 0), None, segment))


def test_limit_between_two_groups() -> None:
    poor = [case_with(0.3, spread, 0.6) for spread in (0.15, 0.2, 0.3)]
    others = [case_with(0.9, spread, 0.9) for spread in (0.01, 0.02, 0.05, 0.05)]
    limits = warning_limits([*poor, *others])
    assert limits["mean_spread"] == {"limit": 0.1, "poor": 3, "others": 4, "poor_found": 3, "others_warned": 0}
    assert limits["mean_probability"] == {"limit": 0.75, "poor": 3, "others": 4, "poor_found": 3, "others_warned": 0}


def test_no_limit_from_few_or_useless_cases() -> None:
    few = [case_with(0.3, 0.2, None), case_with(0.3, 0.2, None), *(case_with(0.9, 0.1, None) for _ in range(9))]
    assert warning_limits(few) == {"mean_spread": None, "mean_probability": None}
    the_wrong_way = [case_with(0.3, 0.01, 0.9) for _ in range(4)] + [case_with(0.9, 0.2, 0.6) for _ in range(4)]
    assert warning_limits(the_wrong_way) == {"mean_spread": None, "mean_probability": None}
    assert warning_limits([]) == {"mean_spread": None, "mean_probability": None}


@given(st.lists(st.tuples(st.sampled_from((0.2, 0.5, 0.7, 0.9)), st.integers(0, 50)), min_size=6, max_size=30))
def test_counts_are_those_of_the_limit(pairs: list[tuple[float, int]]) -> None:
    results = [case_with(dice, percent / 100, 1 - percent / 100) for dice, percent in pairs]
    found = warning_limits(results)["mean_spread"]
    if found is None:
        return
    poor = [percent / 100 for dice, percent in pairs if dice < POOR_DICE]
    others = [percent / 100 for dice, percent in pairs if dice >= POOR_DICE]
    assert (found["poor"], found["others"]) == (len(poor), len(others))
    assert found["poor_found"] == sum(spread > found["limit"] for spread in poor)
    assert found["others_warned"] == sum(spread > found["limit"] for spread in others)
    assert found["others_warned"] <= MOST_IN_VAIN * len(others)
    # Better than warning of all or of none.
    assert found["poor_found"] / len(poor) > found["others_warned"] / len(others)
    assert found["limit"] == pytest.approx(1 - warning_limits(results)["mean_probability"]["limit"], abs=2e-4)


def test_limits_are_written_into_the_card(tiny_model_package, tmp_path) -> None:
    package = load_package(shutil.copytree(tiny_model_package.folder, tmp_path / "model"))
    found = {"mean_spread": {"limit": 0.07}, "mean_probability": None}
    recorded = record_warning_limits(package, found)
    assert recorded.quality_limits == QualityLimits(0.07, package.quality_limits.mean_probability)
    assert recorded.manifest | {"output": None} == package.manifest | {"output": None}
