"""Solids of the phantom as signed-distance-like fields, evaluated on any grid.

Every solid answers two questions: where it can be (`bounds`, mm, LPS) and how far each point of a rectilinear
block is from its surface (`distance`, mm, negative inside). The fields are exact for tubes and only roughly scaled
for deformed ellipsoids; `coverage` divides by the local gradient, so a roughly scaled field still gives the right
partial volume. Nothing here depends on the voxel size, which is why one seed gives one anatomy at every spacing.

Arrays are KJI (z, y, x); points and extents are (x, y, z) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.interpolate import CubicSpline

# How far outside its surface a tube still reports a distance; must exceed every offset and ripple laid on a tube.
_TUBE_REACH_MM = 7.0


class Solid(Protocol):
    """Anything that can be painted."""

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (x, y, z) in mm of a box that holds the solid; infinite where it is unbounded."""

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Signed distance in mm, float32, shape (len(z), len(y), len(x)), at the block of the three 1-D axes."""


def coverage(distance: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Fraction 0..1 of each voxel that lies inside, from the distances at the voxel centres (KJI).

    The surface is taken as flat within one voxel: along its normal a box-shaped voxel of `spacing` (x, y, z) mm
    extends |n_x| s_x + |n_y| s_y + |n_z| s_z, and the covered fraction falls linearly over that width.
    """
    gz, gy, gx = np.gradient(distance, spacing[2], spacing[1], spacing[0])
    width = np.abs(gx) * spacing[0]
    width += np.abs(gy) * spacing[1]
    width += np.abs(gz) * spacing[2]
    np.maximum(width, 0.5 * min(spacing), out=width)
    return np.clip(0.5 - distance / width, 0.0, 1.0)


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a few plane waves, unit root mean square before `amplitude`.

    `vectors` (n, 3) are wave vectors in rad/mm, `phases` (n,) in rad. Plane waves factor over the axes, so a block
    costs one complex multiplication per voxel and wave.
    """

    vectors: np.ndarray
    phases: np.ndarray
    amplitude: float

    @staticmethod
    def random(rng: np.random.Generator, wavelength_mm: float, amplitude: float, count: int = 5) -> Waves:
        """`count` waves in random directions, wavelengths within 30 % of `wavelength_mm`."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength_mm * rng.uniform(0.7, 1.3, size=(count, 1))
        return Waves(2 * np.pi / lengths * directions, rng.uniform(0, 2 * np.pi, count), amplitude)

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Field values, float32 (len(z), len(y), len(x))."""
        total = np.zeros((len(z), len(y), len(x)), np.float32)
        scale = self.amplitude * np.sqrt(2.0 / len(self.phases))
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            plane = (scale * np.exp(1j * (kz * z[:, None] + ky * y[None, :] + phase))).astype(np.complex64)
            along = np.exp(1j * kx * x).astype(np.complex64)
            total += plane.real[:, :, None] * along.real
            total -= plane.imag[:, :, None] * along.imag
        return total


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid with `radii` (x, y, z) mm about `centre`; the columns of `axes` are its axes.

    A radius may be infinite (a cylinder). `squareness` 0 is elliptic, 1 is the superellipse of exponent 4 (boxier).
    """

    centre: np.ndarray
    radii: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    squareness: float = 0.0

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        if not np.all(np.isfinite(self.radii)):
            return np.full(3, -np.inf), np.full(3, np.inf)
        reach = np.sqrt(((self.axes * self.radii) ** 2).sum(axis=1)) * (1 + 0.3 * self.squareness)
        return self.centre - reach, self.centre + reach

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        squares = []
        for axis, radius in zip(self.axes.T, self.radii, strict=True):
            if np.isfinite(radius):
                u, v, w = ((axis * (1 / radius))[:, None] * np.ones((3, 1))).ravel()
                along = (u * (x - self.centre[0])).astype(np.float32)
                across = (v * (y - self.centre[1])[None, :] + w * (z - self.centre[2])[:, None]).astype(np.float32)
                squares.append((across[:, :, None] + along) ** 2)
        norm = np.sqrt(sum(squares))
        if self.squareness:
            boxy = np.sqrt(np.sqrt(sum(square**2 for square in squares)))
            norm = (1 - self.squareness) * norm + self.squareness * boxy
        return (norm - 1) * np.float32(np.min(self.radii))


@dataclass(frozen=True)
class Tube:
    """Balls of varying radius along a cubic spline through `points` (n, 3) with `radii` (n,), all in mm.

    `stretch` (x, y, z) lengthens the cross-section along an axis. The distance is clipped at a few mm outside.
    """

    points: np.ndarray
    radii: np.ndarray
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (m, 3) and radii (m,), close enough that the ripple between balls stays below 0.4 mm."""
        points, radii = np.asarray(self.points, float), np.asarray(self.radii, float)
        chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        count = int(np.ceil(1.15 * chord[-1] / (0.5 * radii.min()))) + 2
        at = np.linspace(0, chord[-1], count)
        return CubicSpline(chord, points)(at), np.interp(at, chord, radii)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        centres, radii = self.samples
        reach = radii[:, None] * np.asarray(self.stretch)
        return (centres - reach).min(axis=0), (centres + reach).max(axis=0)

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        axes = (x, y, z)
        far = _TUBE_REACH_MM + max(axis[1] - axis[0] for axis in axes)
        nearest = np.full((len(z), len(y), len(x)), far, np.float32)
        centres, radii = self.samples
        spans = []
        for axis, middles, stretch in zip(axes, centres.T, self.stretch, strict=True):
            reach = (radii + far) * stretch
            spans.append(np.searchsorted(axis, (middles - reach, middles + reach)).T)
        for centre, radius, *limits in zip(centres, radii, *spans, strict=True):
            i, j, k = (slice(low, high) for low, high in limits)
            block = nearest[k, j, i]
            if block.size:
                squares = [
                    (((axis[part] - middle) / stretch) ** 2).astype(np.float32)
                    for axis, part, middle, stretch in zip(axes, (i, j, k), centre, self.stretch, strict=True)
                ]
                plane = squares[2][:, None] + squares[1][None, :]
                ball = np.sqrt(plane[:, :, None] + squares[0])
                ball -= np.float32(radius)
                np.minimum(block, ball, out=block)
        return nearest

    def with_radii(self, factor: float = 1.0, offset_mm: float = 0.0, least_mm: float = 1.0) -> Tube:
        """The same course with radii `factor * r + offset_mm`, never below `least_mm`."""
        return replace(self, radii=np.maximum(np.asarray(self.radii) * factor + offset_mm, least_mm))


@dataclass(frozen=True)
class HalfSpace:
    """All points with coordinate `axis` (0 x, 1 y, 2 z) below `limit` mm, or above it where `above` is set."""

    axis: int
    limit: float
    above: bool = False

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        lower, upper = np.full(3, -np.inf), np.full(3, np.inf)
        (lower if self.above else upper)[self.axis] = self.limit
        return lower, upper

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        shape = [1, 1, 1]
        shape[2 - self.axis] = -1
        along = ((x, y, z)[self.axis] - self.limit).astype(np.float32).reshape(shape)
        return np.broadcast_to(-along if self.above else along, (len(z), len(y), len(x)))


@dataclass(frozen=True)
class Union:
    """All `solids` together; `blend_mm` rounds the seams (polynomial smooth minimum, I. Quilez)."""

    solids: tuple[Solid, ...]
    blend_mm: float = 0.0

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        corners = [solid.bounds() for solid in self.solids]
        return np.min([c[0] for c in corners], axis=0), np.max([c[1] for c in corners], axis=0)

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        total = self.solids[0].distance(x, y, z)
        for solid in self.solids[1:]:
            other = solid.distance(x, y, z)
            if self.blend_mm:
                near = np.maximum(self.blend_mm - np.abs(total - other), 0)
                total = np.minimum(total, other) - near * near * np.float32(0.25 / self.blend_mm)
            else:
                total = np.minimum(total, other)
        return total


@dataclass(frozen=True)
class Cut:
    """`solid`, kept inside each of `within` and outside each of `without`."""

    solid: Solid
    within: tuple[Solid, ...] = ()
    without: tuple[Solid, ...] = ()

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        lower, upper = self.solid.bounds()
        for solid in self.within:
            low, high = solid.bounds()
            lower, upper = np.maximum(lower, low), np.minimum(upper, high)
        return lower, upper

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        total = self.solid.distance(x, y, z)
        for solid in self.within:
            total = np.maximum(total, solid.distance(x, y, z))
        for solid in self.without:
            total = np.maximum(total, -solid.distance(x, y, z))
        return total


@dataclass(frozen=True)
class Deformed:
    """`solid` grown by `offset_mm` plus random `waves` (negative values shrink it)."""

    solid: Solid
    offset_mm: float = 0.0
    waves: tuple[Waves, ...] = ()

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Solid`."""
        reach = self.offset_mm + sum(3 * abs(wave.amplitude) for wave in self.waves)
        lower, upper = self.solid.bounds()
        return lower - reach, upper + reach

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """See `Solid`."""
        total = self.solid.distance(x, y, z) - np.float32(self.offset_mm)
        for wave in self.waves:
            total = total - wave(x, y, z)
        return total
