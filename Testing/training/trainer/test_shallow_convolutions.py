"""What a bfloat16 training learns at its coarsest level, two slices deep, is what a float32 training would."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.trainer.shallow_convolutions import ShallowConvolutionsInFloat32

NETWORK = {
    "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1, "gate": "additive",
    "features": [8, 16, 64], "norm": "batch", "deep_supervision": False,
}  # fmt: skip


def gradients(image: torch.Tensor, in_bfloat16: bool, shallow=nullcontext) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = build_network(NETWORK).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16), shallow():
        logits = network(image)
    logits.float().square().mean().backward()
    parameters = dict(network.named_parameters())
    return {name: parameters[name].grad for name in ("encoder.2.0.weight", "encoder.2.3.weight")}


@pytest.mark.parametrize("slices", [4, 8, 12])
def test_the_coarsest_level_gets_the_gradient_of_float32(slices):
    image = torch.randn(2, 1, slices, 24, 24, generator=torch.Generator().manual_seed(1))
    exact = gradients(image, in_bfloat16=False)
    for name, gradient in gradients(image, True, ShallowConvolutionsInFloat32).items():
        assert (gradient - exact[name]).norm() < 0.5 * exact[name].norm(), name


def test_only_what_is_shallower_than_its_kernel_is_computed_in_float32():
    def kind(slices: int, kernel: int) -> torch.dtype:
        image, weight = torch.randn(1, 2, slices, 4, 4), torch.randn(2, 2, kernel, kernel, kernel)
        with torch.autocast("cpu", torch.bfloat16), ShallowConvolutionsInFloat32():
            return torch.conv3d(image, weight, padding=kernel // 2).dtype

    assert [kind(*each) for each in ((2, 3), (1, 3), (3, 3), (2, 1))] == [
        torch.float32, torch.float32, torch.bfloat16, torch.bfloat16,
    ]  # fmt: skip
