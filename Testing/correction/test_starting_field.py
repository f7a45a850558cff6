"""A mask as a field: the mask again at its threshold, and a surface that moves by millimetres at others."""

from __future__ import annotations

import numpy as np
from AttentionUNetSegLib.correction import (
    MASK_THRESHOLD,
    SATURATION_MM,
    Seed,
    change_between,
    changed_field,
    correct_probability,
    field_of_depth,
    signed_depth,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

masks = arrays.arrays(bool, arrays.array_shapes(min_dims=3, max_dims=3, max_side=9))
spacings = st.tuples(*[st.floats(0.02, 8.0)] * 3)


@settings(deadline=None, max_examples=80)
@given(masks, spacings)
def test_at_its_threshold_the_field_is_the_mask_voxel_for_voxel(mask, spacing):
    field = field_of_depth(signed_depth(mask, spacing))
    np.testing.assert_array_equal(field / 255.0 >= MASK_THRESHOLD, mask)


def ball(radius_mm: float, spacing) -> np.ndarray:
    axes = [(np.arange(-30, 31) * size) ** 2 for size in spacing]
    return sum(np.meshgrid(*axes, indexing="ij", sparse=True)) <= radius_mm**2


def test_the_surface_moves_by_millimetres_with_the_threshold_and_is_certain_beyond_three():
    spacing = (0.5, 0.5, 0.5)
    field = field_of_depth(signed_depth(ball(10.0, spacing), spacing))
    row = field[30, 30, 30:].astype(int)
    millimetres = np.arange(31) * 0.5
    assert (np.diff(row) <= 0).all()
    assert (row[millimetres < 10 - SATURATION_MM - 0.5] == 255).all()
    assert (row[millimetres > 10 + SATURATION_MM + 0.5] == 0).all()
    # Log odds of 2 a millimetre: 0.88 is one millimetre further in, 0.12 one further out.
    for threshold, radius in ((0.88, 9.0), (0.12, 11.0)):
        assert abs(np.count_nonzero(row >= 255 * threshold) * 0.5 - radius) <= 0.5


def test_a_click_outweighs_it_as_it_does_a_network_that_is_certain():
    spacing = (2.0, 1.0, 1.0)
    mask = np.zeros((20, 60, 60), bool)
    mask[6:14, 20:40, 20:40] = True
    start = field_of_depth(signed_depth(mask, spacing))
    ct = np.where(np.arange(60) < 50, 60, -90)[None, None].repeat(20, 0).repeat(60, 1).astype(np.int16)
    ct[:, :15], ct[:, 45:] = -90, -90
    now = correct_probability(ct, start, [Seed(1, (10, 30, 46), True)], 15.0, spacing) >= 128
    gained = now & ~mask
    assert np.count_nonzero(gained) > 500
    assert (ct[gained] > 0).mean() > 0.95
    assert now[mask].all()


@given(arrays.arrays(np.uint8, (3, 4, 5)), arrays.arrays(np.uint8, (3, 4, 5)))
def test_a_change_of_log_odds_leaves_alone_what_did_not_change(start, other):
    now = start.copy()
    now[:, 2:] = other[:, 2:]
    again = changed_field(start, change_between(start, now))
    np.testing.assert_array_equal(again[start == now], start[start == now])
    # A stored 0 or 255 stands for log odds of 6, so what comes back is within a step or two of it.
    assert np.abs(again.astype(int) - now.astype(int)).max() <= 2
