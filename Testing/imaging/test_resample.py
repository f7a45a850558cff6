"""To the model's grid: anti-aliased, no bleeding padding, every scalar type, little memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import to_model_grid
from AttentionUNetSegLib.imaging.resample import resampling_weights
from hypothesis import given, settings
from hypothesis import strategies as st


def image_of(array: np.ndarray, spacing=(1.0, 1.0, 1.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.floats(0.1, 12))
def test_weights_are_a_mean_that_keeps_ramps(n_in: int, ratio: float) -> None:
    n_out = max(1, int(np.ceil(n_in / ratio)))
    weights = resampling_weights(n_in, n_out, ratio).toarray().astype(float)
    assert weights.sum(axis=1) == pytest.approx(np.ones(n_out), abs=1e-5)
    assert weights.min() >= -1e-6
    positions = (n_in - 1) / 2 + (np.arange(n_out) - (n_out - 1) / 2) * ratio
    inner = (positions > ratio + 1) & (positions < n_in - 2 - ratio)
    assert (weights @ np.arange(n_in))[inner] == pytest.approx(positions[inner], abs=1e-3)


def test_the_same_spacing_changes_nothing() -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (9, 10, 11), dtype=np.int16)
    image = image_of(array, (1.0, 2.0, 3.0))
    result = to_model_grid(image, (1.0, 2.0, 3.0))
    assert np.array_equal(sitk.GetArrayFromImage(result), array)
    assert result.GetOrigin() == pytest.approx(image.GetOrigin())
    assert result.GetPixelID() == sitk.sitkFloat32


def test_stripes_finer_than_the_model_grid_become_grey() -> None:
    array = np.zeros((8, 64, 64), dtype=np.int16)
    array[:, :, ::2] = 200
    values = sitk.GetArrayFromImage(to_model_grid(image_of(array), (4.0, 4.0, 1.0)))
    assert np.abs(values[:, :, 1:-1] - 100).max() < 2


def test_noise_is_averaged_down() -> None:
    array = np.random.default_rng(0).normal(0, 50, (24, 48, 48)).astype(np.float32)
    values = sitk.GetArrayFromImage(to_model_grid(image_of(array), (3.0, 3.0, 3.0)))
    assert values.std() < 10


@pytest.mark.parametrize("padding", [-32768, -3024, -2000])
def test_padding_is_air_and_does_not_bleed(padding: int) -> None:
    array = np.full((16, 32, 32), 40, dtype=np.int16)
    array[:, :, :7] = padding
    air = np.where(array == padding, -1024, array).astype(np.int16)
    spacing = (2.5, 2.5, 2.5)
    result, expected = (sitk.GetArrayFromImage(to_model_grid(image_of(a), spacing)) for a in (array, air))
    assert np.array_equal(result, expected)


def test_edges_are_not_darkened() -> None:
    array = np.full((9, 21, 33), 55, dtype=np.int16)
    for spacing in ((2.0, 2.0, 2.0), (0.7, 0.7, 0.7), (5.5, 3.1, 0.9)):
        assert np.allclose(sitk.GetArrayFromImage(to_model_grid(image_of(array), spacing)), 55, atol=1e-3)


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
def test_every_scalar_type_gives_the_same(kind: str) -> None:
    array = np.random.default_rng(0).integers(0, 100, (10, 12, 14))
    expected = sitk.GetArrayFromImage(to_model_grid(image_of(array.astype(np.int16)), (1.7, 0.8, 2.2)))
    result = to_model_grid(image_of(array.astype(kind)), (1.7, 0.8, 2.2))
    assert np.array_equal(sitk.GetArrayFromImage(result), expected)


def test_the_input_is_left_as_it_is() -> None:
    array = np.random.default_rng(0).integers(-3000, 4000, (10, 12, 14)).astype(np.float32)
    image = image_of(array)
    to_model_grid(image, (2.0, 2.0, 2.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), array)


def test_a_turned_volume_is_surrounded_by_air() -> None:
    image = image_of(np.full((20, 20, 20), 30, dtype=np.int16), (2.0, 2.0, 2.0))
    c, s = np.cos(np.radians(40)), np.sin(np.radians(40))
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    result = to_model_grid(image, (2.0, 2.0, 2.0))
    values = sitk.GetArrayFromImage(result)
    assert result.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert values[10, 0, 0] == -1024
    assert values[tuple(n // 2 for n in values.shape)] == pytest.approx(30)


def test_a_large_volume_needs_neither_much_memory_nor_much_time() -> None:
    """Memory is bounded by what numpy allocates beyond the input: the result and a slab, never a full float copy."""
    image = sitk.Image(512, 512, 200, sitk.sitkInt16) + 40
    image.SetSpacing((0.8, 0.8, 1.0))
    tracemalloc.start()
    start = time.process_time()
    result = to_model_grid(image, (2.0, 2.0, 2.0))
    used, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    full_float_copy = 512 * 512 * 200 * 4
    assert peak < full_float_copy / 4
    assert result.GetSize() == (205, 205, 100)
    assert used < 5
