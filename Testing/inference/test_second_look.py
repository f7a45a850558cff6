"""The second look: a finer network around what the first one found, in the right place and with the right say."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.errors import BadModel
from AttentionUNetSegLib.imaging import Geometry, Volume, to_model_grid
from AttentionUNetSegLib.inference import Segmenter, SegmentOptions
from AttentionUNetSegLib.inference.second_look import BLENDED_MM, _ends_with_the_scan, _say
from AttentionUNetSegLib.inference.weights import load_networks
from AttentionUNetSegLib.models import load_package, write_package
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.training.trainer.joined_package import join_second_look, rounded
from phantom_package import PHANTOM_MODEL


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(5, (2.0, 2.0, 4.0), "portal_venous", (320.0, 260.0, 160.0))


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """The phantom model twice; the second look alone decides where it looks."""
    package = load_package(PHANTOM_MODEL)
    return join_second_look(package, package, tmp_path_factory.mktemp("joined") / "model", 40.0, 1.0)


def turned(image, degrees):
    """The image turned about the patient's long axis and moved: the same voxels elsewhere in space."""
    angle = np.radians(degrees)
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    result = sitk.Image(image)
    result.SetDirection((about_z @ np.array(image.GetDirection()).reshape(3, 3)).ravel().tolist())
    result.SetOrigin((30.0, -200.0, 500.0))
    return result


def dice(result, label):
    """Of a result at threshold 0.5 with a mask on the CT's grid."""
    whole = sitk.Resample(result.probability, label, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    found, true = sitk.GetArrayViewFromImage(whole) >= 128, sitk.GetArrayViewFromImage(label) != 0
    return 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))


@pytest.mark.parametrize(
    "turn",
    [
        lambda image: image,
        lambda image: sitk.DICOMOrient(image, "RAI"),  # the same patient, his voxels in another sequence
        lambda image: turned(image, 8),
        lambda image: turned(image, 15),  # beyond 10 degrees the model's grid stands upright
    ],
    ids=["plain", "other sequence", "turned", "turned further"],
)
def test_the_second_look_finds_the_gland_where_it_is(joined, phantom, turn):
    volume, label = Volume(turn(phantom.ct), "phantom", True, ()), turn(phantom.pancreas)
    once = Segmenter(load_package(PHANTOM_MODEL), "cpu").segment(volume)
    twice = Segmenter(joined, "cpu").segment(volume)
    assert dice(once, label) > 0.7 and dice(twice, label) > dice(once, label) - 0.02
    assert "second_look" in twice.timings and len(twice.attention) == len(once.attention)
    assert twice.quality.expected_dice == pytest.approx(once.quality.expected_dice, abs=0.1)


def test_a_second_look_that_lies_a_voxel_off_is_found_out(joined, phantom, monkeypatch):
    """The mutant that the tolerance above has to tell from another grid."""
    volume = Volume(phantom.ct, "phantom", True, ())
    segmenter = Segmenter(joined, "cpu")
    right = dice(segmenter.segment(volume), phantom.pancreas)
    at = segmenter.finer.look.at
    monkeypatch.setattr(segmenter.finer.look, "at", lambda hu, *rest: at(np.roll(hu, 1, -1), *rest))
    assert dice(segmenter.segment(volume), phantom.pancreas) < right - 0.04


def test_its_share_decides(phantom, tmp_path):
    """Half a share is the mean of both looks; and the same CT gives the same bits twice."""
    package = load_package(PHANTOM_MODEL)
    other = replace(
        package, manifest={**package.manifest, "input": {**package.manifest["input"], "spacing_mm": [3] * 3}}
    )
    volume = Volume(phantom.ct, "phantom", True, ())
    half = join_second_look(package, other, tmp_path / "half", 40.0, 0.5)
    label = phantom.pancreas

    def probability(of):
        image = Segmenter(of, "cpu").segment(volume).probability
        whole = sitk.Resample(image, label, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        return sitk.GetArrayFromImage(whole).astype(float)[sitk.GetArrayViewFromImage(label) != 0]

    second = probability(join_second_look(package, other, tmp_path / "second", 40.0, 1.0))
    both = probability(half)
    assert (both == probability(half)).all()
    # The first look, seen through the finer grid: what is left of it when the second has next to no share.
    first = probability(join_second_look(package, other, tmp_path / "first", 40.0, 1e-6))
    assert np.abs(first - second).mean() > 2
    assert np.abs(both - (first + second) / 2).max() <= 1.5


def test_the_same_two_networks_have_the_same_hash_tomorrow(joined, tmp_path, monkeypatch):
    monkeypatch.setattr("time.localtime", lambda *_: time.struct_time((2031, 5, 6, 7, 8, 9, 1, 126, 0)))
    package = load_package(PHANTOM_MODEL)
    assert join_second_look(package, package, tmp_path / "again", 40.0, 1.0).weights_sha256 == joined.weights_sha256


def test_another_second_network_leaves_the_bytes_of_the_first(joined, tmp_path):
    """So git stores a release whose first network stays as a difference: the repository's size is limited."""
    package = load_package(PHANTOM_MODEL)
    weights = torch.load(package.weights_path, weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, tmp_path / "other.pt")
    other = write_package(tmp_path / "other", package.manifest, tmp_path / "other.pt")
    new = join_second_look(package, other, tmp_path / "new", 40.0, 1.0)
    before, after = (each.weights_path.read_bytes() for each in (joined, new))
    same = next(place for place, (one, two) in enumerate(zip(before, after, strict=False)) if one != two)
    assert same > 0.45 * len(before)


def test_where_nothing_is_found_nobody_looks_again(joined, phantom, monkeypatch):
    air = sitk.Image(phantom.ct)
    empty = sitk.Cast(air * 0 - 1000, air.GetPixelID())
    empty.CopyInformation(air)
    segmenter = Segmenter(joined, "cpu")
    monkeypatch.setattr(segmenter.finer.look, "at", None)
    result = segmenter.segment(Volume(empty, "air", True, ()), SegmentOptions())
    assert result.volume_ml == {"Pancreas": 0.0}


def test_the_scan_ends_where_it_ends(phantom):
    whole = Geometry.of(to_model_grid(phantom.ct, (4, 4, 4)))
    middle = Geometry.of(to_model_grid(phantom.ct[20:120, 0:90, 5:40], (3, 3, 3)))
    assert _ends_with_the_scan(middle, whole).tolist() == [[False, True], [True, False], [False, False]]
    say = _say(middle, _ends_with_the_scan(middle, whole))
    inside = say[-1, 0, say.shape[2] // 2]
    assert inside == 1 and say[0].max() < 0.2 and say[:, -1].max() < 0.2 and say[..., 0].max() < 0.2
    assert say[int(BLENDED_MM / 3) + 1, say.shape[1] // 2, say.shape[2] // 2] == 1


def test_weights_of_both_networks_are_asked_for(joined, tmp_path):
    first, second = load_networks(joined)
    (alone, _), names = load_networks(load_package(PHANTOM_MODEL)), first.state_dict()
    assert second is not None and all(torch.equal(names[name], second.state_dict()[name]) for name in names)
    # Rounded to nine significant bits: half a unit of the last is 1 / 512 of the number.
    for name, tensor in alone.state_dict().items():
        assert torch.allclose(names[name].float(), tensor.float(), rtol=1 / 512, atol=1e-6)
    assert joined.weights_path.stat().st_size < 1.7 * load_package(PHANTOM_MODEL).weights_path.stat().st_size
    weights = torch.load(joined.weights_path, weights_only=True)
    weights.pop("second_look.head.bias")
    torch.save(weights, tmp_path / "less.pt")
    manifest = {**joined.manifest, "weights": {"dtype": joined.manifest["weights"]["dtype"]}}
    less = write_package(tmp_path / "less", manifest, tmp_path / "less.pt")
    with pytest.raises(BadModel, match="lack 'second_look.head.bias'"):
        load_networks(less)
    alone = {key: value for key, value in manifest.items() if key != "second_look"}
    with pytest.raises(BadModel, match="which its network does not have"):
        load_networks(write_package(tmp_path / "alone", alone, joined.weights_path))


def test_numbers_are_rounded_to_the_nearest_that_can_be_stored():
    given = torch.tensor([1.0, -1.0, 1 + 1 / 1024, 1 + 3 / 1024, -(1 + 3 / 1024), 2 - 1 / 1024, 0.0, 65504.0 / 2])
    expected = [1.0, -1.0, 1.0, 1 + 4 / 1024, -(1 + 4 / 1024), 2.0, 0.0, 32768.0]
    assert rounded(given.half()).tolist() == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"gate": None}, "second_look.network.gate"), ({"out_channels": 2}, "one output channel"), ({}, None)],
)
def test_a_manifest_that_contradicts_itself_is_refused(joined, tmp_path, change, sentence):
    network = {key: value for key, value in {**joined.second_look.network, **change}.items() if value is not None}
    manifest = {**joined.manifest, "second_look": {**joined.manifest["second_look"], "network": network}}
    if sentence is None:
        assert write_package(tmp_path / "model", manifest, joined.weights_path).second_look == joined.second_look
        return
    with pytest.raises(BadModel, match=sentence):
        write_package(tmp_path / "model", manifest, joined.weights_path)
