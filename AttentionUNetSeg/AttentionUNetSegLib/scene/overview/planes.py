"""Where the overview cuts: the planes with the largest area of the segment, at one scale that shows the body."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import slicer

from ...imaging import body_box_in
from ..geometry import ijk_to_ras_of_node
from ..results import ResultNodes
from ..segment import center_of_segment, to_world
from ..volumes import voxels_of_node

# World axes (0 = R, 1 = A, 2 = S) across and up the picture, and the axis that the plane is cut along.
_AXES = {"Axial": (0, 1, 2), "Coronal": (0, 2, 1), "Sagittal": (1, 2, 0)}


@dataclass(frozen=True)
class Planes:
    """The middle of each plane's picture (world RAS mm), and the scale they share."""

    middle: dict[str, np.ndarray]
    mm_per_pixel: float


def choose_planes(nodes: ResultNodes, size: tuple[int, int]) -> Planes:
    """Return the planes for pictures of `size` (width, height in pixels).

    The body's width and depth fill the picture. Where the scan is longer than the picture, it is centred on the
    segment. Without a segment the planes go through the middle of the body.
    """
    body = _body_bounds(nodes.volume)
    extent = body[1] - body[0]
    scale = float(max(extent[0] / size[0], extent[1] / size[0], extent[1] / size[1]))
    center = center_of_segment(nodes)
    if center is None:
        center = body.mean(axis=0)
    middle = {}
    for plane, (across, up, along) in _AXES.items():
        middle[plane] = body.mean(axis=0)
        middle[plane][along] = center[along]
        for axis, pixels in ((across, size[0]), (up, size[1])):
            low, high = body[:, axis] + np.array([0.5, -0.5]) * pixels * scale
            if low < high:
                middle[plane][axis] = np.clip(center[axis], low, high)
    return Planes(middle, scale)


def _body_bounds(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return the lowest and highest world coordinates of the body, shape (2, 3)."""
    box = body_box_in(voxels_of_node(volume), volume.GetSpacing()[::-1])[::-1]  # KJI to IJK
    corners = np.array(list(product(*((side.start - 0.5, side.stop - 0.5) for side in box))))
    points = to_world(volume, corners, ijk_to_ras_of_node(volume))
    return np.array([points.min(axis=0), points.max(axis=0)])
