"""The building blocks that U-Net and Attention U-Net share, in 2D and 3D."""

from __future__ import annotations

from torch import Tensor, nn


def convolution(spatial_dims: int) -> type[nn.Module]:
    """The convolution class for 2 or 3 spatial dimensions."""
    return {2: nn.Conv2d, 3: nn.Conv3d}[spatial_dims]


def max_pooling(spatial_dims: int) -> nn.Module:
    """Maximum over 2 x 2 (x 2) places: one step down in resolution (Oktay et al. 2018, figure 1)."""
    return {2: nn.MaxPool2d, 3: nn.MaxPool3d}[spatial_dims](2)


def normalization(kind: str, spatial_dims: int, channels: int) -> nn.Module:
    """Batch or instance normalization with learned scale and offset.

    Raises ValueError for another kind.
    """
    classes = {
        ("batch", 2): nn.BatchNorm2d,
        ("batch", 3): nn.BatchNorm3d,
        ("instance", 2): nn.InstanceNorm2d,
        ("instance", 3): nn.InstanceNorm3d,
    }
    if (kind, spatial_dims) not in classes:
        raise ValueError(f'norm is "batch" or "instance", not {kind!r}.')
    return classes[kind, spatial_dims](channels, affine=True)


class ConvolutionBlock(nn.Sequential):
    """Two times (3 x 3 (x 3) convolution, normalization, ReLU), size kept (Oktay et al. 2018, figure 1)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm: str) -> None:
        conv = convolution(spatial_dims)
        super().__init__(
            conv(in_channels, out_channels, 3, padding=1),
            normalization(norm, spatial_dims, out_channels),
            nn.ReLU(inplace=True),
            conv(out_channels, out_channels, 3, padding=1),
            normalization(norm, spatial_dims, out_channels),
            nn.ReLU(inplace=True),
        )


class UpsamplingBlock(nn.Sequential):
    """Nearest-neighbour upsampling by 2, then 3 x 3 (x 3) convolution, normalization, ReLU."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm: str) -> None:
        conv = convolution(spatial_dims)
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            conv(in_channels, out_channels, 3, padding=1),
            normalization(norm, spatial_dims, out_channels),
            nn.ReLU(inplace=True),
        )


class PlainSkip(nn.Module):
    """The skip connection of a U-Net without attention gate: the skip passes unchanged."""

    def forward(self, gating: Tensor, skip: Tensor) -> tuple[Tensor, None]:
        """The skip itself, and no coefficients."""
        return skip, None
