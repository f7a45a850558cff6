"""Strokes that teach, lassos, boxes, and walls that hold."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.correction import (
    Seed,
    box_seed,
    correct_probability,
    lasso_seed,
    painted_seed,
    stroke_seed,
)
from AttentionUNetSegLib.errors import BadInput
from scipy import ndimage

SPACING = (2.0, 1.0, 1.0)
SHAPE = (24, 60, 80)


@pytest.fixture
def bent():
    """A thin bent organ of 100 HU in tissue of 40 HU, with a CT's noise."""
    k, j, i = np.indices(SHAPE)
    line = 30 + 12 * np.sin(i / 12.0)
    organ = ((j - line) ** 2 + (2 * (k - 12)) ** 2 <= 36) & (i > 5) & (i < 75)
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(SHAPE), 0.6)
    ct = ndimage.gaussian_filter(np.where(organ, 100.0, 40.0), 0.5) + 10.0 * noise / noise.std()
    return ct.astype(np.int16), organ


def middle_line(first: int, last: int) -> np.ndarray:
    i = np.arange(first, last + 1, 4)
    return np.column_stack([np.full(len(i), 12.0), 30 + 12 * np.sin(i / 12.0), i])


def dice(mask, truth) -> float:
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def corrected(ct, start, seeds, **more) -> np.ndarray:
    return correct_probability(ct, start, seeds, 15.0, SPACING, **more) >= 128


def test_a_stroke_along_a_missed_part_brings_more_than_a_click_and_stays_out_of_other_tissue(bent):
    ct, organ = bent
    nothing = np.zeros(SHAPE, np.uint8)
    stroke = stroke_seed(1, middle_line(8, 72), True, SPACING, SHAPE)
    by_stroke = corrected(ct, nothing, [stroke])
    by_click = corrected(ct, nothing, [Seed(1, tuple(np.rint(middle_line(40, 40)[0]).astype(int).tolist()), True)])
    assert dice(by_stroke, organ) > 0.8
    assert dice(by_stroke, organ) > dice(by_click, organ) + 0.2
    assert by_stroke[tuple(stroke.voxels.T)].all()
    found = np.where(organ, 240, 5).astype(np.uint8)
    taken = corrected(ct, found, [stroke_seed(1, middle_line(8, 30), False, SPACING, SHAPE)])
    left = organ.copy()
    left[:, :, 36:] = False
    assert taken[left].mean() < 0.3
    assert taken[:, :, 60:][organ[:, :, 60:]].mean() > 0.9


def test_a_stroke_is_one_voxel_thick_or_as_thick_as_said_and_a_painted_one_loses_nothing_by_thinning(bent):
    ct, _ = bent
    thin = stroke_seed(1, middle_line(8, 72), True, SPACING, SHAPE)
    thick = stroke_seed(1, middle_line(8, 72), True, SPACING, SHAPE, radius_mm=3.0)
    assert len(thin.voxels) < 150 < 1000 < len(thick.voxels)
    away = ndimage.distance_transform_edt(~_mask(thin), sampling=SPACING)
    assert away[_mask(thick)].max() <= 3.0 + 1e-6
    nothing = np.zeros(SHAPE, np.uint8)
    painted = painted_seed(1, thick.voxels, True, SPACING)
    assert len(painted.voxels) < len(thick.voxels) / 2
    assert dice(corrected(ct, nothing, [painted]), corrected(ct, nothing, [thick])) > 0.97


def _mask(seed: Seed) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(seed.voxels.T)] = True
    return mask


def test_a_lasso_drawn_around_the_missed_part_means_what_is_unlike_its_border(bent):
    ct, organ = bent
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    lasso = np.column_stack([np.full(40, 12.0), 42 + 11 * np.sin(angle), 19 + 12 * np.cos(angle)])
    seed = lasso_seed(1, ct, lasso, True, SPACING)
    assert organ[tuple(seed.voxels.T)].mean() > 0.9
    assert set(seed.voxels[:, 0]) == {12}
    added = corrected(ct, np.zeros(SHAPE, np.uint8), [seed])
    assert organ[added].mean() > 0.85
    assert added[:, 31:54, 7:32][organ[:, 31:54, 7:32]].mean() > 0.6
    beyond = added.copy()
    beyond[:, 31 - 2 : 53 + 3, 7 - 2 : 31 + 3] = False  # a block beyond its rectangle at most
    assert not beyond.any()
    removed = lasso_seed(2, ct, lasso, False, SPACING)
    left = corrected(ct, np.where(organ, 240, 5).astype(np.uint8), [removed])
    assert not left[tuple(removed.voxels.T)].any()
    assert left[12, 36:48, 12:26].sum() == 0
    assert left[:, :, 60:][organ[:, :, 60:]].all()


def test_an_oblique_lasso_encloses_a_slanted_sheet_of_voxels(bent):
    ct, _ = bent
    lasso = np.array([[4, 20, 20], [4, 40, 20], [20, 40, 52], [20, 20, 52.0]])
    voxels = lasso_seed(1, ct, lasso, False, SPACING).voxels
    heights = np.unique(voxels[:, 0])
    assert heights.min() <= 5 and heights.max() >= 19
    away = np.abs(voxels[:, 2] - (20 + (voxels[:, 0] - 4) * 2.0))
    assert away.max() <= 2.0
    area_mm2 = 20 * np.hypot(16 * SPACING[0], 32)
    assert abs(len(voxels) * np.prod(SPACING) / area_mm2 / 1.5 - 1) < 0.6


def test_a_box_acts_inside_itself_only(bent):
    ct, organ = bent
    corners = np.array([[8, 28, 6], [16, 50, 34.0]])
    added = corrected(ct, np.zeros(SHAPE, np.uint8), [box_seed(1, ct, corners, True, SPACING)])
    assert organ[added].mean() > 0.85
    assert added[8:17, 28:51, 6:35][organ[8:17, 28:51, 6:35]].mean() > 0.6
    beyond = added.copy()
    beyond[7:18, 26:53, 4:37] = False
    assert not beyond.any()


@pytest.mark.parametrize("thickness", [1, 2, 5])
def test_a_wall_is_neither_entered_nor_passed_by_clicks_and_strokes(thickness):
    ct = np.full((30, 40, 60), 60, np.int16)
    walls = np.zeros(ct.shape, bool)
    walls[:, :, 30 : 30 + thickness] = True
    for start, positive in ((np.zeros(ct.shape, np.uint8), True), (np.full(ct.shape, 200, np.uint8), False)):
        click = Seed(1, (15, 20, 24), positive)
        stroke = stroke_seed(1, np.array([[15, 10, 26], [15, 30, 26.0]]), positive, (1.0, 1.0, 1.0), ct.shape)
        for seed in (click, stroke):
            free = correct_probability(ct, start, [seed], 15.0, (1.0, 1.0, 1.0))
            assert (free[:, :, 30:] != start[:, :, 30:]).sum() > 500, "it would pass without the wall"
            held = correct_probability(ct, start, [seed], 15.0, (1.0, 1.0, 1.0), walls=walls)
            np.testing.assert_array_equal(held[walls], start[walls])
            beyond = (held >= 128) != (start >= 128)
            assert not beyond[:, :, 30 + thickness :].any()
            assert beyond[:, :, :28].sum() > 500


def test_the_latest_counts_where_strokes_cross_and_the_sequence_does_not_matter(bent):
    ct, _ = bent
    start = np.full(SHAPE, 100, np.uint8)
    along = stroke_seed(1, np.array([[12, 30, 10], [12, 30, 60.0]]), True, SPACING, SHAPE)
    across = stroke_seed(2, np.array([[12, 10, 40], [12, 50, 40.0]]), False, SPACING, SHAPE)
    seeds = [along, across, Seed(3, (12, 30, 12), False)]
    one = correct_probability(ct, start, seeds, 8.0, SPACING)
    np.testing.assert_array_equal(one, correct_probability(ct, start, seeds[::-1], 8.0, SPACING, cache={}))
    assert one[12, 30, 40] == 0 and one[12, 30, 39] == 255 and one[12, 30, 12] == 0


def test_what_lies_outside_or_encloses_nothing_is_refused(bent):
    ct, _ = bent
    for make, sentence in (
        (lambda: stroke_seed(1, np.array([[99.0, 1, 1]]), True, SPACING, SHAPE), "outside"),
        (lambda: lasso_seed(1, ct, np.array([[1.0, 1, 1], [1, 5, 5]]), True, SPACING), "three points"),
        (lambda: lasso_seed(1, ct, np.array([[1.0, 1, 1], [1, 5, 5], [1, 9, 9]]), True, SPACING), "encloses nothing"),
        (lambda: box_seed(1, ct, np.array([[99.0, 1, 1], [99, 2, 2]]), True, SPACING), "outside"),
    ):
        with pytest.raises(BadInput, match=sentence):
            make()
