"""Test-time augmentation: what the passes are, their mean and spread, and the spread as a volume."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import Segmenter, SegmentOptions, write_segmentation
from AttentionUNetSegLib.inference.augmentation import PASSES, SPREAD_SCALE, Pass, mean_and_spread
from AttentionUNetSegLib.phantom import make_phantom
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@settings(deadline=None)
@given(arrays(np.float32, (7, 2, 3, 4), elements=st.floats(0, 1, width=32)), st.integers(2, 7))
def test_mean_and_standard_deviation_are_those_of_numpy(values, count):
    mean, spread = mean_and_spread(one.copy() for one in values[:count])
    assert mean == pytest.approx(values[:count].mean(axis=0, dtype=float), abs=1e-5)
    assert spread == pytest.approx(values[:count].std(axis=0, dtype=float), abs=1e-3)
    assert spread.max() <= 0.5 + 1e-6
    alone, unwanted = mean_and_spread((one.copy() for one in values[:count]), with_spread=False)
    assert unwanted is None and (alone == mean).all()


def test_a_single_pass_has_no_spread():
    mean, spread = mean_and_spread([np.full((2, 2, 2), 0.25, np.float32)])
    assert spread is None and (mean == 0.25).all()


def test_the_first_pass_changes_nothing_and_the_others_are_balanced():
    assert PASSES[0] == Pass((0, 0, 0), 0.0)
    assert 6 <= len(PASSES) <= 8 and len(set(PASSES)) == len(PASSES)
    assert sum(each.hu for each in PASSES) == 0 and max(abs(each.hu) for each in PASSES) == 10
    for axis in range(3):
        assert sorted(each.shift[axis] for each in PASSES) == list(range(8))


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    return make_phantom(3, (4, 4, 5)).ct


@pytest.fixture(scope="module")
def both(phantom_model_package, ct):
    segmenter = Segmenter(phantom_model_package, "cpu")
    volume = Volume(ct, "phantom", True, ())
    return segmenter.segment(volume), segmenter.segment(volume, SegmentOptions(tta=True))


def test_the_spread_lies_on_the_probability_and_is_high_at_the_border_of_the_segment(both):
    plain, augmented = both
    assert plain.spread is None and plain.quality.mean_spread is None
    spread, probability = augmented.spread, augmented.probability
    assert spread.GetPixelID() == sitk.sitkUInt8 and spread.GetSize() == probability.GetSize()
    assert spread.GetOrigin() == probability.GetOrigin() and spread.GetDirection() == probability.GetDirection()
    deviation = sitk.GetArrayFromImage(spread) / SPREAD_SCALE
    mean = sitk.GetArrayFromImage(probability) / 255
    assert 0.02 < deviation.max() <= 0.5
    border, inside, outside = (mean > 0.3) & (mean < 0.7), mean > 0.95, mean < 0.05
    assert deviation[border].mean() > 3 * max(deviation[inside].mean(), deviation[outside].mean())
    assert 0 < augmented.quality.mean_spread < 0.25
    assert augmented.volume_ml["Pancreas"] == pytest.approx(plain.volume_ml["Pancreas"], rel=0.2)


def test_the_passes_lie_on_each_other(both, ct):
    """The mean differs from the first pass by far less than it would with the passes a voxel (4 mm) apart."""
    plain, augmented = (sitk.GetArrayFromImage(sitk.Resample(each.probability, ct)) / 255 for each in both)

    def share(got):
        return np.abs(got - plain).mean() / plain.std()

    shifted = [share(np.roll(augmented, shift, axis)) for axis in range(3) for shift in (1, -1)]
    assert 0 < share(augmented) < 0.015 and min(shifted) > 0.03


def test_a_sure_model_on_its_own_kind_of_image_gives_no_warning(both):
    for result in both:
        assert result.warnings == [] and result.quality.reasons == ()
        assert result.quality.mean_probability > 0.8


def test_a_model_may_want_two_passes_whose_mean_is_its_result(phantom_model_package, ct, both, monkeypatch):
    manifest = copy.deepcopy(phantom_model_package.manifest)
    manifest["output"]["passes"] = 2
    segmenter = Segmenter(replace(phantom_model_package, manifest=manifest), "cpu")
    volume = Volume(ct, "phantom", True, ())
    twice = segmenter.segment(volume)
    assert twice.spread is None and twice.quality.mean_spread is None

    monkeypatch.setattr("AttentionUNetSegLib.inference.segmenter.PASSES", PASSES[1:])
    second = Segmenter(phantom_model_package, "cpu").segment(volume)
    images = [sitk.GetArrayFromImage(sitk.Resample(each.probability, ct)) for each in (both[0], second, twice)]
    one, other, mean = (image.astype(float) for image in images)
    organ = mean >= 64  # far islands are left out after averaging
    assert np.abs(mean - (one + other) / 2)[organ].max() <= 2
    assert np.abs(mean - one).max() > 20, "one pass alone is another result"


def test_the_spread_is_a_file_only_where_there_is_one(both, tmp_path):
    plain, augmented = both
    assert write_segmentation(plain, tmp_path).spread is None
    assert not (tmp_path / "spread.nrrd").exists()
    files = write_segmentation(augmented, tmp_path)
    read = sitk.ReadImage(str(tmp_path / files.spread))
    assert np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(augmented.spread))
