"""The inference form computes what the network computes, in slabs, with exact progress and prompt cancel."""

from __future__ import annotations

import itertools

import pytest
import torch
from AttentionUNetSegLib.errors import Cancelled
from AttentionUNetSegLib.inference import forward_pass
from AttentionUNetSegLib.inference.device import ComputeDevice
from AttentionUNetSegLib.inference.forward_pass import ForwardPass, multiply_adds, peak_bytes
from AttentionUNetSegLib.inference.fusion import FusedNetwork
from AttentionUNetSegLib.network import AttentionUNet, UNet
from trained_looking import trained_looking

CPU_FLOAT32 = ComputeDevice(torch.device("cpu"), torch.float32, torch.channels_last_3d, True, "CPU")


def networks():
    for gate, norm in itertools.product(["additive", "grid", None], ["batch", "instance"]):
        features = (4, 6, 8)
        network = UNet(3, 1, 2, features, norm) if gate is None else AttentionUNet(3, 1, 2, features, gate, norm)
        yield pytest.param(trained_looking(network), id=f"{gate}-{norm}")


@pytest.mark.parametrize("network", list(networks()))
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("slices", [1, 3, 6, 32])
def test_the_same_logits_and_coefficients_and_the_planned_multiply_adds(network, transposed, slices, monkeypatch):
    """Whatever the slabs' thickness; one slab of 32 slices is the whole field."""
    monkeypatch.setattr(forward_pass, "CPU_SLAB", 1.0)
    monkeypatch.setattr(forward_pass, "SLAB_SLICES", slices)
    image = torch.randn(1, 1, 32, 12, 20)
    with torch.inference_mode():
        logits, attention = network(image, return_attention=True)
    units: list[float] = []
    fused = FusedNetwork(network, transposed).on(CPU_FLOAT32)
    got, coefficients = ForwardPass(fused, CPU_FLOAT32, units.append).run(image)
    assert logits.std() > 1 and (got - logits[0]).abs().max() < 1e-4 * logits.std()
    assert len(coefficients) == len(attention)
    for alpha, expected in zip(coefficients, attention, strict=True):
        assert (alpha - expected[0, 0]).abs().max() < 1e-4 * expected.std()
    assert sum(units) == pytest.approx(multiply_adds(fused, image.shape[2:]), rel=1e-9)
    if network.norm == "batch":
        assert len(units) > 80 if slices == 1 else len(units) < 45


def test_the_pass_stops_where_the_caller_raises():
    network = FusedNetwork(trained_looking(AttentionUNet(3, 1, 1, (4, 6, 8)))).on(CPU_FLOAT32)
    calls = []

    def done(units):
        calls.append(units)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        ForwardPass(network, CPU_FLOAT32, done).run(torch.randn(1, 1, 16, 16, 16))
    assert len(calls) == 3


def test_bfloat16_stays_close_to_float32():
    network = trained_looking(AttentionUNet(3, 1, 1, (8, 16, 32)))
    bfloat16 = ComputeDevice(torch.device("cpu"), torch.bfloat16, torch.channels_last_3d, True, "CPU")
    image = torch.rand(1, 1, 32, 32, 32)
    exact, _ = ForwardPass(FusedNetwork(network).on(CPU_FLOAT32), CPU_FLOAT32, lambda units: None).run(image)
    quick, coefficients = ForwardPass(FusedNetwork(network).on(bfloat16), bfloat16, lambda units: None).run(image)
    assert quick.dtype == torch.float32 and coefficients[0].dtype == torch.float32
    exact, quick = torch.sigmoid(exact), torch.sigmoid(quick)
    assert (quick - exact).abs().mean() < 0.05 * exact.std()
    assert (quick.roll(1, -1) - exact).abs().mean() > 0.5 * exact.std()  # as a shift by a voxel would be


@pytest.mark.parametrize(("device", "dtype"), [("meta", torch.float32), ("cpu", torch.float64)])
def test_a_network_is_fused_where_and_as_it_is(device, dtype):
    """As after training on a GPU; "meta" is a device that every machine has."""
    network = AttentionUNet(3, 1, 1, (4, 8)).eval().to(device, dtype)
    assert {(each.device.type, each.dtype) for each in FusedNetwork(network).parameters()} == {(device, dtype)}


def test_fusing_leaves_the_network_as_it_is():
    network = trained_looking(AttentionUNet(3, 1, 1, (4, 8)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    FusedNetwork(network).on(ComputeDevice(torch.device("cpu"), torch.bfloat16, torch.channels_last_3d, True, "CPU"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_2d_networks_have_no_inference_form():
    with pytest.raises(ValueError, match="3D"):
        FusedNetwork(AttentionUNet(2, 1, 1, (4, 8)))


def test_memory_estimate_grows_with_the_field_and_the_precision():
    network = FusedNetwork(AttentionUNet(3, 1, 1, (16, 32, 64)))
    bfloat16 = ComputeDevice(torch.device("cpu"), torch.bfloat16, torch.channels_last_3d, True, "CPU")
    large = peak_bytes(network, (128, 128, 128), bfloat16)
    assert peak_bytes(network, (64, 64, 64), bfloat16) < large < peak_bytes(network, (128, 128, 128), CPU_FLOAT32)
