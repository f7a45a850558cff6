"""The network adapted to clicks: what may change and what must not, on networks of every kind that a package allows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.errors import BadInput, Cancelled
from AttentionUNetSegLib.inference import RefinementClick, Segmenter, SilentObserver, adaptation, refine
from AttentionUNetSegLib.inference.adaptation import AdaptedPatch
from AttentionUNetSegLib.models import write_package
from AttentionUNetSegLib.network import build_network
from hypothesis import given, settings
from hypothesis import strategies as st

REACH_MM = 8.0
SIZE = (48, 44, 30)  # IJK
SPACING = (1.5, 1.4, 2.5)


def package_of(like, folder, **network):
    """A package of a network of random weights whose logits vary."""
    manifest = copy.deepcopy(like.manifest)
    manifest["network"].update(network)
    del manifest["weights"]["sha256"]
    torch.manual_seed(0)
    made = build_network(manifest["network"])
    with torch.no_grad():
        for _ in range(5):
            logits = made(torch.rand(1, 1, 16, 16, 16))
        made.head.weight *= 2 / logits.std()
        made.head.bias.copy_((made.head.bias - logits.mean()) * 2 / logits.std())
    folder.mkdir()
    torch.save(made.state_dict(), folder / "weights.pt")
    return write_package(folder / "package", manifest, folder / "weights.pt")


@pytest.fixture(scope="module")
def segmenter(tiny_model_package, tmp_path_factory) -> Segmenter:
    return Segmenter(package_of(tiny_model_package, tmp_path_factory.mktemp("refinement") / "additive"), "cpu")


@pytest.fixture(scope="module")
def scan() -> tuple[sitk.Image, sitk.Image, list[sitk.Image]]:
    """An oblique CT with texture, a stored probability on a part of it, and attention on a coarser grid."""
    rng = np.random.default_rng(0)
    ct = sitk.GetImageFromArray(rng.normal(40, 60, SIZE[::-1]).astype(np.int16))
    ct.SetSpacing(SPACING)
    c, s = np.cos(0.1), np.sin(0.1)
    ct.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    ct.SetOrigin((-30.0, 20.0, 100.0))
    probability = sitk.Cast(sitk.DiscreteGaussian(sitk.Cast(ct, sitk.sitkFloat32) + 80, 4.0), sitk.sitkUInt8)
    attention = sitk.Shrink(probability, (4, 4, 2))
    return ct, probability[4:40, 4:38, 2:28], [attention, sitk.Shrink(attention, (2, 2, 2))]


def click_at(ct: sitk.Image, ijk, positive: bool = True) -> RefinementClick:
    return RefinementClick(ct.TransformIndexToPhysicalPoint([int(n) for n in ijk]), positive)


def on_ct(image: sitk.Image, ct: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(image, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0))


def distance(image: sitk.Image, clicks) -> np.ndarray:
    k, j, i = np.meshgrid(*(np.arange(n) for n in image.GetSize()[::-1]), indexing="ij")
    to_lps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    places = np.stack([i, j, k], axis=-1) @ to_lps.T + image.GetOrigin()
    return np.min([np.linalg.norm(places - click.position, axis=-1) for click in clicks], axis=0)


positions = st.tuples(*(st.integers(0, n - 1) for n in SIZE))


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(positions, st.booleans()), min_size=1, max_size=3, unique_by=lambda each: each[0]), st.data())
def test_what_holds_for_all_clicks(segmenter, scan, chosen, data):
    ct, probability, attention = scan
    clicks = [click_at(ct, ijk, positive) for ijk, positive in chosen]
    before = [sitk.GetArrayFromImage(image) for image in (ct, probability, *attention)]
    weights = {name: tensor.clone() for name, tensor in segmenter.network.state_dict().items()}
    found = refine(segmenter, ct, probability, attention, clicks, REACH_MM)

    change = on_ct(found.probability, ct).astype(int) - on_ct(probability, ct)
    assert not change[distance(ct, clicks) > 3 * REACH_MM].any(), "far away nothing changes, exactly"
    for old, new in zip(attention, found.attention, strict=True):
        moved = sitk.GetArrayFromImage(new) != sitk.GetArrayFromImage(old)
        assert not moved[distance(old, clicks) > 3 * REACH_MM].any()
        assert new.GetSize() == old.GetSize() and new.GetOrigin() == old.GetOrigin()
    kinds = {positive for _, positive in chosen}
    if kinds == {True}:
        assert change.min() >= 0, "clicks that add never lower"
    if kinds == {False}:
        assert change.max() <= 0, "clicks that remove never raise"
    assert found.losses[2] <= found.losses[1] + 1e-9

    shuffled = refine(segmenter, ct, probability, attention, data.draw(st.permutations(clicks)), REACH_MM)
    for one, other in zip(
        [found.probability, *found.attention], [shuffled.probability, *shuffled.attention], strict=True
    ):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
    for image, values in zip((ct, probability, *attention), before, strict=True):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_a_part_of_the_ct_gives_the_same(segmenter, scan):
    ct, probability, attention = scan
    large = sitk.ConstantPad(ct, (60, 60, 40), (60, 60, 40), -1000)
    clicks = [click_at(ct, (20, 20, 15))]
    whole = refine(segmenter, large, probability, attention, clicks, REACH_MM)
    part = refine(segmenter, large[20:150, 25:145, 15:95], probability, attention, clicks, REACH_MM)
    np.testing.assert_array_equal(on_ct(whole.probability, large), on_ct(part.probability, large))
    for one, other in zip(whole.attention, part.attention, strict=True):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))


@pytest.mark.parametrize(
    "network", [{"gate": "grid"}, {"gate": None, "architecture": "UNet"}, {"norm": "instance"}, {"out_channels": 2}]
)
def test_every_kind_of_network_can_be_refined(tiny_model_package, tmp_path, scan, network):
    like = copy.deepcopy(tiny_model_package)
    if network.get("out_channels") == 2:
        like.manifest["output"]["activation"] = "softmax"
        like.manifest["labels"][0]["channel"] = 1
    if network.get("architecture") == "UNet":
        like.manifest["network"].pop("gate", None)
        network = {"architecture": "UNet"}
    segmenter = Segmenter(package_of(like, tmp_path / "made", **network), "cpu")
    ct, probability, attention = scan
    gates = attention if segmenter.network.gate_kind else []
    found = refine(segmenter, ct, probability, gates, [click_at(ct, (20, 20, 15))], REACH_MM)
    assert len(found.attention) == len(gates)
    k, j, i = 15, 20, 20
    assert on_ct(found.probability, ct)[k, j, i] > on_ct(probability, ct)[k, j, i]


def test_the_decoded_patch_is_what_the_network_says_in_slabs_too(segmenter, monkeypatch):
    field = torch.rand(1, 1, 24, 16, 20)
    with torch.inference_mode():
        logits, coefficients = segmenter.network(field, return_attention=True)
    for slab in (2e9, 1e5):
        monkeypatch.setattr(adaptation, "SLAB_MULTIPLY_ADDS", slab)
        decoded = AdaptedPatch(segmenter.network, field, [(0, 24), (0, 16), (0, 20)]).decode([0.0, 0.0])
        torch.testing.assert_close(decoded.logits, logits[0], rtol=1e-4, atol=1e-4)
        for one, other in zip(decoded.coefficients, coefficients, strict=True):
            torch.testing.assert_close(one, other[0, 0], rtol=1e-4, atol=1e-4)


def test_clicks_outside_are_all_named(segmenter, scan):
    ct, probability, _ = scan
    clicks = [RefinementClick((500.0, 0.0, 0.0), True), RefinementClick((0.0, -900.0, 0.0), False)]
    with pytest.raises(BadInput, match=r"Remove click at \(-0.0, 900.0, 0.0\) mm RAS and the Add click at \(-500.0"):
        refine(segmenter, ct, probability, [], clicks, REACH_MM)
    for wrong in (0.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="reach"):
            refine(segmenter, ct, probability, [], [click_at(ct, (1, 1, 1))], wrong)


def test_it_stops_when_it_is_asked_to(segmenter, scan):
    class Impatient(SilentObserver):
        calls = 0

        def cancelled(self) -> bool:
            self.calls += 1
            return self.calls > 12

    ct, probability, _ = scan
    with pytest.raises(Cancelled):
        refine(segmenter, ct, probability, [], [click_at(ct, (20, 20, 15))], REACH_MM, Impatient())
