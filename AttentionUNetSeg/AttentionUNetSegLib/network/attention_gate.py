"""Attention gates: where the decoder tells a skip connection which places matter.

Source of every equation: O. Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018
(arXiv:1804.03999), section 3, "Attention Gates for Image Analysis".

For a skip feature vector ``x_i`` at place ``i`` and a gating signal ``g_i``, equation 1 and 2 of the paper read

    q_i     = psi^T relu(W_x^T x_i + W_g^T g_i + b_g) + b_psi          (additive attention)
    alpha_i = sigmoid(q_i)                                             (attention coefficients, 0..1)

and the gated skip is ``x_i * alpha_i``: one coefficient per place, shared by all channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import convolution, normalization


class AdditiveAttentionGate(nn.Module):
    """Attention gate whose gating signal has the skip connection's own resolution.

    Equations 1 and 2 of Oktay et al. 2018, each linear map followed by a normalization layer, as in the widely
    used PyTorch class ``AttU_Net``: ``alpha = sigmoid(norm(psi(relu(norm(W_g g) + norm(W_x x)))))``.

    Parameters
    ----------
    spatial_dims : int
        2 or 3.
    gating_channels, skip_channels : int
        Channels of the gating signal ``g`` and of the skip ``x``.
    inner_channels : int
        F_int, the channels in which the two are added.
    norm : str
        "batch" or "instance".
    """

    def __init__(
        self,
        spatial_dims: int,
        gating_channels: int,
        skip_channels: int,
        inner_channels: int,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        conv = convolution(spatial_dims)
        self.W_g = nn.Sequential(
            conv(gating_channels, inner_channels, 1), normalization(norm, spatial_dims, inner_channels)
        )
        self.W_x = nn.Sequential(
            conv(skip_channels, inner_channels, 1), normalization(norm, spatial_dims, inner_channels)
        )
        self.psi = nn.Sequential(conv(inner_channels, 1, 1), normalization(norm, spatial_dims, 1))

    def coefficients(self, gating: Tensor, skip: Tensor) -> Tensor:
        """Attention coefficients (N, 1, *spatial) in 0..1, on the skip's grid; both inputs share that grid."""
        return torch.sigmoid(self.psi(F.relu(self.W_g(gating) + self.W_x(skip), inplace=True)))

    def forward(self, gating: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Gated skip ``x * alpha`` (N, C, *spatial) and the coefficients ``alpha`` (N, 1, *spatial)."""
        alpha = self.coefficients(gating, skip)
        return skip * alpha, alpha


class GridAttentionGate(nn.Module):
    """Attention gate with the paper's grid-based gating: the gating signal comes from one scale coarser.

    Oktay et al. 2018, section 3, figure 2: the skip is projected with a strided convolution (stride 2, no bias: the
    one bias of equation 1 belongs to ``W_g``) onto the gating signal's grid, the coefficients are computed there
    and resampled to the skip's grid by bilinear or trilinear interpolation.

    Parameters as in `AdditiveAttentionGate`, without normalization: the paper's equation 1 has none.
    """

    def __init__(self, spatial_dims: int, gating_channels: int, skip_channels: int, inner_channels: int) -> None:
        super().__init__()
        conv = convolution(spatial_dims)
        self.W_g = conv(gating_channels, inner_channels, 1)
        self.W_x = conv(skip_channels, inner_channels, 2, stride=2, bias=False)
        self.psi = conv(inner_channels, 1, 1)
        self.interpolation = "bilinear" if spatial_dims == 2 else "trilinear"

    def coefficients(self, gating: Tensor, skip: Tensor) -> Tensor:
        """Attention coefficients (N, 1, *spatial / 2) in 0..1, on the gating signal's grid."""
        return torch.sigmoid(self.psi(F.relu(self.W_g(gating) + self.W_x(skip), inplace=True)))

    def resample(self, alpha: Tensor, spatial_shape: tuple[int, ...]) -> Tensor:
        """Coefficients interpolated linearly to the skip's grid of `spatial_shape`."""
        return F.interpolate(alpha, size=tuple(spatial_shape), mode=self.interpolation, align_corners=False)

    def forward(self, gating: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Gated skip (N, C, *spatial) and the coefficients on the gating signal's grid (N, 1, *spatial / 2)."""
        alpha = self.coefficients(gating, skip)
        return skip * self.resample(alpha, skip.shape[2:]), alpha
