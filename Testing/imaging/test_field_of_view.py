"""Whether a CT shows the upper abdomen: real scans, parts of them, phantoms, and what is no patient at all."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import field_of_view_doubts, list_dicom_series, read_volume, to_model_grid
from AttentionUNetSegLib.phantom import make_phantom

ABDOMINAL = ["acrin_flt_001", "acrin_nsclc_042", "cptac_c3l00189", "crlm_1006", "totalsegmentator_example"]
SPACING_MM = (4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def coarse(shared_data):
    """Gives a real CT on the model's grid; every scan is read once."""
    kept: dict[str, sitk.Image] = {}

    def get(case: str) -> sitk.Image:
        if case not in kept:
            kept[case] = to_model_grid(read_volume(shared_data / "ct" / case / "ct.nii.gz").image, SPACING_MM)
        return kept[case]

    return get


def generated(hu: np.ndarray, spacing=SPACING_MM) -> sitk.Image:
    noise = np.random.default_rng(0).normal(0, 15, hu.shape)
    image = sitk.GetImageFromArray((hu + noise).astype(np.float32))
    image.SetSpacing(spacing)
    return image


def ellipses(*radii_and_hu: tuple[float, float, float], slices: int = 50, size: int = 100) -> np.ndarray:
    """Nested elliptic cylinders: (radius along J, radius along I in voxels, HU), each over the one before."""
    j, i = np.indices((size, size)) - (size - 1) / 2
    one = np.full((size, size), -1000.0)
    for along_j, along_i, hu in radii_and_hu:
        one[(j / along_j) ** 2 + (i / along_i) ** 2 < 1] = hu
    return np.repeat(one[None], slices, axis=0)


@pytest.mark.parametrize("case", [*ABDOMINAL, "pancreas_cb_001"])
def test_a_real_abdomen_raises_no_doubt(coarse, case):
    assert field_of_view_doubts(coarse(case)) == []


@pytest.mark.parametrize("spacing", [2.0, 3.0, 5.0])
def test_the_spacing_does_not_matter(shared_data, spacing):
    ct = read_volume(shared_data / "ct" / "crlm_1006" / "ct.nii.gz").image
    assert field_of_view_doubts(to_model_grid(ct, (spacing,) * 3)) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_whole_phantom_raises_no_doubt(seed):
    assert field_of_view_doubts(to_model_grid(make_phantom(seed, (4, 4, 5)).ct, SPACING_MM)) == []


def test_a_real_series_of_head_and_neck_shows_no_abdomen(shared_data):
    folder = shared_data / "dicom" / "acrin_flt_001"
    highest = max((read_volume(folder, each.uid).image for each in list_dicom_series(folder)), key=_height)
    (doubt,) = field_of_view_doubts(to_model_grid(highest, SPACING_MM))
    assert "upper abdomen" in doubt


def _height(image: sitk.Image) -> float:
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])[2]


@pytest.mark.parametrize(
    ("case", "first", "end", "words"),
    [
        ("acrin_nsclc_042", 40, 111, "upper abdomen"),  # chest
        ("acrin_nsclc_042", 70, 111, "upper abdomen"),  # upper chest, shoulders and neck
        ("acrin_nsclc_042", 25, 111, "below the lungs"),  # chest, down to the middle of the liver
        ("crlm_1006", 30, 64, "below the lungs"),
        ("crlm_1006", 40, 64, "upper abdomen"),  # heart and dome of the diaphragm
        ("pancreas_cb_001", 35, 60, "upper abdomen"),
        ("acrin_flt_001", 0, 35, "upper abdomen"),  # pelvis
        ("acrin_flt_001", 0, 60, "upper abdomen"),  # pelvis and lower abdomen
        ("totalsegmentator_example", 0, 40, "upper abdomen"),
    ],
)
def test_a_part_of_a_real_scan_without_the_pancreas_is_noticed(coarse, case, first, end, words):
    (doubt,) = field_of_view_doubts(coarse(case)[:, :, first:end])
    assert words in doubt


@pytest.mark.parametrize(
    ("case", "first", "end"), [("acrin_flt_001", 60, 106), ("acrin_nsclc_042", 0, 60), ("crlm_1006", 8, 50)]
)
def test_a_part_of_a_real_scan_with_the_pancreas_raises_no_doubt(coarse, case, first, end):
    assert field_of_view_doubts(coarse(case)[:, :, first:end]) == []


def test_empty_air_holds_no_patient():
    (doubt,) = field_of_view_doubts(generated(np.full((40, 60, 60), -1000.0)))
    assert "no patient" in doubt
    table = np.full((40, 60, 60), -1000.0)
    table[:, 50:52] = 40
    (doubt,) = field_of_view_doubts(generated(table))
    assert "no patient" in doubt


@pytest.mark.parametrize("wall_hu", [0.0, 120.0])
def test_a_cylinder_of_water_is_a_test_object(wall_hu):
    (doubt,) = field_of_view_doubts(generated(ellipses((37, 37, wall_hu), (35, 35, 0.0))))
    assert "test object" in doubt


def test_a_head_shows_no_abdomen():
    """Skin and fat, skull, brain: thick soft tissue, but within bone, and a small cross-section."""
    head = ellipses((25, 20, 30.0), (24, 19, -90.0), (22.5, 17.5, 900.0), (20.5, 15.5, 35.0))
    (doubt,) = field_of_view_doubts(generated(head))
    assert "upper abdomen" in doubt
