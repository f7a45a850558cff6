"""How a patch looks: contrast phase, dose, kernel, slice thickness and window, varied as scanners and protocols do.

Not MONAI's intensity transforms: the offsets per organ need the labels, everything has to be drawn from the patch's
own generators (a resumed run draws the same), and it has to stay on the network's device.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...imaging import HUWindow
from .augmentation import Augmentation

SOFT_TISSUE_HU = 40.0
# What redistributed 8-bit slices of NIH Pancreas-CT hold where fat, gas or air was.
CLIPPED_HU = -100.0


def vary_intensities(
    hu: Tensor,
    structures: Tensor,
    window: HUWindow,
    augmentation: Augmentation,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Tensor:
    """The network's input from a patch in HU.

    Parameters
    ----------
    hu : float32 (K, J, I).
    structures : float32 (C, K, J, I), 0..1; zero for what is not annotated.
    window : intensities that become 0 and 1.
    augmentation : how much to vary.
    rng : for the few numbers; `generator`, on the tensors' device, for noise fields.

    Returns
    -------
    float32 (K, J, I), 0..1.
    """
    hu = _other_phase(hu, structures, augmentation, rng)
    if augmentation.far_shift and rng.random() < augmentation.far_shift:
        shift = float(rng.uniform(-augmentation.far_shift_hu, augmentation.far_shift_hu))
        hu = hu + torch.sigmoid((hu + 40) / 15) * shift
    if rng.random() < augmentation.low_resolution:
        hu = _low_resolution(hu, rng)
    if rng.random() < augmentation.blur:
        hu = blurred(hu, rng.uniform(0.3, 0.9))
    if rng.random() < augmentation.noise:
        hu = hu + _noise(hu, rng.uniform(0, augmentation.noise_hu), rng, generator)
    if augmentation.clip and rng.random() < augmentation.clip:
        hu = torch.where(hu <= 8, CLIPPED_HU, hu).clamp(max=255)
    low = window.low + np.clip(rng.normal(), -2, 2) * augmentation.window_hu
    high = window.high + np.clip(rng.normal(), -2, 2) * augmentation.window_hu
    image = ((hu - low) / (high - low)).clamp(0, 1)
    if rng.random() < augmentation.gamma:
        image = image ** float(np.exp(rng.uniform(math.log(0.75), math.log(1.33))))
    return image


def blurred(volume: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` voxels over the last three axes; edge values are repeated."""
    radius = max(1, math.ceil(2.5 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=volume.device, dtype=volume.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    result = volume.reshape(-1, 1, *volume.shape[-3:])
    for axis in range(3):
        padding = [0] * 6
        padding[4 - 2 * axis] = padding[5 - 2 * axis] = radius
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(kernel)
        result = F.conv3d(F.pad(result, padding, mode="replicate"), kernel.reshape(shape))
    return result.reshape(volume.shape)


def _other_phase(hu: Tensor, structures: Tensor, augmentation: Augmentation, rng: np.random.Generator) -> Tensor:
    """Organs brighter or darker by themselves, and the contrast of all soft tissue."""
    if augmentation.organ_hu and rng.random() < augmentation.organ_probability:
        offsets = np.clip(rng.standard_normal(len(structures)), -2.5, 2.5) * augmentation.organ_hu
        # The fractions at the surface make the edge as soft as the CT's own.
        hu = hu + torch.einsum("c,ckji->kji", hu.new_tensor(offsets), structures)
    low, high = np.log(augmentation.contrast)
    factor = float(np.exp(rng.uniform(low, high)))
    # Soft tissue only: fat, lung and gas look the same in every phase.
    soft = torch.sigmoid((hu + 40) / 15)
    return hu + soft * (factor - 1) * (hu - SOFT_TISSUE_HU).clamp(-100, 160) + rng.normal() * augmentation.shift_hu


def _low_resolution(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Thick slices mostly, and coarse planes now and then."""
    factors = np.array([rng.uniform(1.2, 2.5), *(rng.uniform(1, 1.6, 2) if rng.random() < 0.5 else (1.0, 1.0))])
    coarse = [max(2, round(length / factor)) for length, factor in zip(hu.shape, factors, strict=True)]
    small = F.interpolate(hu[None, None], size=coarse, mode="area")
    return F.interpolate(small, size=hu.shape, mode="trilinear", align_corners=False)[0, 0]


def _noise(hu: Tensor, sigma: float, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Noise of `sigma` HU, half of the time with the grain of a soft kernel."""
    noise = torch.randn(hu.shape, generator=generator, device=hu.device)
    if rng.random() < 0.5:
        noise = blurred(noise, 0.6)
        noise = noise / noise.std().clamp_min(1e-6)
    return noise * sigma
