"""Blocks of voxels: where they lie, what is in them, and the way back."""

from __future__ import annotations

import numpy as np
from AttentionUNetSegLib.correction.block_grid import BLOCK_MM, BlockGrid
from hypothesis import given, settings
from hypothesis import strategies as st


@st.composite
def volumes(draw):
    """An array of random values, a spacing, a voxel in it and a radius in mm."""
    shape = tuple(draw(st.integers(1, 20)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.3, 5.0)) for _ in range(3))
    values = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).normal(0, 100, shape).astype(np.float32)
    voxel = tuple(draw(st.integers(0, n - 1)) for n in shape)
    return values, spacing, voxel, draw(st.floats(0.5, 20.0))


@settings(deadline=None, max_examples=60)
@given(volumes())
def test_a_block_holds_the_mean_of_its_voxels_wherever_an_array_begins(situation):
    values, spacing, voxel, radius_mm = situation
    grid = BlockGrid.around(voxel, (0, 0, 0), values.shape, spacing, radius_mm)
    means = grid.means_of(values, (0, 0, 0))
    assert means.shape == tuple(part.stop - part.start for part in grid.blocks)
    merged = grid.merged
    for index in np.ndindex(means.shape):
        first = [(n + part.start) * m for n, part, m in zip(index, grid.blocks, merged, strict=True)]
        block = values[tuple(slice(a, a + m) for a, m in zip(first, merged, strict=True))]
        if block.shape == tuple(merged):  # one that the volume cuts goes on with its outermost voxels
            np.testing.assert_allclose(means[index], block.mean(), atol=1e-2)
    inside = grid.voxels((0, 0, 0), values.shape)
    origin = tuple(part.start for part in inside)
    np.testing.assert_array_equal(grid.means_of(values[inside], origin), means)


@settings(deadline=None, max_examples=60)
@given(volumes())
def test_the_blocks_around_a_voxel_hold_all_within_the_radius_and_are_of_the_promised_size(situation):
    values, spacing, voxel, radius_mm = situation
    grid = BlockGrid.around(voxel, (0, 0, 0), values.shape, spacing, radius_mm)
    for size, merged in zip(spacing, grid.merged, strict=True):
        assert merged == 1 or abs(size * merged - BLOCK_MM) <= size / 2 + 1e-9
    inside = grid.voxels((0, 0, 0), values.shape)
    for part, n, at, size in zip(inside, values.shape, voxel, spacing, strict=True):
        assert part.start == 0 or (at - part.start) * size > radius_mm
        assert part.stop == n or (part.stop - 1 - at) * size > radius_mm
    block = grid.block_of(voxel)
    nearest = grid.distance_mm(voxel)[block]
    assert nearest <= grid.diagonal_mm / 2 + 1e-9
    assert nearest <= grid.distance_mm(voxel).min() + 1e-9


@settings(deadline=None, max_examples=60)
@given(volumes(), st.tuples(*[st.floats(-3.0, 3.0)] * 4))
def test_on_voxels_a_slope_is_the_same_slope_and_no_voxel_hears_of_blocks_beyond_its_neighbours(situation, slope):
    values, spacing, voxel, radius_mm = situation
    grid = BlockGrid.around(voxel, (0, 0, 0), values.shape, spacing, radius_mm)
    # A slope in voxels of the CT, on the middles of the blocks and on the voxels between the outermost of them.
    middles = [
        np.arange(part.start, part.stop) * m + (m - 1) / 2 for part, m in zip(grid.blocks, grid.merged, strict=True)
    ]
    blocks = slope[3] + sum(a * axis for a, axis in zip(slope, np.meshgrid(*middles, indexing="ij"), strict=False))
    inside, fine = grid.on_voxels(blocks, (0, 0, 0), values.shape)
    axes = [np.arange(part.start, part.stop) for part in inside]
    wanted = slope[3] + sum(
        a * np.clip(axis, middle[0], middle[-1])
        for a, axis, middle in zip(slope, np.meshgrid(*axes, indexing="ij"), middles, strict=False)
    )
    np.testing.assert_allclose(fine, wanted, atol=1e-2)
    one = np.zeros(blocks.shape, np.float32)
    one[grid.block_of(voxel)] = 1.0
    _, spread = grid.on_voxels(one, (0, 0, 0), values.shape)
    center = [m[b] for m, b in zip(middles, grid.block_of(voxel), strict=True)]
    apart = np.sqrt(
        sum(
            ((axis - c) * s) ** 2 for axis, c, s in zip(np.meshgrid(*axes, indexing="ij"), center, spacing, strict=True)
        )
    )
    assert (apart[spread != 0] <= grid.diagonal_mm + 1e-6).all()
