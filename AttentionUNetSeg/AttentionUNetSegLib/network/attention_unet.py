"""U-Net with attention gates on its skip connections, and the same network without them.

Source: O. Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018 (arXiv:1804.03999):
figure 1 for the network, section 3 for the gates, section 4.1 for deep supervision. U-Net: O. Ronneberger et al.,
MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention_gate import AdditiveAttentionGate, GridAttentionGate
from .blocks import ConvolutionBlock, PlainSkip, UpsamplingBlock, convolution, max_pooling

GATES = ("additive", "grid")


class AttentionUNet(nn.Module):
    """Attention U-Net in 2D or 3D (Oktay et al. 2018).

    Level 1 has the input's resolution and ``features[0]`` channels; each further level halves the resolution. The
    decoder climbs back; at each level the skip connection passes an attention gate before it is concatenated.

    With ``spatial_dims=2, in_channels=3, out_channels=1``, the default features and additive gates the network has
    34,878,573 parameters and computes what the widely used PyTorch class ``AttU_Net`` computes
    (see `load_reference_state_dict`).

    Parameters
    ----------
    spatial_dims : int
        2 or 3.
    in_channels, out_channels : int
        Channels of the input and of the logits.
    features : Sequence[int]
        Channels of each level, finest first; at least two levels.
    gate : str | None
        "additive" (gating signal at the skip's own resolution) or "grid" (the paper's grid gating, one scale coarser).
    norm : str
        "batch" or "instance".
    deep_supervision : bool
        Add a 1 x 1 (x 1) convolution to the logits at every coarser decoder level; in training mode `forward` then
        returns the logits of all levels (section 4.1 of the paper).

    Raises
    ------
    ValueError
        spatial_dims, features, gate or norm is none of the above.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        gate: str | None = "additive",
        norm: str = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims is 2 or 3, not {spatial_dims!r}.")
        if len(features) < 2:
            raise ValueError("features needs at least two levels.")
        if gate is not None and gate not in GATES:
            raise ValueError(f'gate is "additive" or "grid", not {gate!r}.')
        features = tuple(int(channels) for channels in features)
        self.spatial_dims, self.in_channels, self.out_channels = spatial_dims, in_channels, out_channels
        self.features, self.gate_kind, self.norm = features, gate, norm

        self.pool = max_pooling(spatial_dims)
        self.encoder = nn.ModuleList(
            ConvolutionBlock(spatial_dims, before, channels, norm)
            for before, channels in zip((in_channels, *features[:-1]), features, strict=True)
        )
        # Decoder lists are finest level first, like everything that is counted per gate.
        pairs = list(pairwise(features))
        self.upsampling = nn.ModuleList(UpsamplingBlock(spatial_dims, coarse, fine, norm) for fine, coarse in pairs)
        self.gates = nn.ModuleList(self._gate(fine, coarse) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(ConvolutionBlock(spatial_dims, 2 * fine, fine, norm) for fine, _ in pairs)
        conv = convolution(spatial_dims)
        self.head = conv(features[0], out_channels, 1)
        self.deep_supervision_heads = nn.ModuleList(
            conv(channels, out_channels, 1) for channels in (features[1:-1] if deep_supervision else ())
        )

    @property
    def stride(self) -> int:
        """Places of the input that one place of the coarsest level covers along each axis."""
        return int(2 ** (len(self.features) - 1))

    def forward(
        self, image: Tensor, return_attention: bool = False
    ) -> Tensor | tuple[Tensor, ...] | tuple[Tensor | tuple[Tensor, ...], list[Tensor]]:
        """Logits of an image; with `return_attention` also the attention coefficients of every gate.

        Parameters
        ----------
        image : Tensor
            (N, in_channels, *spatial), any size: it is padded inside to a multiple of `stride` by repeating the last
            places, and everything returned is cropped back.
        return_attention : bool
            Also return the coefficients.

        Returns
        -------
        logits : (N, out_channels, *spatial). In training mode with deep supervision a tuple of logits, finest
            level first, level ``l`` on a grid ``2 ** l`` times coarser (size rounded up).
        coefficients : one tensor (N, 1, *grid) per gate in 0..1, gate 1 (finest) first, each on its own grid:
            gate ``n`` on a grid ``2 ** (n - 1)`` times coarser than the input for additive gates, ``2 ** n`` times
            for grid gates (size rounded up). Empty for `UNet`.
        """
        size = image.shape[2:]
        features = self._padded(image)
        skips = []
        for block in self.encoder[:-1]:
            skips.append(block(features))
            features = self.pool(skips[-1])
        features = self.encoder[-1](features)

        coefficients: list[Tensor] = []
        supervised: list[Tensor] = []
        for level in reversed(range(len(skips))):
            upsampled = self.upsampling[level](features)
            gating = features if self.gate_kind == "grid" else upsampled
            gated, alpha = self.gates[level](gating, skips.pop())
            features = self.decoder[level](torch.cat((gated, upsampled), dim=1))
            if alpha is not None and return_attention:
                coarsening = level + (self.gate_kind == "grid")
                coefficients.insert(0, _cropped(alpha, size, coarsening))
            if self.training and level and self.deep_supervision_heads:
                supervised.insert(0, _cropped(self.deep_supervision_heads[level - 1](features), size, level))
        logits = _cropped(self.head(features), size, 0)
        output = (logits, *supervised) if supervised else logits
        return (output, coefficients) if return_attention else output

    def _gate(self, skip_channels: int, coarse_channels: int) -> nn.Module:
        inner_channels = max(skip_channels // 2, 1)
        if self.gate_kind == "additive":
            return AdditiveAttentionGate(self.spatial_dims, skip_channels, skip_channels, inner_channels, self.norm)
        if self.gate_kind == "grid":
            return GridAttentionGate(self.spatial_dims, coarse_channels, skip_channels, inner_channels)
        return PlainSkip()

    def _padded(self, image: Tensor) -> Tensor:
        missing = [-length % self.stride for length in image.shape[2:]]
        if self.norm == "instance" and all(length <= self.stride for length in image.shape[2:]):
            # The coarsest level would be a single place, which has no variance to normalize by.
            missing[-1] += self.stride
        if not any(missing):
            return image
        # At the end only: the pooling windows, and with them each gate's grid, stay where the image begins.
        padding = [amount for length in reversed(missing) for amount in (0, length)]
        return F.pad(image, padding, mode="replicate")


class UNet(AttentionUNet):
    """The same network without attention gates (Ronneberger et al. 2015): skips are concatenated as they are.

    Parameters as in `AttentionUNet`, without `gate`.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        norm: str = "batch",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__(spatial_dims, in_channels, out_channels, features, None, norm, deep_supervision)


def _cropped(tensor: Tensor, size: Sequence[int], level: int) -> Tensor:
    """`tensor` cut to the part of its grid, `level` times halved, that covers an image of `size`."""
    places = (slice(None), slice(None), *(slice(0, -(-length // 2**level)) for length in size))
    return tensor[places]
