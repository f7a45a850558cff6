"""What lies beyond the ends of a scan is its mirror image, and nothing of it is left in the result."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import Segmenter, mirrored_surroundings
from AttentionUNetSegLib.inference.mirrored_surroundings import Mirrored
from AttentionUNetSegLib.phantom import make_phantom


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_cropping_takes_back_what_padding_added_on_every_gates_grid(level):
    field = np.arange(20 * 21 * 23, dtype=np.float32).reshape(20, 21, 23)
    around = Mirrored.about((slice(0, 20), slice(2, 23), slice(0, 23)), (20, 25, 23), (2.5,) * 3, 8)
    assert around.before == (16, 0, 16) and around.after == (16, 0, 16)  # along J, air was cut away on both sides
    padded = around.padded(field)
    assert np.array_equal(padded[15], padded[17]) and np.array_equal(around.cropped(padded), field)
    step = 2**level
    coarse, wanted = padded[::step, ::step, ::step], field[::step, ::step, ::step]
    assert np.array_equal(around.cropped(coarse, level), wanted)


def test_a_single_slice_has_no_mirror_image():
    around = Mirrored.about((slice(0, 1), slice(0, 4), slice(0, 4)), (1, 4, 4), (2.5,) * 3, 4)
    assert around.padded(np.zeros((1, 4, 4))).shape == (1, 36, 36)


def test_a_gland_near_the_end_of_the_scan_is_found_as_in_the_whole_scan(phantom_model_package, monkeypatch):
    phantom = make_phantom(7, (2.0, 2.0, 3.0))
    segmenter = Segmenter(phantom_model_package, "cpu")

    def found(ct: sitk.Image) -> np.ndarray:
        probability = segmenter.segment(Volume(ct, "phantom", True, ())).probability
        whole = sitk.Resample(probability, phantom.ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        return sitk.GetArrayFromImage(whole) >= 128

    reference = found(phantom.ct)
    places = np.argwhere(reference)
    low, high = (end.tolist()[::-1] for end in (places.min(axis=0), places.max(axis=0) + 1))
    cut = phantom.ct[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))]  # nothing but the gland

    def agreement() -> float:
        got = found(cut)
        return 2 * (got & reference).sum() / (got.sum() + reference.sum())

    with_mirror = agreement()
    monkeypatch.setattr(mirrored_surroundings, "MIRRORED_MM", 0.0)
    assert with_mirror > 0.95 and with_mirror > agreement() + 0.01
