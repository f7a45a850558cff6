"""Pictures of cases."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.training.evaluation import crop_case
from AttentionUNetSegLib.training.evaluation.overlay import (
    LABEL_COLOR,
    SEGMENT_COLOR,
    draw_case,
    worst_place,
    write_png,
)
from PIL import Image


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(5, (3, 3, 4))


def shifted(phantom, voxels: int) -> sitk.Image:
    """The pancreas as a probability map, moved towards the patient's left."""
    array = np.roll(sitk.GetArrayFromImage(phantom.pancreas), voxels, axis=2) * np.uint8(255)
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(phantom.ct)
    return image


def with_a_ball(phantom, radius_mm: float) -> sitk.Image:
    """The pancreas as a probability map, and a false ball beside its middle: the one deepest place is known."""
    array = sitk.GetArrayFromImage(phantom.pancreas)
    middle = np.argwhere(array).mean(axis=0).round() - (0, 14, 0)
    apart = [((np.arange(n) - c) * s) ** 2 for n, c, s in zip(array.shape, middle, (4, 3, 3), strict=True)]
    array |= apart[0][:, None, None] + apart[1][:, None] + apart[2] < radius_mm**2
    image = sitk.GetImageFromArray(array * np.uint8(255))
    image.CopyInformation(phantom.ct)
    return image


def pixels(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(np.count_nonzero((picture == color).all(axis=-1)))


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "ASL"])
def test_both_outlines_whatever_the_orientation(phantom, orientation, tmp_path):
    worst = with_a_ball(phantom, radius_mm=17)
    images = phantom.ct, phantom.pancreas, worst
    ct, label, probability = (sitk.DICOMOrient(image, orientation) for image in images)
    path = tmp_path / "case.png"
    write_png(draw_case(ct, crop_case(label, probability, 0.5), "case ü  Dice 0.5"), path)
    picture = np.asarray(Image.open(path))
    side = picture.shape[1] // 3
    for plane in range(3):  # the ball, drawn in the middle of each
        assert pixels(picture[24 : 24 + side, plane * side : (plane + 1) * side], SEGMENT_COLOR) > 100
    assert pixels(picture[24:-24], LABEL_COLOR) > 50
    assert picture[:24].max() > 200, "no title"
    reference = draw_case(phantom.ct, crop_case(phantom.pancreas, worst, 0.5), "case ü  Dice 0.5")
    assert np.mean(np.asarray(reference) != picture) < 0.02  # the same place of the same patient


def test_lines_that_run_together_show_both_colours(phantom):
    picture = np.asarray(draw_case(phantom.ct, crop_case(phantom.pancreas, shifted(phantom, 0), 0.5), "perfect"))
    label, segment = pixels(picture, LABEL_COLOR), pixels(picture, SEGMENT_COLOR)
    assert min(label, segment) > 100 and 0.5 < label / segment < 2


def test_the_worst_place_is_in_the_middle_of_the_largest_error(make_case, box):
    label = box((5, 5, 5), (10, 15, 15))
    island, crumb = box((20, 30, 40), (29, 41, 51)), box((35, 2, 2), (36, 4, 4))
    case = make_case(label | island | crumb, label, (1.0, 1.0, 1.0))
    ct = sitk.Image(60, 50, 40, sitk.sitkInt16)
    assert worst_place(ct, case) == pytest.approx((45, 35, 24), abs=1)
    assert worst_place(ct, make_case(label, label)) == pytest.approx((9.5, 9.5, 7), abs=0.1)
    nothing = box((0, 0, 0), (0, 0, 0))
    assert worst_place(ct, make_case(nothing, nothing)) == pytest.approx((30, 25, 20))


def test_nothing_found_and_a_partial_label_are_drawn_too(phantom):
    case = crop_case(phantom.pancreas, shifted(phantom, 0)[:1, :1, :1], 0.5)
    plain = np.asarray(draw_case(phantom.ct, case, "missed"))
    assert pixels(plain[24:-24], LABEL_COLOR) > 100 and pixels(plain[24:-24], SEGMENT_COLOR) == 0
    ignored = dataclasses.replace(case, ignore=np.ones(case.label.shape, bool))
    assert np.count_nonzero(np.asarray(draw_case(phantom.ct, ignored, "missed")) != plain) > 1000
