"""The trained network rewritten for inference: the same function of its input, with fewer passes over memory.

Two rewritings, both exact up to rounding:

* Batch normalization in evaluation mode is an affine map per channel and is folded into the convolution before it.
* Nearest-neighbour upsampling by 2 followed by a 3 x 3 x 3 convolution equals one transposed convolution of stride 2
  with a 4 x 4 x 4 kernel, the sum of the eight shifted small kernels: 8 instead of 27 multiply-adds per output place
  and channel pair, and the upsampled features, the largest tensor of the network, are never stored.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..network import AdditiveAttentionGate, AttentionUNet, GridAttentionGate
from .device import ComputeDevice


class Convolution(nn.Module):
    """A convolution with everything that follows it: normalization that cannot be folded, then ReLU.

    Attributes
    ----------
    weight, bias : of the convolution; (out, in, k, k, k), or (in, out, 4, 4, 4) where `upsamples` is "transposed".
    upsamples : str
        "" for none, "transposed" (see module text) or "nearest" (upsampling as a step of its own).
    norm : nn.Module | None
        Instance normalization over the whole field, or None.
    relu : bool
        Whether ReLU follows.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        norm: nn.Module | None = None,
        relu: bool = False,
        upsamples: str = "",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.norm, self.relu, self.upsamples = norm, relu, upsamples

    @property
    def out_channels(self) -> int:
        """Channels that the convolution makes."""
        return self.weight.shape[1] if self.upsamples == "transposed" else self.weight.shape[0]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for each output place."""
        per_place = self.weight.numel()
        return per_place // 8 if self.upsamples == "transposed" else per_place

    def convolve(self, features: Tensor) -> Tensor:
        """The convolution alone: no normalization, no ReLU. Size kept, or doubled where it upsamples."""
        if self.upsamples == "transposed":
            return F.conv_transpose3d(features, self.weight, self.bias, stride=2, padding=1)
        if self.upsamples:
            features = F.interpolate(features, scale_factor=2, mode="nearest")
        kernel = self.weight.shape[-1]
        stride, padding = (2, 0) if kernel == 2 else (1, kernel // 2)
        return F.conv3d(features, self.weight, self.bias, stride=stride, padding=padding)


class FusedGate(nn.Module):
    """An attention gate in inference form. `is_grid`: the gating signal is one scale coarser than the skip."""

    def __init__(self, W_g: Convolution, W_x: Convolution, psi: Convolution, is_grid: bool) -> None:  # noqa: N803
        super().__init__()
        self.W_g, self.W_x, self.psi, self.is_grid = W_g, W_x, psi, is_grid


class FusedNetwork(nn.Module):
    """`AttentionUNet` or `UNet` in 3D, in inference form. Lists are finest level first, as in the original.

    Parameters
    ----------
    network : AttentionUNet
        Trained network, 3D; it is not changed.
    transposed_upsampling : bool
        Use the transposed convolution of the module text.
    """

    def __init__(self, network: AttentionUNet, transposed_upsampling: bool = True) -> None:
        super().__init__()
        if network.spatial_dims != 3:
            raise ValueError("The inference form is made for 3D networks.")
        encoder = nn.ModuleList(nn.ModuleList(_fused_layers(block)) for block in network.encoder)
        upsampling = nn.ModuleList(_upsampling(block, transposed_upsampling) for block in network.upsampling)
        gates = nn.ModuleList(_fused_gate(gate) for gate in network.gates)
        decoder = nn.ModuleList(nn.ModuleList(_fused_layers(block)) for block in network.decoder)
        # A list of modules does not tell which modules it holds.
        self.encoder = cast("Sequence[Sequence[Convolution]]", encoder)
        self.upsampling = cast("Sequence[Convolution]", upsampling)
        self.gates = cast("Sequence[FusedGate | nn.Identity]", gates)
        self.decoder = cast("Sequence[Sequence[Convolution]]", decoder)
        head = cast("nn.Conv3d", network.head)
        self.head = Convolution(head.weight, head.bias)
        self.features, self.stride = network.features, network.stride
        self.out_channels = network.out_channels

    def on(self, device: ComputeDevice) -> FusedNetwork:
        """Move to the device, in its precision and layout; the last layer stays in float32."""
        self.to(device=device.device, dtype=device.dtype)
        self.head.float()
        for parameter in self.parameters():
            if parameter.dim() == 5:
                parameter.data = parameter.data.contiguous(memory_format=device.memory_format)
        return self


def _fused_layers(block: nn.Module) -> list[Convolution]:
    """Every convolution of a block with the normalization and ReLU that follow it."""
    layers = []
    modules = list(cast("nn.Sequential", block))
    for position, module in enumerate(modules):
        if isinstance(module, nn.Conv3d):
            following = modules[position + 1 : position + 3]
            norm = following[0] if following and not isinstance(following[0], (nn.ReLU, nn.Conv3d)) else None
            relu = any(isinstance(other, nn.ReLU) for other in following)
            layers.append(_fused(module, norm, relu))
    return layers


def _fused(module: nn.Module, norm: nn.Module | None = None, relu: bool = False) -> Convolution:
    conv = cast("nn.Conv3d", module)
    if isinstance(norm, nn.BatchNorm3d):
        assert norm.running_mean is not None and norm.running_var is not None, "it was trained with statistics"
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        return Convolution(weight, bias, None, relu)
    # A copy: moving the inference form to a device or a precision must not move the trained network's own layer.
    return Convolution(conv.weight, conv.bias, copy.deepcopy(norm), relu)


def _upsampling(block: nn.Module, transposed: bool) -> Convolution:
    layer = _fused_layers(block)[0]
    if not transposed:
        return Convolution(layer.weight, layer.bias, layer.norm, layer.relu, "nearest")
    # A transposed convolution applies its kernel mirrored; the small kernel is summed over the 2 x 2 x 2 copies
    # that nearest-neighbour upsampling makes of each place.
    weight = F.pad(layer.weight.flip(2, 3, 4).transpose(0, 1), (1, 1, 1, 1, 1, 1))
    for axis in (2, 3, 4):  # sums of slices: exact in the weights' precision, wherever they lie
        weight = weight.narrow(axis, 0, 4) + weight.narrow(axis, 1, 4)
    return Convolution(weight, layer.bias, layer.norm, layer.relu, "transposed")


def _fused_gate(gate: nn.Module) -> FusedGate | nn.Identity:
    if isinstance(gate, AdditiveAttentionGate):
        return FusedGate(_fused(*gate.W_g), _fused(*gate.W_x), _fused(*gate.psi), is_grid=False)
    if isinstance(gate, GridAttentionGate):
        return FusedGate(_fused(gate.W_g), _fused(gate.W_x), _fused(gate.psi), is_grid=True)
    return nn.Identity()
