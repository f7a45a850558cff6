"""A region of interest, drawn in the world, as a box of a volume's own voxels.

A box is a list of (first, end) voxels along I, J and K; the end is not part of it.
"""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..errors import BadInput
from . import provenance
from .geometry import ijk_to_ras_of_node
from .results import ResultNodes

# A parent transform may bend the box, so points on its faces are followed too, not the corners alone.
_POINTS_PER_EDGE = 9
LIMITS = "limits"


def box_of_region(
    volume_node: slicer.vtkMRMLScalarVolumeNode, region: slicer.vtkMRMLMarkupsROINode
) -> list[tuple[int, int]]:
    """Return first and end (exclusive) voxel along I, J and K of the smallest box that holds the region.

    Parent transforms of the volume and of the region are applied, non-linear ones too.

    Raises
    ------
    BadInput : the region has no size, or lies outside the volume.
    """
    if not region.GetNumberOfDefinedControlPoints() or min(region.GetSize()) <= 0:
        raise BadInput(f"The ROI {region.GetName()} has no size yet.", "Draw it, or choose no ROI.")
    own = _to_frame_of(volume_node, _points_of(region))
    matrix = np.linalg.inv(ijk_to_ras_of_node(volume_node))
    ijk = own @ matrix[:3, :3].T + matrix[:3, 3]
    size = volume_node.GetImageData().GetDimensions()
    # Half a voxel: a voxel reaches that far from its centre.
    first = np.clip(np.floor(ijk.min(axis=0) + 0.5), 0, size).astype(int)
    end = np.clip(np.ceil(ijk.max(axis=0) + 0.5), 0, size).astype(int)
    if np.any(end <= first):
        raise BadInput(
            f"The ROI {region.GetName()} lies outside {volume_node.GetName()}.", "Move it, or choose no ROI."
        )
    return [(int(low), int(high)) for low, high in zip(first, end, strict=True)]


def note_limits(nodes: ResultNodes, box: list[tuple[int, int]]) -> None:
    """Note on a result which voxels of its CT a region limited it to."""
    provenance.write(nodes.segmentation, LIMITS, json.dumps(box))


def limits_of(nodes: ResultNodes) -> list[tuple[int, int]] | None:
    """Return the box that a region limited the result to; None where it was not limited."""
    kept = json.loads(provenance.read(nodes.segmentation, LIMITS) or "null")
    return kept and [(int(first), int(end)) for first, end in kept]


def widened(
    box: list[tuple[int, int]], volume_node: slicer.vtkMRMLScalarVolumeNode, margin_mm: float
) -> list[tuple[int, int]]:
    """Return the box with `margin_mm` more on every side, cut at the volume (whose voxels it counts)."""
    sizes, spacings = volume_node.GetImageData().GetDimensions(), volume_node.GetSpacing()
    margins = [int(np.ceil(margin_mm / spacing)) for spacing in spacings]
    return [
        (max(first - margin, 0), min(end + margin, size))
        for (first, end), margin, size in zip(box, margins, sizes, strict=True)
    ]


def _points_of(region: slicer.vtkMRMLMarkupsROINode) -> np.ndarray:
    """Return points (n, 3) all over the region's box, world RAS millimetres."""
    half = np.array(region.GetSize()) / 2.0
    steps = np.linspace(-1.0, 1.0, _POINTS_PER_EDGE)
    points = np.array(list(product(steps, repeat=3))) * half
    to_world = slicer.util.arrayFromVTKMatrix(region.GetObjectToWorldMatrix())
    return points @ to_world[:3, :3].T + to_world[:3, 3]


def _to_frame_of(node: slicer.vtkMRMLTransformableNode, points: np.ndarray) -> np.ndarray:
    """Return world points in the node's own frame, below its parent transform."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return points
    transform = vtkGeneralTransform()
    parent.GetTransformFromWorld(transform)
    before, after = vtkPoints(), vtkPoints()
    before.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData()).copy()
