"""A mask as a smooth shape on a grid of equal steps: its surface, and how deep inside every point lies.

Voxels are boxes, often flat ones; a gland is not. So the mask is spread by a Gaussian as wide as its voxels and
sampled on a grid of equal steps along its own axes. The surface is where that occupancy has the value that keeps the
mask's volume (close to one half; less where thick slices would shrink a thin gland), found between the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

# Of the grid within the shape, whatever its size: enough for a millimetre in a gland, and few enough for a fraction
# of a second also where a network takes the whole abdomen for one.
SAMPLES = 12_000
FINEST_MM = 0.6
SMALLEST_MM3 = 500.0
# The Gaussian's standard deviation: of the voxel's width, and of the grid's step, below which the grid would alias.
OF_VOXEL, OF_STEP = 0.6, 0.6
_REACH = 4.0  # standard deviations
LEVELS = 0.3, 0.6


@dataclass(frozen=True)
class SmoothShape:
    """The largest connected part of a mask.

    Attributes
    ----------
    occupancy : float32 0..1 (KJI) on a grid of `step` mm along the mask's axes; 0 at its border.
    origin : position (z, y, x) in mm of the first sample, in the mask's own frame: voxel index (k, j, i) times spacing.
    step : mm.
    parts : connected parts of the whole mask that have at least a twentieth of its volume.
    share : of the mask's volume, 0..1, that the largest part has.
    level : occupancy of the surface.
    """

    occupancy: np.ndarray
    origin: np.ndarray
    step: float
    parts: int
    share: float
    level: float

    @cached_property
    def inside(self) -> np.ndarray:
        """Boolean, like `occupancy`."""
        return np.asarray(self.occupancy >= self.level)

    @cached_property
    def points(self) -> np.ndarray:
        """Positions (n, 3; z, y, x) in mm of the samples inside."""
        return np.asarray(np.argwhere(self.inside) * self.step + self.origin)

    @cached_property
    def surface_points(self) -> np.ndarray:
        """Positions (n, 3; z, y, x) in mm where a line of the grid crosses the surface."""
        crossings = []
        for axis in range(3):
            first = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
            second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
            where = np.argwhere(self.inside[first] != self.inside[second])
            a = self.occupancy[first][tuple(where.T)]
            b = self.occupancy[second][tuple(where.T)]
            where = where.astype(float)
            where[:, axis] += (self.level - a) / (b - a)
            crossings.append(where)
        return np.asarray(np.concatenate(crossings) * self.step + self.origin)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.surface_points)

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Distance (n,) in mm of points (n, 3; z, y, x) to the surface, negative outside."""
        distance = self._tree.query(points)[0]
        return np.asarray(np.where(self.at(points) >= self.level, distance, -distance))

    def at(self, points: np.ndarray) -> np.ndarray:
        """Occupancy (n,) at points (n, 3; z, y, x) in mm, 0 off the grid."""
        index = (np.asarray(points) - self.origin).T / self.step
        return np.asarray(ndimage.map_coordinates(self.occupancy, index, order=1, mode="constant", cval=0.0))

    @cached_property
    def surface_mm2(self) -> float:
        """The area of the surface in mm².

        By the co-area formula (H. Federer, Geometric Measure Theory, 1969, 3.2.11): the integral of the occupancy's
        gradient is the mean area of all its level sets, so that no triangle and no step of a voxel counts.
        """
        gradients = np.gradient(self.occupancy, self.step)
        return float(np.sqrt(sum(each * each for each in gradients)).sum(dtype=float) * self.step**3)

    @cached_property
    def volume_mm3(self) -> float:
        """The volume in mm³ that the surface encloses, as the occupancy has it."""
        return float(self.occupancy.sum(dtype=float)) * self.step**3

    @property
    def sphericity(self) -> float:
        """Surface of the ball of the same volume over this surface, 0..1 (H. Wadell, J Geol 1935;43:250)."""
        return min(1.0, float(np.pi ** (1 / 3) * (6 * self.volume_mm3) ** (2 / 3) / self.surface_mm2))


def smooth_shape(mask: np.ndarray, spacing: np.ndarray) -> SmoothShape | None:
    """Return the smooth shape of a mask; None where its largest part has less than half a millilitre.

    Parameters
    ----------
    mask : boolean (KJI), tight or not.
    spacing : mm along K, J, I.
    """
    spacing = np.asarray(spacing, float)
    volume = float(np.count_nonzero(mask) * np.prod(spacing))
    if volume < SMALLEST_MM3:
        return None
    step = max(FINEST_MM, (volume / SAMPLES) ** (1 / 3))
    sigma = np.maximum(OF_VOXEL * spacing, OF_STEP * step)
    margin = (_REACH - 1.0) * sigma + step
    origin = -margin
    occupancy = np.asarray(mask, np.float32)
    for axis in (2, 1, 0):  # the fastest axis first: what follows is smaller
        count = int(np.ceil(((mask.shape[axis] - 1) * spacing[axis] + 2 * margin[axis]) / step)) + 1
        at = origin[axis] + step * np.arange(count)
        occupancy = _spread(occupancy, axis, _weights(at, mask.shape[axis], spacing[axis], sigma[axis]))
    level = _level(occupancy, volume / step**3)
    occupancy, parts, share = _largest_part(occupancy, level)
    if share * volume < SMALLEST_MM3:
        return None
    return SmoothShape(occupancy, origin, step, parts, share, level)


def _weights(at: np.ndarray, count: int, spacing: float, sigma: float) -> np.ndarray:
    """Weight (len(at), count) of every voxel in every sample; what lies beyond the mask counts as 0."""
    beyond = int(np.ceil(2 * _REACH * sigma / spacing)) + 1
    centres = spacing * np.arange(-beyond, count + beyond)
    weights = np.exp(-0.5 * ((at[:, None] - centres) / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights[:, beyond : beyond + count].astype(np.float32))


def _spread(values: np.ndarray, axis: int, weights: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)


def _level(occupancy: np.ndarray, samples: float) -> float:
    """The occupancy that this many samples reach, within `LEVELS`."""
    soft = occupancy[occupancy > LEVELS[0]]
    more = len(soft) - round(samples)
    return float(np.partition(soft, more)[more]) if more > 0 and soft[more:].size else LEVELS[0]


def _largest_part(occupancy: np.ndarray, level: float) -> tuple[np.ndarray, int, float]:
    """The occupancy without all parts but the largest, how many parts count, and the share of the largest."""
    labels, count = ndimage.label(occupancy >= level, structure=np.ones((3, 3, 3), dtype=bool))
    if count == 0:
        return occupancy, 0, 0.0
    sizes = np.bincount(labels.ravel())[1:]
    parts, share = int(np.count_nonzero(sizes >= 0.05 * sizes.sum())), float(sizes.max() / sizes.sum())
    if count > 1:
        largest = labels == 1 + int(sizes.argmax())
        # What belongs to the soft rim of the largest part lies nearer to it than to any other.
        nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
        occupancy = np.where(largest[tuple(nearest)], occupancy, np.float32(0))
    return occupancy, parts, share
