"""The probability on the input's voxels: cropped, rounded, and empty where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import image_on_grid, probability_to_input_grid


def image_of(array: np.ndarray, spacing=(2.0, 2.0, 2.0), origin=(0.0, 0.0, 0.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def test_values_are_rounded_and_the_box_is_tight() -> None:
    array = np.zeros((10, 10, 10), dtype=np.float32)
    array[4, 5, 6] = 0.5
    array[4, 5, 7] = 0.0118
    reference = sitk.Image(10, 10, 10, sitk.sitkInt16)
    reference.SetSpacing((2, 2, 2))
    result = probability_to_input_grid(image_of(array), reference)
    assert result.GetSize() == (2, 1, 1)
    assert sitk.GetArrayFromImage(result).ravel().tolist() == [128, 3]
    assert result.GetOrigin() == pytest.approx((12, 10, 8))


def test_a_map_that_fills_the_field_gives_the_whole_reference() -> None:
    reference = sitk.Image(21, 19, 17, sitk.sitkInt16)
    reference.SetSpacing((1, 1, 1.3))
    centre = reference.TransformContinuousIndexToPhysicalPoint((10, 9, 8))
    array = np.ones((12, 12, 12), dtype=np.float32)
    result = probability_to_input_grid(image_of(array, origin=tuple(c - 11 for c in centre)), reference)
    assert result.GetSize() == reference.GetSize()
    assert sitk.GetArrayFromImage(result).min() == 255


def test_nothing_above_the_lowest_gives_one_empty_voxel_in_the_middle() -> None:
    reference = sitk.Image(30, 20, 11, sitk.sitkInt16)
    for array in (np.zeros((8, 8, 8), np.float32), np.full((8, 8, 8), 0.01, np.float32)):
        result = probability_to_input_grid(image_of(array), reference)
        assert result.GetSize() == (1, 1, 1)
        assert result.GetPixel(0, 0, 0) == 0
        assert reference.TransformPhysicalPointToIndex(result.GetOrigin()) == (15, 10, 5)


def test_a_map_beside_the_reference_gives_one_empty_voxel() -> None:
    reference = sitk.Image(10, 10, 10, sitk.sitkInt16)
    far = image_of(np.ones((4, 4, 4), np.float32), origin=(500.0, 0, 0))
    assert probability_to_input_grid(far, reference).GetSize() == (1, 1, 1)


def test_slabs_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from AttentionUNetSegLib.imaging import probability as module

    array = np.random.default_rng(0).random((9, 9, 9)).astype(np.float32)
    reference = image_on_grid(np.zeros((40, 30, 20), np.int16), image_of(array, (0.9, 0.6, 0.4)))
    whole = sitk.GetArrayFromImage(probability_to_input_grid(image_of(array), reference))
    monkeypatch.setattr(module, "SLAB_VOXELS", 20 * 30 * 7)
    assert np.array_equal(sitk.GetArrayFromImage(probability_to_input_grid(image_of(array), reference)), whole)


def test_another_lowest_value_cuts_elsewhere() -> None:
    array = np.zeros((10, 10, 10), dtype=np.float32)
    array[5, 5, 2:8] = [0.1, 0.3, 0.9, 0.9, 0.3, 0.1]
    reference = sitk.Image(10, 10, 10, sitk.sitkInt16)
    reference.SetSpacing((2, 2, 2))
    sizes = [probability_to_input_grid(image_of(array), reference, lowest).GetSize()[0] for lowest in (0.01, 0.2, 0.5)]
    assert sizes == [6, 4, 2]
