"""A network that behaves as if it had been trained, without training: what it says varies over its whole range.

Fresh weights say nearly the same everywhere. Whatever goes wrong with places then hides within any tolerance.
"""

from __future__ import annotations

import torch
from torch import nn


def trained_looking(network: nn.Module, seed: int = 5) -> nn.Module:
    """The network, changed: its norms have statistics and scales, its gates open and close, its logits spread over +-3.

    It is in evaluation mode then; what it says is the same for the same seed.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    for module in network.modules():
        if isinstance(module, (nn.BatchNorm3d, nn.InstanceNorm3d)):
            module.weight.data = torch.rand(module.weight.shape, generator=generator) + 0.5
            module.bias.data = normal(module.bias) * 0.2
        if isinstance(module, nn.Conv3d):
            # He initialisation: the signal keeps its size from layer to layer.
            fan_in = module.weight[0].numel()
            module.weight.data = normal(module.weight) * (2.0 / fan_in) ** 0.5
    with torch.inference_mode():
        image = torch.rand((1, network.in_channels, 32, 32, 32), generator=generator)
        if network.norm == "batch":
            for module in network.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.momentum = None  # the statistics of this image, not a trace of them
                    module.reset_running_stats()
            network.train()(image)
        logits = network.eval()(image)
        spread, middle = logits.std(dim=(0, 2, 3, 4)), logits.mean(dim=(0, 2, 3, 4))
    network.head.bias.data = 3.0 * (network.head.bias.data - middle) / spread
    network.head.weight.data *= (3.0 / spread)[:, None, None, None, None]
    return network.requires_grad_(False)
