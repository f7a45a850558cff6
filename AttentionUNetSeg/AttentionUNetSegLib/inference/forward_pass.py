"""One pass of a fused network over one field, level by level and slab by slab.

A layer over a large field can take seconds on a CPU. Each level is therefore computed in slabs of slices that take a
fraction of a second: after each slab the caller is told the multiply-adds done, and may raise to stop. Within a slab
the layers of a level follow each other at once, so that what lies between them, the upsampled features, the gated
skip and the concatenation among it, is never stored whole. The result does not depend on the slabs: each is computed
with the neighbouring slices that its kernels need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .device import ComputeDevice
from .fusion import Convolution, FusedGate, FusedNetwork

# Multiply-adds of one slab: some hundredths of a second on two CPU cores, so that a cancel is seen within half a
# second on a busy machine too.
CPU_SLAB = 2e9
GPU_SLAB = 2e12
# Fewer slices would cost more for the neighbours that each slab computes again.
SLAB_SLICES = 16


@dataclass
class ForwardPass:
    """Runs `network`, which lies on `device`, over fields of any size that is a multiple of its stride.

    Attributes
    ----------
    network : FusedNetwork
        Fused network, moved to `device`.
    device : ComputeDevice
        Where it lies.
    done : Callable[[float], None]
        Called with the multiply-adds of each finished slab; what it raises stops the pass.
    """

    network: FusedNetwork
    device: ComputeDevice
    done: Callable[[float], None]

    @torch.inference_mode()
    def run(self, field: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and attention coefficients of one field.

        Parameters
        ----------
        field : Tensor
            (1, in_channels, K, J, I) in the network's input range, each length a multiple of the stride.

        Returns
        -------
        logits : (out_channels, K, J, I), float32, on the network's device.
        coefficients : one (K_n, J_n, I_n) tensor per gate, float32 in 0..1, gate 1 (finest) first, its own grid.
        """
        network = self.network
        features = field.to(self.device.device, self.device.dtype).contiguous(memory_format=self.device.memory_format)
        skips: list[Tensor] = []
        for level, block in enumerate(network.encoder):
            if level:
                features = F.max_pool3d(features, 2)
            features = self._encode(block, features)
            skips.append(features)
        skips.pop()
        coefficients: list[Tensor] = []
        for level in reversed(range(len(skips))):
            head = network.head if level == 0 else None
            features, own = self._decode(level, features, skips.pop(), head)
            if own is not None:
                coefficients.insert(0, own[0, 0].float())
        return features[0], coefficients

    def _encode(self, block: Sequence[Convolution], features: Tensor) -> Tensor:
        """The two convolutions of an encoder level."""
        if any(layer.norm is not None for layer in block):
            return self._whole(block[1], self._whole(block[0], features))
        size = features.shape[2:]
        output = self._empty(block[1].out_channels, size, features.dtype)
        for slab in self._slabs(size, sum(layer.multiply_adds for layer in block)):
            part = _pair(block, features[:, :, slab.low : slab.high], slab)
            output[:, :, slab.start : slab.stop] = part
        return output

    def _decode(
        self, level: int, features: Tensor, skip: Tensor, head: Convolution | None
    ) -> tuple[Tensor, Tensor | None]:
        """One step up: upsampling, gate, concatenation, two convolutions and, at the finest level, the logits.

        Only the output and the coefficients on the gate's own grid exist whole; the upsampled features and the gated
        skip, as large as the skip itself, live a slab at a time.
        """
        network = self.network
        upsampling, gate, block = network.upsampling[level], network.gates[level], network.decoder[level]
        layers = [*block, head] if head is not None else list(block)
        gate_layers = [gate.W_g, gate.W_x, gate.psi] if isinstance(gate, FusedGate) else []
        if any(layer.norm is not None for layer in [upsampling, *block, *gate_layers]):
            return self._decode_whole(upsampling, gate, layers, features, skip)
        own = alpha = None
        if isinstance(gate, FusedGate) and gate.is_grid:
            own = _coefficients(gate, features, skip)
            self.done(_gate_multiply_adds(gate) * own[0, 0].numel())
            alpha = F.interpolate(own, size=skip.shape[2:], mode="trilinear", align_corners=False)
        elif isinstance(gate, FusedGate):
            own = self._empty(1, skip.shape[2:], skip.dtype)
        size = skip.shape[2:]
        dtype = torch.float32 if head is not None else skip.dtype
        output = self._empty(layers[-1].out_channels, size, dtype)
        counted = [upsampling, *layers, *([] if alpha is not None else gate_layers)]
        for slab in self._slabs(size, sum(layer.multiply_adds for layer in counted)):
            upsampled = _upsampled(upsampling, features, slab)
            passed = skip[:, :, slab.low : slab.high]
            if isinstance(gate, FusedGate) and own is not None and alpha is None:
                here = _coefficients(gate, upsampled, passed)
                own[:, :, slab.start : slab.stop] = here[:, :, slab.start - slab.low : slab.stop - slab.low]
                passed = passed * here
            elif alpha is not None:
                passed = passed * alpha[:, :, slab.low : slab.high]
            part = _pair(block, torch.cat((passed, upsampled), dim=1), slab)
            output[:, :, slab.start : slab.stop] = part if head is None else head.convolve(part.float())
        return output, own

    def _decode_whole(
        self,
        upsampling: Convolution,
        gate: FusedGate | nn.Identity,
        layers: Sequence[Convolution],
        features: Tensor,
        skip: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """The same for instance normalization, which looks at the whole field."""
        upsampled, own = self._whole(upsampling, features), None
        if isinstance(gate, FusedGate):
            own = alpha = _coefficients(gate, features if gate.is_grid else upsampled, skip)
            self.done(_gate_multiply_adds(gate) * own[0, 0].numel())
            if gate.is_grid:
                alpha = F.interpolate(own, size=skip.shape[2:], mode="trilinear", align_corners=False)
            skip = skip * alpha
        features = self._whole(layers[1], self._whole(layers[0], torch.cat((skip, upsampled), dim=1)))
        for head in layers[2:]:
            features = self._whole(head, features.float())
        return features, own

    def _whole(self, layer: Convolution, features: Tensor) -> Tensor:
        features = _activated(layer, features)
        self.done(layer.multiply_adds * features[0, 0].numel())
        return features

    def _slabs(self, size: Sequence[int], multiply_adds_per_place: int) -> Iterator[_Slab]:
        """The slabs of a stage; what follows the last use of one is told as done when the next is asked for."""
        limit = CPU_SLAB if self.device.kind == "cpu" else GPU_SLAB
        per_slice = float(multiply_adds_per_place * size[1] * size[2])
        thickness = max(SLAB_SLICES, int(limit / per_slice))
        for start in range(0, size[0], thickness):
            stop = min(start + thickness, size[0])
            yield _Slab(start, stop, max(start - 2, 0), min(stop + 2, size[0]), size[0])
            self.done(per_slice * (stop - start))

    def _empty(self, channels: int, size: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(
            (1, channels, *size),
            dtype=dtype,
            device=self.device.device,
            memory_format=self.device.memory_format,
        )


def multiply_adds(network: FusedNetwork, shape: Sequence[int]) -> float:
    """Multiply-adds of one pass over a field of `shape` (K, J, I): what `ForwardPass` reports in all."""
    places = float(shape[0] * shape[1] * shape[2])
    total = places * network.head.multiply_adds
    for level, block in enumerate(network.encoder):
        total += sum(layer.multiply_adds for layer in block) * places / 8**level
    for level, gate in enumerate(network.gates):
        here = places / 8**level
        total += network.upsampling[level].multiply_adds * here
        total += sum(layer.multiply_adds for layer in network.decoder[level]) * here
        if isinstance(gate, FusedGate):
            total += _gate_multiply_adds(gate) * here / (8 if gate.is_grid else 1)
    return total


def peak_bytes(network: FusedNetwork, shape: Sequence[int], device: ComputeDevice) -> float:
    """Estimate of the memory that one pass over a field of `shape` (K, J, I) needs at its peak, without weights.

    On a CPU the peak is at the finest level, where its skip and the level below live together, or the encoder's input
    with its output. Where slabs are as large as the field (GPUs), upsampled features, gated skip, their concatenation
    and the convolutions' outputs come on top, as they do for normalization that is not folded.
    """
    places = float(shape[0] * shape[1] * shape[2])
    element = torch.finfo(device.dtype).bits // 8
    is_whole = device.kind != "cpu" or any(layer.norm is not None for layer in network.decoder[0])
    channels = (7 if is_whole else 1) * network.features[0] + network.features[1] / 4 + 4
    logits_and_field = 4 * (network.out_channels + 1)
    slab_temporaries = min(200e6, 4 * places * channels * element)
    return places * (channels * element + logits_and_field) + slab_temporaries


@dataclass(frozen=True)
class _Slab:
    """Slices `start`..`stop` of a field of `depth` slices, and `low`..`high`: two more on either side if there are."""

    start: int
    stop: int
    low: int
    high: int
    depth: int


def _pair(block: Sequence[Convolution], part: Tensor, slab: _Slab) -> Tensor:
    """Both convolutions of a block for slices start..stop, from the input's slices low..high.

    Where a slab is cut, not where the field ends, a convolution's outermost slices saw zeros instead of neighbours:
    they are dropped.
    """
    first, last = max(slab.start - 1, 0), min(slab.stop + 1, slab.depth)
    part = _activated(block[0], part)[:, :, first - slab.low : last - slab.low]
    return _activated(block[1], part)[:, :, slab.start - first : slab.stop - first]


def _upsampled(layer: Convolution, features: Tensor, slab: _Slab) -> Tensor:
    """Slices low..high of the upsampled features, from those coarse slices that they depend on."""
    low, high = max(slab.low // 2 - 1, 0), min((slab.high + 1) // 2 + 1, features.shape[2])
    part = _activated(layer, features[:, :, low:high])
    return part[:, :, slab.low - 2 * low : slab.high - 2 * low]


def _coefficients(gate: FusedGate, gating: Tensor, skip: Tensor) -> Tensor:
    """Attention coefficients on the gate's own grid (Oktay et al. 2018, equations 1 and 2)."""
    inner = _activated(gate.W_g, gating)
    inner += _activated(gate.W_x, skip)
    return torch.sigmoid(_activated(gate.psi, inner.relu_()))


def _activated(layer: Convolution, features: Tensor) -> Tensor:
    """The layer with its normalization and ReLU, if it has them."""
    features = layer.convolve(features)
    if layer.norm is not None:
        features = layer.norm(features)
    return features.relu_() if layer.relu else features


def _gate_multiply_adds(gate: FusedGate) -> int:
    return gate.W_g.multiply_adds + gate.W_x.multiply_adds + gate.psi.multiply_adds
