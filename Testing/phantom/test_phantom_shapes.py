"""The solids: partial volume is right at any spacing, tubes are where their course is."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.phantom.shapes import (
    Cut,
    Deformed,
    Ellipsoid,
    HalfSpace,
    Tube,
    Union,
    Waves,
    coverage,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st


def axes_around(half_width, spacing):
    return [np.arange(-half_width, half_width + s, s) for s in spacing]


@settings(deadline=None, max_examples=25)
@given(
    radii=st.tuples(*[st.floats(8, 20)] * 3),
    centre=st.tuples(*[st.floats(-2, 2)] * 3),
    spacing=st.tuples(st.floats(0.7, 2), st.floats(0.7, 2), st.floats(1, 4)),
)
@example((8.0, 8.0, 8.0), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0))
def test_covered_volume_of_an_ellipsoid_is_its_volume(radii, centre, spacing):
    x, y, z = axes_around(30, spacing)
    part = coverage(Ellipsoid(np.array(centre), np.array(radii)).distance(x, y, z), spacing)
    assert part.shape == (len(z), len(y), len(x))
    # The edge is taken as flat within a voxel: the error grows with the square of voxel over radius.
    allowed = 0.02 + 0.4 * (max(spacing) / min(radii)) ** 2
    assert part.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * np.prod(radii), rel=allowed)


def test_a_turned_ellipsoid_stays_in_its_bounds():
    angle = np.deg2rad(35)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    solid = Ellipsoid(np.array((3.0, -4.0, 5.0)), np.array((20.0, 6.0, 9.0)), turned)
    x, y, z = axes_around(30, (0.5, 0.5, 0.5))
    inside = np.argwhere(solid.distance(x, y, z) < 0)[:, ::-1] * 0.5 - 30
    lower, upper = solid.bounds()
    assert np.all(inside.min(axis=0) >= lower - 0.01) and np.all(inside.max(axis=0) <= upper + 0.01)
    assert np.all(inside.min(axis=0) <= lower + 1) and np.all(inside.max(axis=0) >= upper - 1)


def test_distance_to_a_straight_tube_is_exact():
    tube = Tube(np.array([(-20.0, 0, 0), (0, 0, 0), (20, 0, 0)]), np.array([4.0, 4, 4]))
    y = np.arange(-10.0, 11)
    distance = tube.distance(np.array([-1.0, 0, 1]), y, np.array([-1.0, 0, 1]))
    np.testing.assert_allclose(distance[1, :, 1], np.minimum(np.abs(y) - 4, 10), atol=0.15)


def test_a_stretched_tube_is_higher_than_wide():
    tube = Tube(np.array([(-20.0, 0, 0), (0, 0, 0), (20, 0, 0)]), np.full(3, 4.0), stretch=(1, 1, 1.5))
    inside = tube.distance(np.array([-1.0, 0, 1]), np.arange(-10.0, 11), np.arange(-10.0, 11))[:, :, 1] < 0
    assert inside.any(axis=1).sum() > inside.any(axis=0).sum()


def test_union_cut_and_growth_combine_as_sets():
    x, y, z = axes_around(20, (1, 1, 1))
    left, right = (Ellipsoid(np.array((c, 0.0, 0)), np.full(3, 8.1)) for c in (-5.0, 5.0))
    in_left, in_right = left.distance(x, y, z) < 0, right.distance(x, y, z) < 0
    np.testing.assert_array_equal(Union((left, right)).distance(x, y, z) < 0, in_left | in_right)
    np.testing.assert_array_equal(Cut(left, within=(right,)).distance(x, y, z) < 0, in_left & in_right)
    np.testing.assert_array_equal(Cut(left, without=(right,)).distance(x, y, z) < 0, in_left & ~in_right)
    np.testing.assert_array_equal(
        Cut(left, within=(HalfSpace(1, 0.5),)).distance(x, y, z) < 0, in_left & (y < 0.5)[None, :, None]
    )
    assert np.all((Deformed(left, 2.0).distance(x, y, z) < 0)[in_left])
    assert np.all((Union((left, right), blend_mm=4).distance(x, y, z) < 0)[in_left | in_right])


def test_waves_have_the_amplitude_asked_for_and_do_not_depend_on_the_block():
    waves = Waves.random(np.random.default_rng(3), wavelength_mm=12, amplitude=2.0)
    x, y, z = axes_around(60, (2, 2, 2))
    whole = waves(x, y, z)
    assert whole.std() == pytest.approx(2.0, rel=0.15)
    np.testing.assert_allclose(waves(x[5:9], y[7:20], z[3:4]), whole[3:4, 7:20, 5:9], atol=1e-3)
