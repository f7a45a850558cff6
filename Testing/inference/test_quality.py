"""Reasons to disquality a result: each comes where it should, and none where all is well."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import to_model_grid
from AttentionUNetSegLib.inference.quality import FoundSegment, assess_quality
from AttentionUNetSegLib.models import ModelPackage
from AttentionUNetSegLib.phantom import make_phantom

WHOLE = 60.0  # mL


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    return to_model_grid(make_phantom(1, (4, 4, 5)).ct, (4, 4, 4))


@pytest.fixture(scope="module")
def package(tiny_model_package) -> ModelPackage:
    """As if it were made for CT: the network is not asked here."""
    return ModelPackage(tiny_model_package.folder, {**tiny_model_package.manifest, "intended_input": "ct"})


def balls(ct: sitk.Image, *centres_and_ml: tuple[tuple[float, float, float], float]) -> np.ndarray:
    """Probability 0.95 in balls around places that are fractions of the field (K, J, I), 0.01 elsewhere."""
    shape = ct.GetSize()[::-1]
    probability = np.full(shape, 0.01, np.float32)
    for centre, ml in centres_and_ml:
        radius = (3000 * ml / (4 * np.pi)) ** (1 / 3) / 4
        distance = sum((n - c * (size - 1)) ** 2 for n, c, size in zip(np.indices(shape), centre, shape, strict=True))
        probability[distance < radius**2] = 0.95
    return probability


def found(
    ct: sitk.Image, probability: np.ndarray, spread: float | None = None, volume: float | None = None
) -> FoundSegment:
    box = tuple(slice(0, n) for n in probability.shape)
    volume = np.count_nonzero(probability >= 0.5) * 0.064 if volume is None else volume
    return FoundSegment(ct, box, probability, None if spread is None else np.full_like(probability, spread), volume)


MIDDLE = (0.5, 0.5, 0.5)


def reasons(ct, package, probability, **changes) -> list[str]:
    return list(assess_quality(found(ct, probability, **changes), package, False).reasons)


def test_a_sound_result_gives_none(ct, package):
    quality = assess_quality(found(ct, balls(ct, (MIDDLE, WHOLE))), package, False)
    assert quality.reasons == ()
    assert quality.mean_probability == pytest.approx(0.95) and quality.mean_spread is None
    quality = assess_quality(found(ct, balls(ct, (MIDDLE, WHOLE)), spread=0.03), package, False)
    assert quality.reasons == () and quality.mean_spread == pytest.approx(0.03)


def test_doubts_that_were_looked_for_before_are_not_looked_for_again(ct, package):
    known = replace(found(ct, balls(ct, (MIDDLE, WHOLE))), doubts=lambda: ["The scan shows a leg."])
    assert assess_quality(known, package, False).reasons == ("The scan shows a leg.",)
    assert assess_quality(replace(known, is_part=True), package, False).reasons == ()


def test_nothing_found(ct, package):
    quality = assess_quality(found(ct, balls(ct)), package, False)
    assert len(quality.reasons) == 1 and "No pancreas was found" in quality.reasons[0]
    assert quality.mean_probability is None and quality.mean_spread is None and quality.expected_dice is None


@pytest.mark.parametrize(("ml", "word"), [(15.0, "small"), (260.0, "large")])
def test_an_implausible_volume(ct, package, ml, word):
    (reason,) = reasons(ct, package, balls(ct, (MIDDLE, ml)))
    assert "mL" in reason and f"unusually {word}" in reason


def test_the_volume_of_another_organ_is_not_judged(ct, package):
    manifest = copy.deepcopy(package.manifest)
    manifest["labels"][0]["code"] = {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}
    assert reasons(ct, ModelPackage(package.folder, manifest), balls(ct, (MIDDLE, 260.0))) == []


def test_parts_of_comparable_size(ct, package):
    two = balls(ct, ((0.5, 0.5, 0.25), 40.0), ((0.5, 0.5, 0.75), 25.0))
    (reason,) = reasons(ct, package, two)
    assert "2 separate parts" in reason
    crumb = balls(ct, ((0.5, 0.5, 0.25), 60.0), ((0.5, 0.5, 0.75), 4.0))
    assert reasons(ct, package, crumb) == []


@pytest.mark.parametrize(
    ("place", "side"),
    [
        ((0.0, 0.5, 0.5), "lower end"),
        ((1.0, 0.5, 0.5), "upper end"),
        ((0.5, 0.0, 0.5), "front"),
        ((0.5, 1.0, 0.5), "back"),
        ((0.5, 0.5, 0.0), "right side"),
        ((0.5, 0.5, 1.0), "left side"),
    ],
)
def test_a_segment_at_the_border_of_the_scan(ct, package, place, side):
    (reason,) = reasons(ct, package, balls(ct, (place, 100.0)))
    assert side in reason


def test_empty_slices_at_the_end_do_not_hide_the_border(ct, package):
    padded = sitk.ConstantPad(ct, (0, 0, 6), (0, 0, 6), -1000.0)
    probability = np.pad(balls(ct, ((1.0, 0.5, 0.5), 100.0)), ((6, 6), (0, 0), (0, 0)), constant_values=0.01)
    (reason,) = reasons(padded, package, probability)
    assert "upper end" in reason


def test_the_box_that_the_network_saw_has_its_place_in_the_scan(ct, package):
    probability = balls(ct, ((1.0, 0.5, 0.5), 100.0))
    part = replace(found(ct, probability), box=(slice(20, None), slice(0, None), slice(0, None)))
    part = replace(part, probability=probability[20:])
    (reason,) = assess_quality(part, package, False).reasons
    assert "upper end" in reason


def test_a_doubting_network(ct, package):
    sure = balls(ct, (MIDDLE, WHOLE))
    unsure = np.where(sure > 0.5, np.float32(0.6), sure)
    (reason,) = reasons(ct, package, unsure)
    assert "0.60" in reason and "unsure" in reason
    (reason,) = reasons(ct, package, sure, spread=0.15)
    assert "0.15" in reason and "spread" in reason
    (reason,) = reasons(ct, package, unsure, spread=0.05)
    assert "unsure" in reason, "a small spread does not make up for a low probability"


def test_the_limits_of_doubt_are_the_models_own(ct, package):
    manifest = copy.deepcopy(package.manifest)
    manifest["output"]["trust"] = {"spread_limit": 0.2, "mean_probability_limit": 0.97}
    strict = ModelPackage(package.folder, manifest)
    sure = balls(ct, (MIDDLE, WHOLE))
    (reason,) = reasons(ct, strict, sure, spread=0.15)
    assert "below 0.97" in reason


def test_a_part_that_may_be_missing_lowers_the_dice_that_the_network_expects(ct, package):
    sure = balls(ct, (MIDDLE, WHOLE))
    whole = assess_quality(found(ct, sure), package, False)
    assert whole.expected_dice == pytest.approx(2 * 0.95 / 1.95, abs=1e-3), "the 0.01 everywhere is next to nothing"
    missing = np.where(balls(ct, ((0.5, 0.5, 0.8), WHOLE)) > 0.5, np.float32(0.45), sure)
    missing[sure > 0.5] = 0.95
    doubted = assess_quality(found(ct, missing), package, False)
    assert doubted.mean_probability == whole.mean_probability and doubted.expected_dice < 0.85

    manifest = copy.deepcopy(package.manifest)
    manifest["output"]["trust"] = {"expected_dice_limit": 0.9}
    strict = ModelPackage(package.folder, manifest)
    assert assess_quality(found(ct, sure), strict, False).reasons == ()
    (reason,) = assess_quality(found(ct, missing), strict, False).reasons
    assert f"a Dice of {doubted.expected_dice:.2f}" in reason and "below 0.9" in reason


def test_two_looks_that_find_different_segments_are_told_of(ct, package):
    manifest = copy.deepcopy(package.manifest)
    manifest["output"]["trust"] = {"agreement_limit": 0.8}
    strict, result = ModelPackage(package.folder, manifest), found(ct, balls(ct, (MIDDLE, WHOLE)))
    assert assess_quality(replace(result, agreement=0.81), strict, False).reasons == ()
    assert assess_quality(result, strict, False).reasons == (), "a single pass does not tell"
    (reason,) = assess_quality(replace(result, agreement=0.712), strict, False).reasons
    assert "Dice 0.71 between them, below 0.8" in reason
    assert assess_quality(replace(result, agreement=0.712), package, False).reasons == (), "the card gives no limit"


def test_a_part_that_a_person_chose_is_not_judged_by_its_borders(ct, package):
    part = replace(found(ct[:, :, :12], balls(ct[:, :, :12], ((0.0, 0.5, 0.5), 15.0))), is_part=True)
    assert assess_quality(part, package, False).reasons == ()
    assert len(assess_quality(replace(part, is_part=False), package, False).reasons) >= 2


def test_phantoms_are_no_patients(ct, package, tiny_model_package):
    odd = found(ct[:, :, :12], balls(ct[:, :, :12], ((0.0, 0.5, 0.5), 15.0)))
    assert assess_quality(odd, tiny_model_package, True).reasons == ()
    (loud,) = assess_quality(odd, tiny_model_package, False).reasons
    assert "DO NOT USE" in loud
