"""The course of the gland from the head's end to the tip of the tail, and how thick it is along it.

First a path through the depth of the gland between the two points of it that lie farthest apart within it; then a
principal curve (T. Hastie, W. Stuetzle, J Am Stat Assoc 1989;84:502): the smooth line every point of which is the mean
of the tissue that is nearest to it. Its ends are drawn out to the surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from .smooth_shape import SmoothShape

STATION_MM = 2.0
SMOOTHING_MM = 5.0
SMOOTHING = 1.0  # of the gland's radius, where that is more: with less, the line begins to wind within thick parts
_ROUNDS = 2
_RAYS = 16
_LONGEST_RAY_MM = 60.0
_END_MM = 8.0  # of the line give the direction in which an end is drawn out
_HALF_OF_NEIGHBOURS = [
    (k, j, i) for k in (0, 1) for j in (-1, 0, 1) for i in (-1, 0, 1) if (k, j, i) > (0, 0, 0)
]  # fmt: skip


@dataclass(frozen=True)
class CentreLine:
    """The gland's course, from the head's end to the tip of the tail.

    Attributes
    ----------
    points_lps : (n, 3) in mm, about every 2 mm; the first and the last lie on the surface.
    distance_mm : (n,) along the line from the head's end; the last is the length.
    thickness_mm : (n,) least diameter through the line's point in the plane across the line: what a radiologist
        measures across the gland, in whatever direction it is least.
    section_mm2 : (n,) area across the line: tissue that is nearest to a point of it, over the length it stands for.
    neck_mm : where the head ends and the body begins, along the line; see `gland_parts`.
    tail_mm : where the tail begins.
    """

    points_lps: np.ndarray
    distance_mm: np.ndarray
    thickness_mm: np.ndarray
    section_mm2: np.ndarray
    neck_mm: float
    tail_mm: float

    @property
    def length_mm(self) -> float:
        """From surface to surface along the line."""
        return float(self.distance_mm[-1])

    def place_lps(self, distance_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) in mm and unit direction towards the tail (3,), LPS, at a distance along the line."""
        steps = np.gradient(self.points_lps, self.distance_mm, axis=0)
        place, direction = (
            np.array([np.interp(distance_mm, self.distance_mm, values[:, axis]) for axis in range(3)])
            for values in (self.points_lps, steps)
        )
        return place, direction / np.linalg.norm(direction)

    def as_json(self) -> dict[str, object]:
        """The line as JSON, in mm and LPS, rounded to a tenth."""
        return {
            "frame": "LPS, mm",
            "points": np.round(self.points_lps, 1).tolist(),
            "distance_mm": np.round(self.distance_mm, 1).tolist(),
            "thickness_mm": np.round(self.thickness_mm, 1).tolist(),
            "section_mm2": np.round(self.section_mm2).tolist(),
            "head_to_body_at_mm": round(self.neck_mm, 1),
            "body_to_tail_at_mm": round(self.tail_mm, 1),
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> CentreLine:
        """Take over what `as_json` gave."""
        keys = ("points", "distance_mm", "thickness_mm", "section_mm2")
        points, distance, thickness, section = (np.asarray(kept[key], dtype=float) for key in keys)
        ends = float(kept["head_to_body_at_mm"]), float(kept["body_to_tail_at_mm"])
        return cls(points, distance, thickness, section, *ends)


def course(shape: SmoothShape) -> np.ndarray:
    """Return the line from surface to surface: points (n, 3; z, y, x) in mm in the shape's frame.

    They lie `STATION_MM` apart, about. Which end comes first is not defined.
    """
    line = _resampled(_deepest_path(shape), STATION_MM)
    smoothing = max(SMOOTHING_MM, SMOOTHING * float(np.median(shape.depth(line))))
    for _ in range(_ROUNDS):
        line = _resampled(_smoothed(_means(shape.points, line), smoothing), STATION_MM)
    return _resampled(_to_the_surface(line, shape), STATION_MM)


def lengths_along(line: np.ndarray) -> np.ndarray:
    """Return the distance (n,) of every point (n, 3) from the first one along the line."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def thickness_along(line: np.ndarray, shape: SmoothShape) -> np.ndarray:
    """Return the thickness (n,) in mm of the shape across its line (n, 3); see `CentreLine.thickness_mm`."""
    tangents = np.gradient(line, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    first = np.cross(tangents, np.eye(3)[np.abs(tangents).argmin(axis=1)])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangents, first)
    angles = 2 * np.pi * np.arange(_RAYS) / _RAYS
    rays = np.cos(angles)[:, None, None] * first + np.sin(angles)[:, None, None] * second
    reach = np.arange(0.0, _LONGEST_RAY_MM, 0.5 * shape.step)
    ahead = line[:, None] + rays[:, :, None] * reach[:, None]
    beyond = shape.at(ahead.reshape(-1, 3)).reshape(ahead.shape[:-1]) - shape.level
    last = np.argmax(beyond < 0, axis=-1)  # the first sample outside; 0 where the ray begins outside
    before = np.take_along_axis(beyond, np.maximum(last - 1, 0)[..., None], -1)[..., 0]
    after = np.take_along_axis(beyond, last[..., None], -1)[..., 0]
    radii = np.where(last > 0, reach[last] - 0.5 * shape.step * after / np.where(last > 0, after - before, -1.0), 0.0)
    diameters = radii[: _RAYS // 2] + radii[_RAYS // 2 :]
    # An ellipse is nearly a mean and one wave over the angle: fitted, a step of one voxel does not count as the least.
    wave = np.abs(2 * np.mean(diameters * np.exp(2j * angles[: _RAYS // 2, None]), axis=0))
    return np.asarray(np.maximum(diameters.mean(axis=0) - wave, 0.0))


def nearest_stations(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return for points (m, 3) the index (m,) of the line's nearest point."""
    return np.asarray(cKDTree(line).query(points)[1])


def _deepest_path(shape: SmoothShape) -> np.ndarray:
    """A path between the two points that are farthest apart within the shape, which keeps away from the surface."""
    inside = shape.inside
    numbers = np.full(inside.shape, -1)
    numbers[inside] = np.arange(np.count_nonzero(inside))
    depth = np.maximum(shape.depth(shape.points), 0.1 * shape.step)
    rows, columns, lengths = [], [], []
    for offset in _HALF_OF_NEIGHBOURS:
        here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(offset, inside.shape, strict=True))
        there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(offset, inside.shape, strict=True))
        both = inside[here] & inside[there]
        rows.append(numbers[here][both])
        columns.append(numbers[there][both])
        lengths.append(np.full(len(rows[-1]), shape.step * np.linalg.norm(offset)))
    row, column, length = (np.concatenate(each) for each in (rows, columns, lengths))
    size = (len(depth), len(depth))
    within = coo_matrix((length, (row, column)), size).tocsr()
    start = _farthest(within, int(depth.argmax()))
    end = _farthest(within, start)
    # Cost as in R. Bitter et al. 2001 (IEEE TVCG 7:195): what lies near the surface is dear.
    cost = length * 0.5 * (depth[row] ** -2 + depth[column] ** -2)
    costs = coo_matrix((cost, (row, column)), size).tocsr()
    _, before = dijkstra(costs, directed=False, indices=start, return_predecessors=True)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return shape.points[path]


def _farthest(graph: coo_matrix, start: int) -> int:
    distances = dijkstra(graph, directed=False, indices=start)
    return int(np.where(np.isfinite(distances), distances, -1).argmax())


def _means(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Replace every point of the line by the mean of what is nearest to it."""
    nearest = nearest_stations(points, line)
    count = np.bincount(nearest, minlength=len(line))
    sums = np.stack([np.bincount(nearest, points[:, axis], len(line)) for axis in range(3)], axis=1)
    return np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], line)


def _smoothed(line: np.ndarray, smoothing_mm: float) -> np.ndarray:
    return np.asarray(gaussian_filter1d(line, smoothing_mm / STATION_MM, axis=0, mode="nearest"))


def _resampled(line: np.ndarray, step: float) -> np.ndarray:
    """The same line with points in equal distances of about `step`, at least five."""
    along = lengths_along(line)
    at = np.linspace(0, along[-1], max(5, round(along[-1] / step) + 1))
    return np.stack([np.interp(at, along, line[:, axis]) for axis in range(3)], axis=1)


def _to_the_surface(line: np.ndarray, shape: SmoothShape) -> np.ndarray:
    """The line without what of its ends lies outside, and each end drawn out straight until it leaves the shape."""
    inside = np.flatnonzero(shape.at(line) >= shape.level)
    if len(inside) < 2:
        return line
    line = line[inside[0] : inside[-1] + 1]
    for _ in range(2):
        line = line[::-1]
        back = min(len(line) - 1, max(1, round(_END_MM / STATION_MM)))
        direction = line[-1] - line[-1 - back]
        direction /= np.linalg.norm(direction)
        ahead = line[-1] + np.arange(0.0, 60.0, 0.1)[:, None] * direction
        outside = np.flatnonzero(shape.at(ahead) < shape.level)
        line = np.concatenate([line, ahead[outside[0] : outside[0] + 1]]) if len(outside) else line
    return line
