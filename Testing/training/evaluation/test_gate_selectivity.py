"""What a gate knows of the gland: the area under the curve, on scans with and without air."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.training.evaluation.gate_selectivity import area_under_curve, gate_selectivity
from scipy.stats import mannwhitneyu


def images(air_hu: float) -> tuple[np.ndarray, sitk.Image, sitk.Image]:
    hu = np.full((10, 20, 20), air_hu, np.float32)
    hu[:, 4:16, 4:16] = 60
    label = np.zeros((10, 20, 20), np.uint8)
    label[3:7, 8:12, 8:12] = 1
    return label, sitk.GetImageFromArray(hu), sitk.GetImageFromArray(label)


def test_the_area_is_mann_and_whitneys():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 20, 300), rng.integers(0, 17, 500)
    wanted = mannwhitneyu(positive, negative).statistic / (300 * 500)
    assert area_under_curve(positive, negative) == pytest.approx(wanted)
    assert area_under_curve(positive, negative[:0]) is None


@pytest.mark.parametrize("air_hu", [-1000.0, -100.0])
def test_air_is_no_body_even_where_the_scan_has_lost_it(air_hu):
    label, ct, mask = images(air_hu)
    # Half of the body is as bright as the gland; air, which is dark, must not help.
    alpha = np.where(label > 0, 200, 0).astype(np.uint8)
    alpha[5:, 4:16, 4:16] = 200
    gate = gate_selectivity(sitk.GetImageFromArray(alpha), ct, mask)
    inside, body = label > 0, np.zeros(label.shape, bool)
    body[:, 4:16, 4:16] = True
    assert gate.auc == pytest.approx(area_under_curve(alpha[inside], alpha[body & ~inside]))
    assert 0.7 < gate.auc < 0.8


def test_slices_that_were_not_contoured_are_left_out():
    label, ct, mask = images(-1000.0)
    alpha = np.where(label > 0, 200, 0).astype(np.uint8)
    alpha[8:] = 255  # wrong, but nobody knows
    ignore = np.zeros_like(label)
    ignore[8:] = 1
    image = sitk.GetImageFromArray(alpha)
    assert gate_selectivity(image, ct, mask).auc < 0.9
    assert gate_selectivity(image, ct, mask, sitk.GetImageFromArray(ignore)).auc == 1
