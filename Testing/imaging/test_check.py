"""What is refused, in which words, and what is only doubted."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import check_ct


def ct(shape=(30, 12, 14), spacing=(1.5, 1.5, 3.0), kind=np.int16) -> sitk.Image:
    """A CT-like volume: air, fat, organs, bone."""
    array = np.random.default_rng(0).choice([-1000, -100, 40, 80, 700], shape).astype(kind)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


def with_values(change, kind=np.float32) -> sitk.Image:
    image = ct(kind=kind)
    array = sitk.GetArrayFromImage(image)
    changed = sitk.GetImageFromArray(change(array))
    changed.CopyInformation(image)
    return changed


def set_one(value: float):
    def change(array: np.ndarray) -> np.ndarray:
        array[3, 4, 5] = value
        return array

    return change


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_a_ct_of_any_signed_type_passes_silently(kind) -> None:
    assert check_ct(ct(kind=kind)) == ()


def test_padding_and_metal_do_not_matter() -> None:
    assert check_ct(with_values(set_one(-32768), np.int16)) == ()
    assert check_ct(with_values(set_one(30000), np.int16)) == ()


def test_a_label_map_is_no_ct_and_an_8_bit_ct_is_no_label_map() -> None:
    """As they lie beside CTs in folders that `cohort` is given."""
    labels = np.zeros((30, 40, 50), np.int16)
    for n in range(1, 9):
        labels[5:25, 3 * n : 3 * n + 3, 10:40] = n
    for values in (labels, (labels > 0).astype(np.uint8), labels.astype(np.float32)):
        with pytest.raises(BadInput, match="looks like a label map") as refused:
            check_ct(sitk.GetImageFromArray(values))
        assert "Give the CT" in refused.value.hint
    grey = np.clip(labels * 20 + np.random.default_rng(0).normal(0, 5, labels.shape), 0, 255).astype(np.uint8)
    assert "Nothing in the image is below -200 HU" in check_ct(sitk.GetImageFromArray(grey))[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(BadInput, match=r"NaN or infinite values \(1 of 5040 voxels\)"):
        check_ct(with_values(set_one(value)))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda a: a * 0 - 5000, np.float32),
        (lambda a: np.where(a > 0, 5000, -5000).astype(np.int16), np.int16),
        (lambda a: (a + 1000) / 1700, np.float32),
        (lambda a: (a - a.mean()) / a.std(), np.float32),
        (lambda a: (a > 0).astype(np.uint8), np.int16),
        (lambda a: a.astype(np.int32) + 40000, np.int16),
    ],
)
def test_what_is_not_in_hounsfield_units_is_refused(change, kind) -> None:
    with pytest.raises(BadInput, match="not in Hounsfield units|constant"):
        check_ct(with_values(change, kind))


def test_a_constant_image_is_refused_with_its_value() -> None:
    with pytest.raises(BadInput, match="constant: every voxel is -1000"):
        check_ct(with_values(lambda a: a * 0 - 1000))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (sitk.Image([20, 20], sitk.sitkInt16), "2D, not 3D"),
        (sitk.Image([20, 20, 20, 3], sitk.sitkInt16), "4D with 3 volumes"),
        (sitk.Image([20, 20, 20], sitk.sitkVectorUInt8, 3), "3 values per voxel"),
        (sitk.Image([20, 20, 20], sitk.sitkComplexFloat32), "complex"),
        (sitk.Image([20, 20, 0], sitk.sitkInt16), "empty"),
        (sitk.Image([64, 64, 7], sitk.sitkInt16), "fewer than 8 slices: it is 64 x 64 x 7"),
        (sitk.Image([5, 64, 64], sitk.sitkInt16), "fewer than 8 rows or columns: it is 5 x 64 x 64"),
    ],
)
def test_what_is_not_one_volume_is_refused(image: sitk.Image, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_ct(image)


def test_sheared_axes_are_refused_with_degrees() -> None:
    image = ct()
    angle = np.radians(8)
    image.SetDirection((1, 0, 0, 0, 1, np.sin(angle), 0, 0, np.cos(angle)))
    with pytest.raises(BadInput, match=r"not perpendicular to each other \(8\.0 degrees"):
        check_ct(image)


def test_a_broken_origin_is_refused() -> None:
    image = ct()
    image.SetOrigin((np.nan, 0, 0))
    with pytest.raises(BadInput, match="geometry is broken"):
        check_ct(image)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (with_values(lambda a: np.where(a > 600, 3000, a + 1000), np.int16), "without the rescale intercept"),
        (with_values(lambda a: np.clip(a, -160, 240), np.int16), "below -200 HU"),
        (with_values(lambda a: np.clip(a, 0, 255).astype(np.uint8), np.int16), "below -200 HU"),
        (ct(spacing=(1, 1, 7.5)), "slices are 7.5 mm apart"),
        (ct(spacing=(1, 1, 2)), "only 60 mm high"),
    ],
)
def test_doubts_are_said_once(image: sitk.Image, words: str) -> None:
    warnings = check_ct(image)
    assert len(warnings) == 1
    assert words in warnings[0]


def test_the_height_of_the_field_is_measured_along_the_patient() -> None:
    sagittal = ct(spacing=(1, 9, 1))
    sagittal.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
    assert not any("high" in warning for warning in check_ct(sagittal))


def test_a_person_may_insist_on_values_that_are_not_hounsfield_units():
    image = sitk.GetImageFromArray(np.linspace(0.0, 1.0, 16**3, dtype=np.float32).reshape(16, 16, 16))
    image.SetSpacing((5.0, 5.0, 5.0))
    with pytest.raises(BadInput, match="looks scaled to 0 to 1"):
        check_ct(image)
    assert any("looks scaled to 0 to 1" in warning for warning in check_ct(image, any_intensity=True))


def test_not_even_a_person_can_insist_on_a_constant_image():
    image = sitk.Image(16, 16, 16, sitk.sitkInt16)
    with pytest.raises(BadInput, match="constant"):
        check_ct(image, any_intensity=True)
