"""The networks: parameter counts, shapes, odd sizes, gates, and equality with the class AttU_Net."""

from __future__ import annotations

import pytest
import torch
from AttentionUNetSegLib.errors import BadModel
from AttentionUNetSegLib.network import (
    AdditiveAttentionGate,
    AttentionUNet,
    GridAttentionGate,
    UNet,
    build_network,
    load_reference_state_dict,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

CONV = {2: F.conv2d, 3: F.conv3d}
POOL = {2: F.max_pool2d, 3: F.max_pool3d}


def reference_names(spatial_dims: int, in_channels: int, out_channels: int, features: tuple[int, ...]) -> dict:
    """A random state dict with the names and shapes of the class AttU_Net."""
    state: dict[str, torch.Tensor] = {}
    generator = torch.Generator().manual_seed(3)

    def conv(name, inputs, outputs, kernel):
        state[f"{name}.weight"] = (
            torch.randn(outputs, inputs, *[kernel] * spatial_dims, generator=generator)
            / (inputs * kernel**spatial_dims) ** 0.5
        )
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1

    def norm(name, channels):
        state[f"{name}.weight"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(channels, generator=generator) * 0.1
        state[f"{name}.running_mean"] = torch.randn(channels, generator=generator) * 0.1
        state[f"{name}.running_var"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def block(name, inputs, outputs):
        conv(f"{name}.conv.0", inputs, outputs, 3)
        norm(f"{name}.conv.1", outputs)
        conv(f"{name}.conv.3", outputs, outputs, 3)
        norm(f"{name}.conv.4", outputs)

    for number, (before, after) in enumerate(zip((in_channels, *features[:-1]), features, strict=True), start=1):
        block(f"Conv{number}", before, after)
    for number in range(len(features), 1, -1):
        coarse, fine = features[number - 1], features[number - 2]
        conv(f"Up{number}.up.1", coarse, fine, 3)
        norm(f"Up{number}.up.2", fine)
        for part, inputs, outputs in (
            ("W_g", fine, fine // 2),
            ("W_x", fine, fine // 2),
            ("psi", fine // 2, 1),
        ):
            conv(f"Att{number}.{part}.0", inputs, outputs, 1)
            norm(f"Att{number}.{part}.1", outputs)
        block(f"Up_conv{number}", 2 * fine, fine)
    conv("Conv_1x1", features[0], out_channels, 1)
    return state


def reference_output(state: dict, image: torch.Tensor, levels: int) -> torch.Tensor:
    """What AttU_Net computes from its state dict, written with plain functions."""
    dims = image.dim() - 2

    def conv(name, x, padding=0):
        return CONV[dims](x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def norm(name, x):
        return F.batch_norm(x, *(state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")))

    def block(name, x):
        for first, second in ((0, 1), (3, 4)):
            x = F.relu(norm(f"{name}.conv.{second}", conv(f"{name}.conv.{first}", x, 1)))
        return x

    skips = [block("Conv1", image)]
    for number in range(2, levels + 1):
        skips.append(block(f"Conv{number}", POOL[dims](skips[-1], 2)))
    x = skips.pop()
    for number in range(levels, 1, -1):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.relu(norm(f"Up{number}.up.2", conv(f"Up{number}.up.1", x, 1)))
        skip = skips.pop()
        gate = f"Att{number}"
        added = F.relu(
            norm(f"{gate}.W_g.1", conv(f"{gate}.W_g.0", x)) + norm(f"{gate}.W_x.1", conv(f"{gate}.W_x.0", skip))
        )
        alpha = torch.sigmoid(norm(f"{gate}.psi.1", conv(f"{gate}.psi.0", added)))
        x = block(f"Up_conv{number}", torch.cat((skip * alpha, x), dim=1))
    return conv("Conv_1x1", x)


def test_parameter_count_of_the_published_2d_network():
    model = AttentionUNet(2, 3, 1, (64, 128, 256, 512, 1024), "additive", "batch", False)
    assert sum(parameter.numel() for parameter in model.parameters()) == 34_878_573


@pytest.mark.parametrize(
    ("dims", "channels", "features", "size"),
    [(2, 3, (64, 128, 256, 512, 1024), (32, 48)), (3, 1, (8, 16, 32, 64, 128), (16, 32, 16))],
)
@torch.inference_mode()
def test_reference_checkpoint_gives_the_same_output(dims, channels, features, size):
    state = reference_names(dims, channels, 1, features)
    model = AttentionUNet(dims, channels, 1, features, "additive", "batch").eval()
    load_reference_state_dict(model, {f"module.{name}": tensor for name, tensor in state.items()})
    image = torch.randn(2, channels, *size)
    expected = reference_output(state, image, len(features))
    assert expected.std() > 0.01
    assert (model(image) - expected).abs().max() < 1e-5


def test_reference_checkpoint_without_batch_counts_is_accepted():
    state = reference_names(2, 1, 1, (4, 8))
    old = {name: tensor for name, tensor in state.items() if "num_batches" not in name}
    load_reference_state_dict(AttentionUNet(2, 1, 1, (4, 8)), old)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda state: state.pop("Att2.psi.0.weight"), "gates.0.psi.0.weight"),
        (lambda state: state.update({"Conv9.conv.0.weight": torch.zeros(1)}), "encoder.8.0.weight"),
        (lambda state: state.update({"classifier.weight": torch.zeros(1)}), "classifier.weight"),
        (lambda state: state.update({"Conv_1x1.bias": torch.zeros(5)}), r"\(5,\)"),
    ],
)
def test_reference_checkpoint_that_does_not_fit_is_refused_by_name(spoil, sentence):
    state = reference_names(2, 1, 1, (4, 8))
    model = AttentionUNet(2, 1, 1, (4, 8))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spoil(state)
    with pytest.raises(BadModel, match=sentence):
        load_reference_state_dict(model, state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@settings(deadline=None, max_examples=25)
@given(
    size=st.lists(st.integers(1, 21), min_size=3, max_size=3),
    gate=st.sampled_from(["additive", "grid", None]),
    norm=st.sampled_from(["batch", "instance"]),
)
@torch.inference_mode()
def test_any_size_works_and_every_gate_reports_on_its_own_grid(size, gate, norm):
    model = (UNet(3, 2, 3, (2, 4, 6), norm) if gate is None else AttentionUNet(3, 2, 3, (2, 4, 6), gate, norm)).eval()
    logits, attention = model(torch.randn(1, 2, *size), return_attention=True)
    assert logits.shape == (1, 3, *size)
    first = 1 if gate == "grid" else 0
    grids = [tuple(-(-length // 2**level) for length in size) for level in (first, first + 1)]
    assert [tuple(alpha.shape) for alpha in attention] == ([] if gate is None else [(1, 1, *grid) for grid in grids])
    assert all(alpha.min() >= 0 and alpha.max() <= 1 for alpha in attention)


@torch.inference_mode()
def test_padding_inside_repeats_the_last_places():
    model = AttentionUNet(2, 1, 1, (4, 8, 16)).eval()
    image = torch.randn(1, 1, 13, 18)
    by_hand = model(F.pad(image, (0, 2, 0, 3), mode="replicate"))[:, :, :13, :18]
    assert torch.allclose(model(image), by_hand, atol=1e-6)


@torch.inference_mode()
def test_additive_gate_follows_equations_1_and_2():
    gate = AdditiveAttentionGate(3, 4, 4, 2).eval()
    gating, skip = torch.randn(1, 4, 2, 3, 4), torch.randn(1, 4, 2, 3, 4)
    g, x = gating[0, :, 1, 2, 3], skip[0, :, 1, 2, 3]
    scale = 1 / (1 + 1e-5) ** 0.5
    inner = torch.relu((gate.W_g[0].weight.flatten(1) @ g + gate.W_g[0].bias) * scale
                       + (gate.W_x[0].weight.flatten(1) @ x + gate.W_x[0].bias) * scale)  # fmt: skip
    expected = torch.sigmoid((gate.psi[0].weight.flatten() @ inner + gate.psi[0].bias) * scale)
    gated, alpha = gate(gating, skip)
    assert torch.allclose(alpha[0, 0, 1, 2, 3], expected, atol=1e-6)
    assert torch.allclose(gated, skip * alpha)


@torch.inference_mode()
def test_grid_gate_works_one_scale_coarser():
    gate = GridAttentionGate(3, 8, 4, 2).eval()
    assert gate.W_x.stride == (2, 2, 2) and gate.W_x.bias is None
    skip = torch.randn(1, 4, 8, 6, 4)
    gated, alpha = gate(torch.randn(1, 8, 4, 3, 2), skip)
    assert alpha.shape == (1, 1, 4, 3, 2)
    resampled = F.interpolate(alpha, size=(8, 6, 4), mode="trilinear", align_corners=False)
    assert torch.allclose(gated, skip * resampled)


def test_deep_supervision_gives_logits_of_every_level_in_training_only():
    model = AttentionUNet(3, 1, 2, (2, 4, 6, 8), "additive", "batch", deep_supervision=True)
    outputs = model(torch.randn(2, 1, 18, 16, 16))
    assert [tuple(logits.shape) for logits in outputs] == [
        (2, 2, 18, 16, 16),
        (2, 2, 9, 8, 8),
        (2, 2, 5, 4, 4),
    ]
    sum(logits.mean() for logits in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.eval()(torch.randn(1, 1, 16, 16, 16)).shape == (1, 2, 16, 16, 16)


def test_unet_is_the_same_network_without_gates():
    gated, plain = AttentionUNet(3, 1, 1, (4, 8, 16)), UNet(3, 1, 1, (4, 8, 16))
    shared = {name: tensor for name, tensor in gated.state_dict().items() if not name.startswith("gates.")}
    assert shared.keys() == plain.state_dict().keys()
    assert not any(isinstance(module, (AdditiveAttentionGate, GridAttentionGate)) for module in plain.modules())


def test_configuration_of_a_model_package():
    model = build_network(
        {"architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1, "features": [4, 8],
         "gate": "grid", "norm": "batch", "deep_supervision": False}
    )  # fmt: skip
    assert isinstance(model.gates[0], GridAttentionGate) and isinstance(model.encoder[0][0], nn.Conv3d)
    with pytest.raises(BadModel, match="Transformer"):
        build_network({"architecture": "Transformer"})
    with pytest.raises(BadModel, match="gate"):
        build_network({"architecture": "AttentionUNet", "gate": "magic"})


@pytest.mark.parametrize("arguments", [{"spatial_dims": 4}, {"features": (8,)}, {"norm": "layer"}, {"gate": "x"}])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError):
        AttentionUNet(**arguments)
