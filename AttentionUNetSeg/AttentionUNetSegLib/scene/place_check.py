"""The one check of place: whether CT, result and clicks lie together in the world, parent transforms applied.

Only what points at a place needs them together. The threshold and everything else counts the CT's voxels, see
`ct_voxels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import slicer
from vtkmodules.vtkCommonTransforms import vtkTransform

from ..errors import BadInput
from .geometry import ct_grid, ijk_to_ras_of_node, note_place, on_ct
from .results import ResultNodes, nodes_of_segmentation
from .segment import segment_grid, to_world

# Of a voxel's shortest edge: what files and transforms may round.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Apart:
    """What of a result no longer lies where its CT is.

    Attributes
    ----------
    volume_name, names : the CT, and the nodes that lie elsewhere.
    distance_mm : the furthest that a corner of one of them is from its place.
    can_follow : whether `move_along` can bring them together again.
    """

    volume_name: str
    names: tuple[str, ...]
    distance_mm: float
    can_follow: bool

    @property
    def text(self) -> str:
        """What a person is told."""
        others = len(self.names) - 1
        what = self.names[0] if not others else f"{self.names[0]} and {others} more of its result"
        verb = "lies" if not others else "lie"
        far = "" if self.distance_mm < 1.0 else f", up to {self.distance_mm:.0f} mm away"
        return f"{what} no longer {verb} on {self.volume_name}{far}: one of them was moved."


def find_apart(nodes: ResultNodes) -> Apart | None:
    """Return what of the result no longer lies on its CT; None where everything does."""
    name = nodes.volume.GetName()
    everything = _placed_nodes(nodes)
    try:
        grid = ct_grid(nodes)
    except BadInput:
        return Apart(name, tuple(node.GetName() for node in everything), 0.0, False)
    ct, tolerance = ijk_to_ras_of_node(nodes.volume), TOLERANCE * min(nodes.volume.GetSpacing())
    corners = _corners(nodes.volume)
    places = to_world(nodes.volume, corners, ct)
    found: list[tuple[str, float]] = []
    for node in everything:
        if isinstance(node, slicer.vtkMRMLMarkupsNode):
            if not node.GetNumberOfControlPoints():
                continue
            own, expected = to_world(node, corners, grid), places
        elif isinstance(node, slicer.vtkMRMLSegmentationNode):
            own, expected = to_world(node, corners, _grid_of_segmentation(nodes, grid)), places
        else:
            between = on_ct(node, nodes.volume)
            if between is None or node.GetImageData() is None:
                continue  # what reads it says so
            own_corners = _corners(node)
            own = to_world(node, own_corners, ijk_to_ras_of_node(node))
            expected = to_world(nodes.volume, own_corners, ct @ between)
        distance = float(np.linalg.norm(own - expected, axis=1).max())
        if not distance <= tolerance:  # not a number, too
            found.append((node.GetName(), distance))
    if not found:
        return None
    return Apart(name, tuple(name for name, _ in found), max(distance for _, distance in found), True)


def move_along(nodes: ResultNodes) -> None:
    """Put everything of the result where its CT is now, under its parent transform. Nothing is resampled.

    Raises
    ------
    BadInput : the CT was resampled or cropped since, so nobody knows where the result belongs.
    """
    grid, ct = ct_grid(nodes), ijk_to_ras_of_node(nodes.volume)
    parent = nodes.volume.GetTransformNodeID()
    _move(nodes.segmentation, ct @ np.linalg.inv(_grid_of_segmentation(nodes, grid)))
    for node in _placed_nodes(nodes):
        if isinstance(node, slicer.vtkMRMLScalarVolumeNode):
            between = on_ct(node, nodes.volume)
            if between is not None:
                node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ct @ between))
                note_place(node, nodes.volume)
        elif node is not nodes.segmentation:
            _move(node, ct @ np.linalg.inv(grid))
        node.SetAndObserveTransformNodeID(parent)
    nodes.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(nodes.volume)


def require_together(nodes: ResultNodes) -> None:
    """Raise BadInput where the result and its CT lie apart: then a place in a view means two places."""
    apart = find_apart(nodes)
    if apart is not None:
        hint = "Move the result along with the CT first." if apart.can_follow else "Segment the CT again."
        raise BadInput(apart.text, hint)


def _placed_nodes(nodes: ResultNodes) -> list[slicer.vtkMRMLTransformableNode]:
    """Return the result's nodes that have a place; a table of measurements has none."""
    own = nodes_of_segmentation(nodes.segmentation)
    return [node for node in own if isinstance(node, slicer.vtkMRMLTransformableNode)]


def _grid_of_segmentation(nodes: ResultNodes, grid: np.ndarray) -> np.ndarray:
    try:
        return segment_grid(nodes)
    except BadInput:  # somebody removed the segment
        return grid


def _corners(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return the volume's corner voxels and its middle as indices (9, 3)."""
    last = np.array(node.GetImageData().GetDimensions(), dtype=float) - 1
    return np.array([*product(*((0.0, end) for end in last)), tuple(last / 2)])


def _move(node: slicer.vtkMRMLTransformableNode, matrix: np.ndarray) -> None:
    """Apply a 4x4 matrix to what lies in the node's own frame."""
    if np.allclose(matrix, np.eye(4), atol=1e-9):
        return
    transform = vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.ApplyTransform(transform)
