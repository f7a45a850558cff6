"""One patch of the input, encoded once and decoded again under other gate biases.

The numbers that clicks may adapt are few (f-BRS: Sofiiuk et al., "f-BRS: Rethinking Backpropagating Refinement for
Interactive Segmentation", CVPR 2020): one bias per attention gate (the psi bias of Oktay et al. 2018, equation 1), for
which the decoder has to be computed again, and a weight per channel of the last features, for which nothing has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..network import AttentionUNet, GridAttentionGate

# Multiply-adds of one slab of a convolution: some tenths of a second on two busy CPU cores.
SLAB_MULTIPLY_ADDS = 2e9


@dataclass(frozen=True)
class Decoded:
    """What the decoder gives.

    Attributes
    ----------
    features : (features[0], K, J, I), what the last convolution, the head, sees.
    logits : (out_channels, K, J, I).
    coefficients : (K_n, J_n, I_n) of each gate in 0..1, finest gate first.
    """

    features: Tensor
    logits: Tensor
    coefficients: list[Tensor]


class AdaptedPatch:
    """A patch whose encoding is kept.

    Parameters
    ----------
    network : trained, evaluation mode, float32; it is not changed.
    patch : (1, in_channels, K, J, I) in the network's input range, each length a multiple of the stride.
    inner : the part of the patch (start, stop along K, J, I; multiples of the stride) that is decoded; what lies around
        it is seen by the encoder only.
    check : called between the layers; what it raises stops the computation.
    """

    def __init__(
        self,
        network: AttentionUNet,
        patch: Tensor,
        inner: Sequence[tuple[int, int]],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._network, self._check = network, check
        self._skips: list[Tensor] = []
        features = patch
        with torch.inference_mode():
            for level, block in enumerate(network.encoder):
                if level:
                    features = network.pool(features)
                features = self._through(block, features)
                part = tuple(slice(start // 2**level, stop // 2**level) for start, stop in inner)
                self._skips.append(features[(..., *part)].contiguous(memory_format=torch.channels_last_3d))

    @property
    def gate_count(self) -> int:
        """How many attention gates there are."""
        return len(self._network.gates) if self._network.gate_kind else 0

    @torch.inference_mode()
    def decode(self, biases: Sequence[float]) -> Decoded:
        """Decode the inner part with `biases` added to the gates' own, finest gate first; zeros: as it was trained."""
        network = self._network
        features, coefficients = self._skips[-1], []
        for level in reversed(range(len(self._skips) - 1)):
            upsampled = self._through(network.upsampling[level], features)
            skip = self._skips[level]
            if network.gate_kind:
                gate = network.gates[level]
                gating = features if network.gate_kind == "grid" else upsampled
                inner = F.relu(gate.W_g(gating) + gate.W_x(skip))
                alpha = torch.sigmoid(gate.psi(inner) + float(biases[level]))
                self._check()
                coefficients.insert(0, alpha[0, 0])
                if isinstance(gate, GridAttentionGate):
                    alpha = gate.resample(alpha, tuple(skip.shape[2:]))
                skip = skip * alpha
            features = self._through(network.decoder[level], torch.cat((skip, upsampled), dim=1))
        return Decoded(features[0], network.head(features)[0], coefficients)

    def _through(self, block: torch.nn.Module, features: Tensor) -> Tensor:
        for layer in block:
            is_large = isinstance(layer, torch.nn.Conv3d) and layer.kernel_size == (3, 3, 3)
            features = self._in_slabs(layer, features) if is_large else layer(features)
            self._check()
        return features

    def _in_slabs(self, layer: torch.nn.Conv3d, features: Tensor) -> Tensor:
        """A convolution slab by slab, each with its neighbouring slices, so that a caller need not wait for long."""
        depth = features.shape[2]
        thickness = max(1, int(SLAB_MULTIPLY_ADDS / (layer.weight.numel() * features[0, 0, 0].numel())))
        if thickness >= depth:
            return layer(features)
        slabs = []
        for start in range(0, depth, thickness):
            stop, low = min(start + thickness, depth), max(start - 1, 0)
            slab = layer(features[:, :, low : min(stop + 1, depth)])
            slabs.append(slab[:, :, start - low : stop - low])
            self._check()
        return torch.cat(slabs, dim=2)
