"""Windows, regions and the patient's box."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import (
    HUWindow,
    body_box,
    bounding_box,
    keep_largest_component,
    read_volume,
    to_model_grid,
    volume_ml,
)
from scipy import ndimage


def test_a_window_scales_and_clips() -> None:
    array = np.array([-2000, -160, 40, 240, 3000], dtype=np.int16)
    result = HUWindow(-160, 240).apply(array)
    assert result.dtype == np.float32
    assert result.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    assert array.tolist() == [-2000, -160, 40, 240, 3000]


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(BadInput, match="240 .. -160 HU is empty"):
        HUWindow(240, -160)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_the_bounding_box_is_that_of_scipy(kind: type) -> None:
    rng = np.random.default_rng(0)
    for share in (0.0003, 0.002, 0.05, 1.0):
        mask = (rng.random((13, 17, 11)) < share).astype(kind) * kind(0.5 if kind is np.float32 else 1)
        for view in (mask, mask[::-1, :, ::2], np.asfortranarray(mask)):
            assert bounding_box(view) == (ndimage.find_objects((view != 0).astype(int)) or [None])[0]


def test_nothing_has_no_bounding_box() -> None:
    assert bounding_box(np.zeros((3, 4, 5), bool)) is None
    assert bounding_box(np.zeros((0, 4, 5), bool)) is None


def test_the_largest_region_is_kept() -> None:
    mask = np.zeros((10, 10, 10), dtype=np.uint8)
    mask[1:3, 1:3, 1:3] = 1
    mask[3, 3, 3] = 1  # touches the first by a corner: one region
    mask[6:8, 6:8, 6] = 1
    result = keep_largest_component(mask)
    assert result.dtype == mask.dtype
    assert result.sum() == 9
    assert result[3, 3, 3] == 1
    assert not keep_largest_component(np.zeros((3, 3, 3), bool)).any()


def test_regions_that_hold_what_is_certain_are_kept_beside_the_largest():
    mask = np.zeros((5, 5, 9), np.uint8)
    mask[:3, :3, :3] = mask[0, 0, 5] = mask[4, 4, 8] = 1
    also = np.zeros(mask.shape, bool)
    also[4, 4, 8] = also[2, 2, 6] = True
    expected = mask.copy()
    expected[0, 0, 5] = 0
    np.testing.assert_array_equal(keep_largest_component(mask, also), expected)


def test_volume_in_millilitres() -> None:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[:5] = True
    assert volume_ml(mask, (2.0, 1.0, 3.0)) == pytest.approx(3.0)


def patient(table: bool) -> sitk.Image:
    """An ellipse of soft tissue with lungs, 2 mm voxels; a 6 mm table top 20 mm behind it, as wide as the field."""
    y, x = np.mgrid[:150, :200]
    array = np.full((40, 150, 200), -1000, dtype=np.float32)
    array[:, ((x - 100) / 70) ** 2 + ((y - 60) / 45) ** 2 < 1] = 40
    array[20:, ((x - 70) / 20) ** 2 + ((y - 60) / 25) ** 2 < 1] = -850
    if table:
        array[:, 115:118, :] = 100
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.0, 2.0, 2.0))
    return image


@pytest.mark.parametrize("table", [False, True])
def test_the_box_holds_the_patient_and_not_the_table(table: bool) -> None:
    k, j, i = body_box(patient(table))
    assert k == slice(0, 40)
    assert j.start <= 16 and 105 <= j.stop <= 115
    assert 15 <= i.start <= 31 and 170 <= i.stop <= 186


def test_air_gives_the_whole_field() -> None:
    assert body_box(patient(False) * 0 - 1000) == (slice(0, 40), slice(0, 150), slice(0, 200))


@pytest.mark.parametrize("case", ["crlm_1006", "pancreas_cb_001", "acrin_flt_001"])
def test_the_box_of_a_real_patient_holds_the_body_and_cuts_air_off(shared_data, case: str) -> None:
    model = to_model_grid(read_volume(shared_data / "ct" / case / "ct.nii.gz").image, (3.0, 3.0, 3.0))
    array = sitk.GetArrayFromImage(model)
    box = body_box(model)
    assert array[box].size < 0.8 * array.size
    # All but thin things (table, blanket, tubes) of what is as dense as an organ is inside.
    dense = array > 0
    assert dense[box].sum() > 0.97 * dense.sum()
