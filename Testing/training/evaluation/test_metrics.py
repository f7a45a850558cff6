"""Metrics against shapes whose values can be worked out by hand, and against MONAI's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.training.evaluation import compare
from AttentionUNetSegLib.training.evaluation.surface_distance import hausdorff_95_mm, normalised_surface_dice


def test_a_box_shifted_along_each_axis(make_case, box):
    """10 x 10 x 10 voxels of 2 x 1 x 1 mm: a shift is the distance of a face, which is a sixth of the surface."""
    label = box((10, 10, 10), (20, 20, 20))
    along_i = compare(make_case(box((10, 10, 13), (20, 20, 23)), label))
    assert along_i.dice == pytest.approx(0.7) and along_i.hd95_mm == pytest.approx(3.0)
    assert along_i.recall == pytest.approx(0.7) and along_i.precision == pytest.approx(0.7)
    along_k = compare(make_case(box((12, 10, 10), (22, 20, 20)), label))
    assert along_k.dice == pytest.approx(0.8) and along_k.hd95_mm == pytest.approx(4.0)
    assert along_k.predicted_ml == along_k.labelled_ml == pytest.approx(2.0)
    assert along_k.volume_error_ml == 0 and along_k.volume_error_percent == 0


def test_the_same_mask_is_perfect(make_case, box):
    metrics = compare(make_case(box((0, 0, 0), (20, 20, 20)), box((0, 0, 0), (20, 20, 20))))  # also at the border
    assert (metrics.dice, metrics.hd95_mm, metrics.nsd, metrics.largest_false_positive_ml) == (1, 0, 1, 0)
    assert metrics.remarks == () and not metrics.is_failure


@pytest.mark.parametrize("spacing", [(2.5, 0.8, 0.8), (1.0, 1.0, 1.0)])
def test_concentric_balls(spacing, make_case, ball):
    metrics = compare(make_case(ball(17, spacing), ball(20, spacing), spacing))
    assert metrics.labelled_ml == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.02)
    assert metrics.dice == pytest.approx(2 * 17**3 / (20**3 + 17**3), abs=0.01)
    assert metrics.volume_error_percent == pytest.approx(100 * (17**3 / 20**3 - 1), abs=1.5)
    assert metrics.hd95_mm == pytest.approx(3, abs=max(spacing) / 2)
    assert metrics.precision == 1 and metrics.nsd < 0.5
    close = compare(make_case(ball(18.5, spacing), ball(20, spacing), spacing))
    assert close.nsd > 0.9  # 1.5 mm apart everywhere


def test_surface_dice_of_a_box_that_is_too_long():
    """A cube of 20 mm in a box of 20 x 20 x 30 mm; what is more than 2 mm off is drawn on paper easily."""
    cube, longer = np.zeros((40, 40, 50), bool), np.zeros((40, 40, 50), bool)
    cube[10:30, 10:30, 10:30] = True
    longer[10:30, 10:30, 10:40] = True
    wrong_of_cube = 16 * 16  # its face within the box, but for the 2 mm along the edges
    wrong_of_box = 20 * 20 + 4 * 20 * 8
    expected = 1 - (wrong_of_cube + wrong_of_box) / (6 * 400 + 2 * 400 + 4 * 600)
    assert normalised_surface_dice(cube, longer, (1, 1, 1), 2.0) == pytest.approx(expected, abs=0.02)
    assert normalised_surface_dice(cube, longer, (1, 1, 1), 2.0) == normalised_surface_dice(
        longer, cube, (1, 1, 1), 2.0
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_monai_with_its_distance_maps(seed):
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    rng = np.random.default_rng(seed)
    spacing = tuple(rng.uniform(0.7, 4, 3))
    masks = []
    for _ in range(2):
        mask = np.zeros((45, 30, 35), bool)  # more slices than one slab
        for _ in range(4):
            start = rng.integers(0, 25, 3)
            mask[tuple(slice(low, low + size) for low, size in zip(start, rng.integers(1, 18, 3), strict=True))] = True
        masks.append(mask)
    tensors = [torch.from_numpy(np.pad(mask, 1))[None, None].float() for mask in masks]
    theirs = compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=spacing)
    assert hausdorff_95_mm(*masks, spacing) == pytest.approx(float(theirs), rel=1e-5)
    theirs = compute_surface_dice(*tensors, [2.0], include_background=True, spacing=spacing, use_subvoxels=True)
    assert normalised_surface_dice(*masks, spacing, 2.0) == pytest.approx(float(theirs), rel=1e-5)


def test_nothing_found_and_nothing_to_find(make_case, box):
    nothing, something = box((0, 0, 0), (0, 0, 0)), box((10, 10, 10), (15, 20, 20))
    missed = compare(make_case(nothing, something))
    assert (missed.dice, missed.recall, missed.nsd) == (0, 0, 0) and missed.is_failure
    assert missed.hd95_mm is None and missed.precision is None and "Nothing was found" in missed.remarks[0]
    invented = compare(make_case(something, nothing))
    assert (invented.dice, invented.precision) == (0, 0) and invented.recall is invented.volume_error_percent is None
    assert invented.largest_false_positive_ml == pytest.approx(1.0) and invented.hd95_mm is None
    right = compare(make_case(nothing, nothing))
    assert right.dice is None and right.nsd is None and not right.is_failure and "both empty" in right.remarks[0]


def test_largest_false_positive(make_case, box):
    label = box((10, 10, 10), (20, 20, 20))
    touching = box((10, 10, 19), (20, 20, 40))  # large, but a part of the organ's
    small, large = box((30, 40, 50), (32, 45, 55)), box((2, 30, 2), (7, 40, 12))
    assert compare(make_case(touching, label)).largest_false_positive_ml == 0
    assert compare(make_case(touching | small | large, label)).largest_false_positive_ml == pytest.approx(1.0)
    diagonal = box((7, 40, 12), (8, 41, 13))  # meets `large` in a corner only: 26 neighbours
    assert compare(make_case(large | diagonal | label, label)).largest_false_positive_ml == pytest.approx(1.002)
    kept = compare(make_case(touching | small | large, label, keep_largest=True))
    assert kept.predicted_ml == pytest.approx(10 * 10 * 21 * 0.002)


def test_the_ignored_region_is_out_of_both_sides(make_case, box):
    label, predicted = box((10, 10, 10), (20, 20, 20)), box((10, 10, 10), (20, 20, 40))
    assert compare(make_case(predicted, label)).dice == pytest.approx(0.5)
    ignore = box((0, 0, 20), (40, 50, 60))
    metrics = compare(make_case(predicted, label, ignore=ignore))
    assert (metrics.dice, metrics.hd95_mm, metrics.nsd, metrics.volume_error_ml) == (1, 0, 1, 0)
    assert "4.0 mL" in metrics.remarks[0] and "partial" in metrics.remarks[0]
    # An island that reaches into the region may be pancreas there; one that does not is false.
    reaching, island = box((30, 10, 10), (34, 20, 25)), box((30, 30, 5), (35, 40, 15))
    assert compare(make_case(label | reaching, label, ignore=ignore)).largest_false_positive_ml == 0
    assert compare(
        make_case(label | reaching | island, label, ignore=ignore)
    ).largest_false_positive_ml == pytest.approx(1)


def test_the_threshold_is_that_of_the_segmenter(make_case, box):
    values = np.where(box((10, 10, 10), (20, 20, 20)), 127, 0).astype(np.uint8)
    values[box((10, 10, 10), (20, 20, 15))] = 128  # 0.502
    case = make_case(values, box((10, 10, 10), (20, 20, 15)))
    assert compare(case).dice == 1 and case.probability.max() == 128


def test_only_a_box_is_kept(make_case, box):
    case = make_case(box((10, 20, 30), (14, 24, 34)), box((12, 20, 30), (14, 24, 34)))
    assert case.label.shape == (4 + 2 * 6, 4 + 2 * 12, 4 + 2 * 12)  # 12 mm on each side
    assert case.start == (18, 8, 4)
