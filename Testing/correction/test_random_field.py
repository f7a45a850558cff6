"""What neighbours and attenuation make of the evidence of clicks."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.contracts import FURTHEST
from AttentionUNetSegLib.correction.random_field import SURE_LOG_ODDS, change_around_clicks
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

SPACING = (1.8, 1.8, 1.8)


@st.composite
def evidence(draw):
    """Attenuation, log odds and distances of the clicks, all random, on the same voxels."""
    shape = tuple(draw(st.integers(1, 10)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hu = np.clip(rng.normal(50.0, 80.0, shape), -200, 300).astype(np.float32)
    log_odds = rng.normal(0.0, draw(st.floats(0.1, 12.0)), shape).astype(np.float32)
    distance = np.minimum(rng.uniform(0.0, 1.5 * FURTHEST, shape), FURTHEST).astype(np.float32)
    return hu, log_odds, distance, tuple(draw(st.floats(1.0, 6.0)) for _ in range(3))


@settings(deadline=None, max_examples=80)
@given(evidence())
def test_nothing_changes_far_away_and_nothing_becomes_more_certain(situation):
    hu, log_odds, distance, spacing = situation
    change = change_around_clicks(hu, log_odds, distance, spacing)
    assert change.dtype == np.float32
    assert np.isfinite(change).all()
    assert (change[distance >= FURTHEST] == 0).all()
    certain = np.maximum(np.abs(log_odds), SURE_LOG_ODDS)
    assert (np.abs(log_odds + change) <= certain + 1e-4).all()


@settings(deadline=None, max_examples=40)
@given(evidence())
def test_inside_and_outside_are_treated_alike(situation):
    hu, log_odds, distance, spacing = situation
    there = change_around_clicks(hu, log_odds, distance, spacing)
    back = change_around_clicks(hu, -log_odds, distance, spacing)
    np.testing.assert_allclose(there, -back, atol=1e-3)


@pytest.fixture
def two_tissues():
    """Two tissues of 100 and 50 HU with a CT's noise, and evidence that ends 5 mm before the border between them."""
    noise = np.random.default_rng(1).standard_normal((16, 16, 40))
    noise = ndimage.gaussian_filter(noise, 0.5)
    hu = np.where(np.arange(40) < 20, 100.0, 50.0) + 10.0 * noise / noise.std()
    log_odds = np.broadcast_to(np.clip(17.0 - np.arange(40.0), -4.0, 4.0), hu.shape)
    return hu.astype(np.float32), log_odds.astype(np.float32)


def test_an_edge_that_lies_beside_the_border_of_two_tissues_moves_to_it(two_tissues):
    hu, log_odds = two_tissues
    after = log_odds + change_around_clicks(hu, log_odds, np.full(hu.shape, 0.5, np.float32), SPACING)
    assert (log_odds[..., :20] > 0).mean() == pytest.approx(0.85)
    assert (after[..., :20] > 0).mean() > 0.97
    assert (after[..., 20:] < 0).mean() > 0.97


def test_the_further_from_the_clicks_the_less_it_moves(two_tissues):
    hu, log_odds = two_tissues
    gained = [
        (log_odds + change_around_clicks(hu, log_odds, np.full(hu.shape, apart, np.float32), SPACING) > 0).sum()
        for apart in (0.5, 2.0, 2.7, 2.97, FURTHEST)
    ]
    assert gained == sorted(gained, reverse=True)
    assert gained[0] > gained[-1] == (log_odds > 0).sum()


def test_one_stray_voxel_follows_its_neighbours_unless_its_tissue_is_another():
    hu = np.full((9, 9, 9), 80.0, np.float32)
    log_odds = np.full(hu.shape, 3.0, np.float32)
    log_odds[4, 4, 4] = -1.0
    near = np.ones(hu.shape, np.float32)
    assert (log_odds + change_around_clicks(hu, log_odds, near, SPACING))[4, 4, 4] > 0
    hu[4, 4, 4] = 250.0  # a stent
    assert (log_odds + change_around_clicks(hu, log_odds, near, SPACING))[4, 4, 4] < 0
