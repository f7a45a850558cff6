"""The guarantees of a correction, under random tissue, geometry and clicks."""

from __future__ import annotations

import random

import numpy as np
import pytest
from AttentionUNetSegLib.contracts import FURTHEST
from AttentionUNetSegLib.correction import (
    BACKGROUND,
    FOREGROUND,
    Seed,
    correct_probability,
    latest_per_place,
    surroundings,
)
from AttentionUNetSegLib.errors import BadInput
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

THRESHOLDS = np.linspace(0.05, 0.95, 19)


@st.composite
def situations(draw):
    """A CT of blobs with noise, a network's probability, clicks, a reach and a spacing."""
    shape = tuple(draw(st.integers(1, 24)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.4, 6.0)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = draw(st.floats(0.0, 3.0))
    ct = ndimage.gaussian_filter(rng.normal(40.0, 200.0, shape), smooth).astype(draw(st.sampled_from(["f4", "i2"])))
    probability = (255 * rng.random(shape) ** draw(st.integers(1, 8))).astype(np.uint8)
    count = draw(st.integers(0, 5))
    voxels = [tuple(draw(st.integers(0, n - 1)) for n in shape) for _ in range(count)]
    seeds = [Seed(order, voxel, draw(st.booleans())) for order, voxel in enumerate(voxels, start=1)]
    return ct, probability, seeds, draw(st.floats(1.0, 20.0)), spacing


def millimetres_to(seeds, shape, spacing) -> np.ndarray:
    """Distance of every voxel from the nearest click."""
    nearest = np.full(shape, np.inf)
    for seed in seeds:
        apart = sum(
            ((index - at) * size) ** 2 for index, at, size in zip(np.indices(shape), seed.voxel, spacing, strict=True)
        )
        np.minimum(nearest, np.sqrt(apart), out=nearest)
    return nearest


@settings(deadline=None, max_examples=60)
@given(situations())
def test_every_clicked_voxel_is_on_its_side_of_every_threshold(situation):
    ct, probability, seeds, reach, spacing = situation
    corrected = correct_probability(ct, probability, seeds, reach, spacing)
    for seed in latest_per_place(seeds)[0]:
        assert all((corrected[seed.voxel] / 255.0 >= threshold) == seed.positive for threshold in THRESHOLDS)


@settings(deadline=None, max_examples=60)
@given(situations())
def test_beyond_three_reaches_nothing_changes_and_nothing_passed_in_does(situation):
    ct, probability, seeds, reach, spacing = situation
    before = ct.copy(), probability.copy()
    corrected = correct_probability(ct, probability, seeds, reach, spacing)
    far = millimetres_to(seeds, ct.shape, spacing) > FURTHEST * reach
    np.testing.assert_array_equal(corrected[far], probability[far])
    assert corrected.dtype == np.uint8
    np.testing.assert_array_equal(ct, before[0])
    np.testing.assert_array_equal(probability, before[1])


@settings(deadline=None, max_examples=40)
@given(situations(), st.randoms(use_true_random=False))
def test_the_sequence_of_the_clicks_and_a_cache_do_not_matter(situation, shuffled: random.Random):
    ct, probability, seeds, reach, spacing = situation
    expected = correct_probability(ct, probability, seeds, reach, spacing)
    mixed = list(seeds)
    shuffled.shuffle(mixed)
    # Other order numbers too, as long as no two clicks share a voxel.
    if len({seed.voxel for seed in mixed}) == len(mixed):
        mixed = [Seed(order, seed.voxel, seed.positive) for order, seed in enumerate(mixed)]
    cache = {}
    for count in range(len(mixed) + 1):  # click by click, as a person does
        corrected = correct_probability(ct, probability, mixed[:count], reach, spacing, cache=cache)
    np.testing.assert_array_equal(corrected, expected)


@settings(deadline=None, max_examples=40)
@given(situations(), st.tuples(*[st.integers(0, 9)] * 6))
def test_the_crop_does_not_matter_as_long_as_it_holds_the_surroundings(situation, margins):
    ct, probability, seeds, reach, spacing = situation
    if not seeds:
        return
    reach = min(reach, 3.0)
    boxes = [surroundings(seed.voxel, ct.shape, spacing, reach) for seed in seeds]
    box = tuple(
        slice(
            max(0, min(b[axis].start for b in boxes) - margins[axis]),
            min(ct.shape[axis], max(b[axis].stop for b in boxes) + margins[axis + 3]),
        )
        for axis in range(3)
    )
    whole = correct_probability(ct, probability, seeds, reach, spacing)
    origin = tuple(part.start for part in box)
    part = correct_probability(ct[box], probability[box], seeds, reach, spacing, origin=origin)
    np.testing.assert_array_equal(part, whole[box])


@settings(deadline=None, max_examples=40)
@given(situations())
def test_strokes_are_certain_whatever_clicks_say(situation):
    ct, probability, seeds, reach, spacing = situation
    strokes = (np.random.default_rng(ct.size).integers(0, 6, ct.shape) % 3).astype(np.uint8)
    corrected = correct_probability(ct, probability, seeds, reach, spacing, strokes=strokes)
    without = correct_probability(ct, probability, seeds, reach, spacing)
    assert (corrected[strokes == FOREGROUND] == 255).all()
    assert (corrected[strokes == BACKGROUND] == 0).all()
    np.testing.assert_array_equal(corrected[strokes == 0], without[strokes == 0])


def test_of_contradicting_clicks_the_later_one_counts_and_a_warning_names_both():
    seeds = [Seed(4, (3, 3, 3), False), Seed(2, (3, 3, 3), True), Seed(3, (3, 3, 4), True)]
    kept, warnings = latest_per_place(seeds)
    assert kept == (Seed(3, (3, 3, 4), True), Seed(4, (3, 3, 3), False))
    assert warnings == ("Remove click 4 lies on the voxel of Add click 2: the later one counts.",)
    ct, probability = np.full((8, 8, 8), 40, np.int16), np.full((8, 8, 8), 100, np.uint8)
    corrected = correct_probability(ct, probability, seeds, 10.0, (1.0, 1.0, 1.0))
    assert corrected[3, 3, 3] == 0
    assert corrected[3, 3, 4] == 255


def test_twice_the_same_click_is_no_contradiction():
    assert latest_per_place([Seed(1, (0, 0, 0), True), Seed(2, (0, 0, 0), True)]) == ((Seed(2, (0, 0, 0), True),), ())


@pytest.fixture
def touching():
    """An organ of 100 HU that touches a vessel of 160 HU and another one of 45 HU, all in fat, with a CT's noise."""
    rng = np.random.default_rng(3)
    ct = np.full((36, 60, 60), -90.0)
    organ, vessel, bowel = np.zeros((3, *ct.shape), bool)
    organ[8:28, 20:38, 8:52] = True
    vessel[8:28, 8:20, 8:52] = True
    bowel[8:28, 38:54, 8:52] = True
    for part, hu in ((organ, 100.0), (vessel, 160.0), (bowel, 45.0)):
        ct[part] = hu
    noise = ndimage.gaussian_filter(rng.standard_normal(ct.shape), 0.6)
    ct = ndimage.gaussian_filter(ct, 0.5) + 12.0 * noise / noise.std()
    return ct.astype(np.int16), organ, vessel | bowel


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.6, 1.0, 1.0)])
def test_a_click_does_not_leak_into_touching_tissue_of_other_hu(touching, spacing):
    ct, organ, others = touching
    corrected = correct_probability(ct, np.zeros(ct.shape, np.uint8), [Seed(1, (18, 29, 30), True)], 15.0, spacing)
    mask = corrected >= 128
    fat = ~organ & ~others
    assert mask[organ].mean() > 0.6
    assert mask[others].mean() < 0.03
    assert mask[fat].mean() < 0.02


def test_a_remove_click_takes_the_leak_and_leaves_the_organ(touching):
    ct, organ, others = touching
    probability = np.where(organ | others, 230, 0).astype(np.uint8)
    corrected = correct_probability(ct, probability, [Seed(1, (18, 46, 30), False)], 15.0, (1.0, 1.0, 1.0))
    bowel = others.copy()
    bowel[:, :29] = False
    assert (corrected[bowel] < 128).mean() > 0.6
    assert (corrected[organ] >= 128).mean() > 0.97


def test_a_click_beside_the_segment_moves_its_edge_only(touching):
    ct, organ, _ = touching
    shrunk = ndimage.binary_erosion(organ, iterations=3)
    probability = (255 * ndimage.gaussian_filter(shrunk.astype(float), 1.0)).astype(np.uint8)
    far = Seed(1, (18, 29, 10), True)  # 1 mm outside of it, in the organ
    corrected = correct_probability(ct, probability, [far], 15.0, (1.0, 1.0, 1.0))
    gained = (corrected >= 128) & ~(probability >= 128)
    assert gained.sum() > 50
    assert organ[gained].mean() > 0.95


def test_moving_away_from_the_click_evidence_never_grows_in_one_tissue():
    ct = np.full((9, 9, 91), 80, np.int16)
    corrected = correct_probability(ct, np.zeros(ct.shape, np.uint8), [Seed(1, (4, 4, 45), True)], 15.0, (1, 1, 1))
    row = corrected[4, 4].astype(int)
    assert (np.diff(row[45:]) <= 0).all()
    assert (np.diff(row[:46]) >= 0).all()
    assert row[45 + 15] > 128 > row[45 + 43]


def test_far_from_them_the_evidence_of_clicks_of_a_kind_adds_up():
    ct, probability = np.full((9, 9, 91), 80, np.int16), np.full((9, 9, 91), 14, np.uint8)
    probability[..., :30] = 255  # close by, so that a click by itself is about a small error
    first, second = Seed(1, (4, 2, 33), True), Seed(2, (4, 6, 33), True)
    one, other, both = (
        correct_probability(ct, probability, seeds, 15.0, (1, 1, 1)) for seeds in ([first], [second], [first, second])
    )
    gained = (both >= 128) & (np.maximum(one, other) < 128)
    assert gained[4, 4].sum() >= 2, "what neither click turns by itself"
    assert (both[..., 50:] >= np.maximum(one, other)[..., 50:]).all()
    against = correct_probability(ct, probability, [first, Seed(2, (4, 6, 33), False)], 15.0, (1, 1, 1))
    assert (against[..., 50:] <= one[..., 50:]).all()


def test_a_click_where_the_network_was_right_takes_back_little_of_an_add_click():
    ct, nothing = np.full((21, 21, 91), 80, np.int16), np.zeros((21, 21, 91), np.uint8)
    add, against = Seed(1, (10, 10, 20), True), Seed(2, (10, 10, 36), False)
    alone, both = (correct_probability(ct, nothing, seeds, 15.0, (1, 1, 1)) >= 128 for seeds in ([add], [add, against]))
    taken = np.argwhere(alone & ~both)
    assert alone[against.voxel] and not both[against.voxel]
    assert (np.linalg.norm(taken - against.voxel, axis=1) < 15).all()
    assert both[alone].mean() > 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [Seed(7, (0, 0, 8), True)]}, "Click 7 lies outside"),
        ({"seeds": [Seed(7, (-1, 0, 0), True)]}, "Click 7 lies outside"),
        ({"reach_mm": 0.0}, "above 0"),
        ({"reach_mm": float("nan")}, "above 0"),
        ({"spacing": (1.0, 0.0, 1.0)}, "above 0"),
        ({"probability": np.zeros((8, 8, 8), np.float32)}, "0 to 255"),
        ({"ct": np.zeros((8, 8, 9), np.int16)}, "same voxels"),
        ({"strokes": np.zeros((8, 7, 8), np.uint8)}, "same voxels"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(change, message):
    arguments = {
        "ct": np.zeros((8, 8, 8), np.int16), "probability": np.zeros((8, 8, 8), np.uint8),
        "seeds": [Seed(1, (0, 0, 0), True)], "reach_mm": 10.0, "spacing": (1.0, 1.0, 1.0),
    }  # fmt: skip
    with pytest.raises(BadInput, match=message):
        correct_probability(**{**arguments, **change})


def test_a_remove_click_where_the_network_hesitates_leaves_alike_tissue_that_it_is_certain_of():
    ct = np.full((20, 30, 60), 60, np.int16)
    probability = np.zeros(ct.shape, np.uint8)
    probability[4:16, 8:22, 10:30] = 165  # taken in with doubts
    probability[4:16, 8:22, 30:50] = 250  # nothing in the CT tells the two apart
    spacing = (1.0, 1.0, 1.0)
    corrected = correct_probability(ct, probability, [Seed(1, (10, 15, 18), False)], 15.0, spacing)
    assert (corrected[4:16, 8:22, 10:28] < 128).all()
    assert (corrected[4:16, 8:22, 34:50] >= 128).all()


@pytest.mark.parametrize("positive", [True, False])
def test_a_click_turns_a_network_that_is_certain_and_says_the_contrary(positive):
    ct = np.full((30, 40, 40), 60, np.int16)
    probability = np.full(ct.shape, 0 if positive else 255, np.uint8)
    corrected = correct_probability(ct, probability, [Seed(1, (15, 20, 20), positive)], 10.0, (1.0, 1.0, 1.0))
    turned = (corrected >= 128) == positive
    assert turned[millimetres_to([Seed(1, (15, 20, 20), positive)], ct.shape, (1.0, 1.0, 1.0)) <= 10.0].all()


def test_an_add_click_closes_a_thin_gap_that_the_network_is_certain_of():
    ct = np.full((20, 30, 40), 60, np.int16)
    probability = np.zeros(ct.shape, np.uint8)
    probability[4:16, 8:22, 6:34] = 255
    probability[4:16, 8:22, 19:22] = 0
    corrected = correct_probability(ct, probability, [Seed(1, (10, 15, 20), True)], 15.0, (1.0, 1.0, 1.0))
    assert (corrected[8:13, 13:18, 19:22] >= 128).all()
