"""Clicks on phantoms: what a person gains by one. research/benchmarks/correction.py measures it at length."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.correction import Seed, correct_probability
from AttentionUNetSegLib.phantom import make_phantom
from scipy import ndimage

REACH_MM = 15.0
SPACING_KJI = (3.0, 2.0, 2.0)


@pytest.fixture(scope="module", params=[5, 8])
def phantom(request):
    made = make_phantom(request.param, spacing_mm=SPACING_KJI[::-1])
    return sitk.GetArrayFromImage(made.ct), sitk.GetArrayFromImage(made.pancreas) > 0


def dice(mask, truth) -> float:
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def middle_of_largest_error(mask, truth) -> Seed:
    labels, _ = ndimage.label(mask != truth)
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    depth = ndimage.distance_transform_edt(largest, sampling=SPACING_KJI)
    voxel = tuple(int(n) for n in np.unravel_index(depth.argmax(), depth.shape))
    return Seed(1, voxel, bool(truth[voxel]))


def ball(seed: Seed, shape) -> np.ndarray:
    apart = sum(
        ((index - at) * size) ** 2
        for index, at, size in zip(np.indices(shape, sparse=True), seed.voxel, SPACING_KJI, strict=True)
    )
    return apart <= REACH_MM**2


def test_one_click_brings_most_of_a_missing_tail_and_more_than_a_brush(phantom):
    ct, truth = phantom
    where = np.argwhere(truth)[:, 2]
    known = truth.copy()
    known[:, :, int(np.percentile(where, 65)) :] = False  # left is the tail
    probability = (255 * ndimage.gaussian_filter(known.astype(float), 0.7)).astype(np.uint8)
    seed = middle_of_largest_error(probability >= 128, truth)
    corrected = correct_probability(ct, probability, [seed], REACH_MM, SPACING_KJI) >= 128
    before = dice(probability >= 128, truth)
    brushed = (probability >= 128) | ball(seed, ct.shape)
    assert dice(corrected, truth) > before + 0.04
    assert dice(corrected, truth) > dice(brushed, truth)


def test_one_click_without_any_prediction_finds_mostly_pancreas(phantom):
    ct, truth = phantom
    nothing = np.zeros(ct.shape, np.uint8)
    seed = middle_of_largest_error(nothing >= 128, truth)
    corrected = correct_probability(ct, nothing, [seed], REACH_MM, SPACING_KJI) >= 128
    assert truth[corrected].mean() > 0.7
    assert corrected[truth].mean() > 0.15


def test_after_a_click_the_threshold_moves_the_edge_as_it_did_before(phantom):
    ct, truth = phantom
    known = truth.copy()
    known[:, :, int(np.percentile(np.argwhere(truth)[:, 2], 65)) :] = False
    probability = (255 * ndimage.gaussian_filter(known.astype(float), 1.2)).astype(np.uint8)
    seed = middle_of_largest_error(probability >= 128, truth)
    corrected = correct_probability(ct, probability, [seed], REACH_MM, SPACING_KJI)
    thresholds = (0.2, 0.4, 0.6, 0.8)
    before, after = (
        -np.diff([(field >= 255 * threshold).sum() for threshold in thresholds]) for field in (probability, corrected)
    )
    assert (after > 0.7 * before).all(), (before, after)
