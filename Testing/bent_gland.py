"""A bent gland whose every number is known: a tube along an arc, with round ends, on any grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

IDENTITY = np.eye(3)


@dataclass(frozen=True)
class BentGland:
    """A tube about an arc of `bend` mm in the LP plane that begins on the patient's right.

    radius : mm, at a distance in mm from the arc's first end; a number for a tube of even thickness.
    """

    bend: float = 50.0
    angle: float = 2.4
    radius: float | Callable[[np.ndarray], np.ndarray] = 9.0

    @property
    def arc(self) -> float:
        return self.bend * self.angle

    def at(self, along: np.ndarray) -> np.ndarray:
        return self.radius(along) if callable(self.radius) else np.full_like(along, self.radius)

    @property
    def length(self) -> float:
        first, last = self.at(np.array([0.0, self.arc]))
        return self.arc + first + last

    def volume(self, start: float = 0.0, stop: float | None = None) -> float:
        """mm³ between two distances along the arc (Pappus); with the round end where a side is the arc's own end."""
        end = self.arc if stop is None else stop
        along = np.linspace(start, end, 2000)
        total = float(np.pi * np.sum(0.5 * (self.at(along[1:]) ** 2 + self.at(along[:-1]) ** 2) * np.diff(along)))
        caps = ([0.0] if start == 0.0 else []) + ([self.arc] if stop is None else [])
        return total + sum(2 / 3 * np.pi * self.at(np.array([cap]))[0] ** 3 for cap in caps)

    @property
    def surface(self) -> float:
        """mm², of a tube of even thickness."""
        return 2 * np.pi * self.radius * self.arc + 4 * np.pi * self.radius**2

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (...) in mm of LPS points (..., 3), negative inside."""
        x, y, _ = np.moveaxis(points, -1, 0)
        # The arc opens to the back, as a gland does around the spine; its angle grows from right to left.
        angle = np.clip(np.arctan2(x, -y), -self.angle / 2, self.angle / 2)
        nearest = np.stack([self.bend * np.sin(angle), -self.bend * np.cos(angle), np.zeros_like(angle)], axis=-1)
        return np.linalg.norm(points - nearest, axis=-1) - self.at((angle + self.angle / 2) * self.bend)

    def field(self, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), axes: np.ndarray = IDENTITY) -> sitk.Image:
        """The signed distance on a grid of this spacing along these axes, wherever the gland needs voxels."""
        dense = np.linspace(-self.angle / 2, self.angle / 2, 200)
        course = self.bend * np.stack([np.sin(dense), -np.cos(dense), np.zeros_like(dense)], axis=-1) @ axes
        margin = float(self.at(np.linspace(0, self.arc, 200)).max()) + 6.0
        # Off the gland's own centre: a grid that lies upon it has whole rings of voxels exactly on the surface.
        low, high = course.min(axis=0) - margin - (0.31, 0.17, 0.43), course.max(axis=0) + margin
        counts = np.ceil((high - low) / spacing).astype(int)
        i, j, k = np.meshgrid(*[np.arange(n) * s for n, s in zip(counts, spacing, strict=True)], indexing="ij")
        points = (np.stack([i, j, k], axis=-1) + low) @ axes.T
        image = sitk.GetImageFromArray(self.distance(points).transpose(2, 1, 0).astype(np.float32))
        image.SetSpacing(spacing)
        image.SetDirection(axes.ravel().tolist())
        image.SetOrigin((low @ axes.T).tolist())
        return image

    def mask(self, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), axes: np.ndarray = IDENTITY) -> sitk.Image:
        return sitk.Cast(self.field(spacing, axes) < 0, sitk.sitkUInt8)


def constant_ct(image: sitk.Image, inside: float = 40.0, outside: float = -100.0) -> sitk.Image:
    """An int16 CT on the image's grid: `inside` HU where it is not 0."""
    return sitk.Cast(sitk.Cast(image != 0, sitk.sitkInt16) * (inside - outside) + outside, sitk.sitkInt16)
