"""Where a patch is taken from: rotation, scale and elastic deformation in one interpolation of image and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How much patches are varied. Probabilities are per patch; amounts are drawn up to the figure given.

    Attributes
    ----------
    spatial : probability of any rotation, scale and deformation.
    rotation_degrees : about each axis.
    scale : smallest and largest factor, over all axes together.
    anisotropy : further factor along each axis, 1 - a to 1 + a.
    elastic : probability of an elastic deformation.
    elastic_voxels : standard deviation of the shifts on a grid of `elastic_spacing_voxels`.
    flip_left_right : mirror half of the patches.
    organ_hu, organ_probability : an offset for each annotated structure by itself, as contrast phases differ.
    contrast : factors about 40 HU for everything that is soft tissue.
    shift_hu : an offset for all.
    low_resolution, blur, noise, gamma : probabilities of each.
    noise_hu : largest standard deviation.
    window_hu : standard deviation of the window's ends.
    cut : probability that the field of view is cut, from any side, about as far as the gland; what lies beyond is
        mirrored, as inference does at the field's borders, and counts for nothing.
    far_shift, far_shift_hu : probability of an offset of soft tissue beyond what scanners differ by, and its limit.
    clip : probability that everything below 0 HU looks alike and everything above 255 HU too, as in CTs that went
        through 8-bit pictures.
    """

    spatial: float = 0.85
    rotation_degrees: float = 15.0
    scale: tuple[float, float] = (0.85, 1.18)
    anisotropy: float = 0.08
    elastic: float = 0.5
    elastic_voxels: float = 1.2
    elastic_spacing_voxels: int = 8
    flip_left_right: bool = False
    organ_probability: float = 0.6
    organ_hu: float = 20.0
    contrast: tuple[float, float] = (0.75, 1.35)
    shift_hu: float = 8.0
    low_resolution: float = 0.25
    blur: float = 0.2
    noise: float = 0.5
    noise_hu: float = 20.0
    gamma: float = 0.3
    window_hu: float = 10.0
    cut: float = 0.0
    far_shift: float = 0.0
    far_shift_hu: float = 60.0
    clip: float = 0.0


@dataclass(frozen=True)
class SpatialDraw:
    """One drawn deformation of a patch.

    Attributes
    ----------
    patch : (K, J, I) in voxels.
    matrix : 3 x 3, from the patch's voxel offsets to those in the field (KJI).
    shifts : float32 (3, k, j, i), shifts in voxels on a coarse grid over the patch, or None.
    """

    patch: tuple[int, int, int]
    matrix: np.ndarray
    shifts: np.ndarray | None = None

    @property
    def is_identity(self) -> bool:
        """Whether the patch is a plain part of the field: then nothing needs to be interpolated."""
        return self.shifts is None and np.array_equal(np.abs(self.matrix), np.eye(3))

    def scaled(self, factor: float) -> SpatialDraw:
        """The same deformation for a field whose voxels are `factor` times smaller than the patch's."""
        return SpatialDraw(self.patch, self.matrix * factor, None if self.shifts is None else self.shifts * factor)

    def grid(self, centre: np.ndarray, device: torch.device) -> Tensor:
        """Voxel coordinates (K, J, I, 3; KJI) in the field from which the patch about `centre` is taken."""
        axes = [torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in self.patch]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        matrix = torch.tensor(self.matrix, device=device, dtype=torch.float32)
        grid = offsets @ matrix.T + torch.tensor(centre, device=device, dtype=torch.float32)
        if self.shifts is not None:
            coarse = torch.from_numpy(self.shifts).to(device)[None]
            smooth = F.interpolate(coarse, size=self.patch, mode="trilinear", align_corners=True)[0]
            grid = grid + smooth.permute(1, 2, 3, 0)
        return grid

    def extent(self, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest voxel coordinates (KJI) that `grid` has about the same centre, or a little beyond.

        Computed without the grid: asking a GPU for them would wait for all that it has still to do.
        """
        half = np.abs(self.matrix) @ ((np.array(self.patch) - 1) / 2)
        low, high = centre - half, centre + half
        if self.shifts is None:
            return low, high
        return low + self.shifts.min(axis=(1, 2, 3)), high + self.shifts.max(axis=(1, 2, 3))


def draw_spatial(rng: np.random.Generator, augmentation: Augmentation, patch: tuple[int, int, int]) -> SpatialDraw:
    """Draw rotation, scale, deformation and mirroring."""
    matrix, shifts = np.eye(3), None
    if rng.random() < augmentation.spatial:
        low, high = np.log(augmentation.scale)
        # Dividing: a scale above 1 makes what is seen larger, so the patch covers less of the field.
        factors = np.exp(rng.uniform(low, high)) * (1 + rng.uniform(-1, 1, 3) * augmentation.anisotropy)
        limit = math.radians(augmentation.rotation_degrees)
        matrix = _rotation(rng.uniform(-limit, limit, 3)) @ np.diag(1 / factors)
        if rng.random() < augmentation.elastic:
            shifts = _shifts(rng, augmentation, patch)
    if augmentation.flip_left_right and rng.random() < 0.5:
        matrix = matrix @ np.diag([1.0, 1.0, -1.0])
    return SpatialDraw(patch, matrix, shifts)


def mirrored(grid: Tensor, low: Tensor, high: Tensor, reach: float) -> tuple[Tensor, Tensor, Tensor]:
    """Voxel coordinates folded back into a box, where they lay inside of it, and where too far from it.

    Parameters
    ----------
    grid : (..., 3), KJI.
    low, high : first and last voxel (KJI) of the box; the mirror stands in their centres.
    reach : how many voxels beyond the box a mirror image may be.

    Returns
    -------
    The folded coordinates, a mask (...) of those that lay inside the box, and one of those that lay
    more than `reach` voxels beyond it.
    """
    length = (high - low).clamp_min(1e-3)
    inside = ((grid > low - 1e-3) & (grid < high + 1e-3)).all(dim=-1)
    far = ((grid < low - reach) | (grid > high + reach)).any(dim=-1)
    offset = torch.remainder(grid - low, 2 * length)
    return low + torch.minimum(offset, 2 * length - offset), inside, far


def sample_volume(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear interpolation of `volume` (C, K, J, I) at voxel coordinates `grid` (k, j, i, 3); 0 outside.

    Half a voxel into the outside the values fade to 0; `volume` is expected to be 0 there (air, no structure).
    """
    size = torch.tensor(volume.shape[1:], device=volume.device, dtype=torch.float32)
    # grid_sample wants x (I) first, and -1 .. 1 over the outer voxel faces.
    normalized = ((grid + 0.5) * 2 / size - 1).flip(-1)
    return F.grid_sample(volume[None], normalized[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def _shifts(rng: np.random.Generator, augmentation: Augmentation, patch: tuple[int, int, int]) -> np.ndarray:
    nodes = [max(2, round(length / augmentation.elastic_spacing_voxels) + 1) for length in patch]
    amount = rng.uniform(0, augmentation.elastic_voxels)
    return (rng.standard_normal((3, *nodes)) * amount).astype(np.float32)


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation about K, then J, then I, angles in radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result
