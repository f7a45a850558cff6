"""Where voxels lie: matrices between SimpleITK (LPS) and MRML (RAS), a result's volumes on its CT's voxels, regions.

How a volume lies on the CT is noted when it is made, so that moving nodes changes nothing. A result lives in the frame
of its probability volume. Clicks, strokes and threshold count in the CT's voxels, which stay the same whether somebody
puts the CT, or the result, under a transform or hardens one. Where things are in the world is asked only where a person
points at a place, and by `place_check`.

A region of interest, drawn in the world, is a box of the volume's own voxels: a list of (first, end) along I, J and K;
the end is not part of it.
"""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..errors import BadInput
from ..imaging import Geometry
from . import provenance
from .results import ResultNodes

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ijk_to_ras_of_image(image: sitk.Image) -> np.ndarray:
    """Return the 4x4 matrix that takes a voxel index (i, j, k, 1) of a SimpleITK image to RAS millimetres."""
    return ras_of_geometry(Geometry.of(image))


def ras_of_geometry(grid: Geometry) -> np.ndarray:
    """Return the 4x4 matrix that takes a voxel index (i, j, k, 1) of a grid (LPS) to RAS millimetres."""
    matrix = np.eye(4)
    matrix[:3, :3] = grid.index_to_physical
    matrix[:3, 3] = grid.origin
    return LPS_TO_RAS @ matrix


def set_image_geometry(image: sitk.Image, ijk_to_ras: np.ndarray) -> None:
    """Give a SimpleITK image the spacing, direction and origin (LPS) of an IJK to RAS matrix without shear."""
    matrix = LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())


def grid_of_matrix(ijk_to_ras: np.ndarray, size: tuple[int, int, int]) -> Geometry:
    """Return the grid (LPS) of so many voxels along I, J and K of an IJK to RAS matrix without shear."""
    matrix = LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    direction = (matrix[:3, :3] / spacing).ravel()
    return Geometry(size, tuple(spacing.tolist()), tuple(matrix[:3, 3].tolist()), tuple(direction.tolist()))


def ijk_to_ras_of_node(volume_node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return the node's own 4x4 IJK to RAS matrix; its parent transform is not part of it."""
    matrix = vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def voxel_volume_ml(ijk_to_ras: np.ndarray) -> float:
    """Return the volume in millilitres of one voxel of a 4x4 IJK to RAS matrix, sheared ones too.

    The product of the spacings, which others may show, is too large for a sheared grid.
    """
    return abs(float(np.linalg.det(ijk_to_ras[:3, :3]))) / 1000.0


def voxel_offset(box: np.ndarray, grid: np.ndarray, tolerance: float = 1e-2) -> tuple[int, int, int] | None:
    """Return where the first voxel of `box` lies on `grid`, or None where the two do not share their voxels.

    Both are 4x4 IJK to RAS matrices. `tolerance` is in voxels: the largest disagreement of a position that
    still counts as rounding in a file.
    """
    between = np.linalg.solve(grid, box)
    offset = np.round(between[:3, 3])
    same_axes = np.allclose(between[:3, :3], np.eye(3), atol=tolerance / 100)
    if not same_axes or np.abs(between[:3, 3] - offset).max() > tolerance:
        return None
    return int(offset[0]), int(offset[1]), int(offset[2])


ON_CT = "on_ct"


def note_place(
    node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode, grid: np.ndarray | None = None
) -> None:
    """Note on a volume how its voxels lie on the CT's: call it where both are known to lie together.

    `grid` is the CT's IJK to RAS matrix in the volume's own frame; default: the CT's own.
    """
    grid = ijk_to_ras_of_node(volume_node) if grid is None else grid
    between = np.linalg.solve(grid, ijk_to_ras_of_node(node))
    kept = {"matrix": between.ravel().tolist(), "sizes": [_size_of(node), _size_of(volume_node)]}
    provenance.write(node, ON_CT, json.dumps(kept))


def on_ct(node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray | None:
    """Return the 4x4 matrix from the volume's voxel index (i, j, k, 1) to the CT's; None where nobody can tell.

    What was noted counts as long as both have as many voxels as then. Otherwise, and in scenes of earlier versions,
    their geometries tell, where they share their voxels.
    """
    kept = json.loads(provenance.read(node, ON_CT) or "null")
    if kept and kept["sizes"] == [_size_of(node), _size_of(volume_node)]:
        return np.array(kept["matrix"]).reshape(4, 4)
    own, grid = ijk_to_ras_of_node(node), ijk_to_ras_of_node(volume_node)
    return None if voxel_offset(own, grid) is None else np.linalg.solve(grid, own)


def ct_grid(nodes: ResultNodes) -> np.ndarray:
    """Return the CT's IJK to RAS matrix in the frame of the result, where the CT was when the result was made.

    Raises
    ------
    BadInput : the probability no longer lies on the CT's voxels: one of them was resampled or cropped.
    """
    between = on_ct(nodes.probability, nodes.volume)
    if between is None:
        raise BadInput(
            f"{nodes.probability.GetName()} and {nodes.volume.GetName()} no longer lie on the same voxels: one of them "
            "was resampled or cropped.",
            "Segment the CT again.",
        )
    return ijk_to_ras_of_node(nodes.probability) @ np.linalg.inv(between)


def offset_on_ct(
    node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode
) -> tuple[int, int, int] | None:
    """Return which voxel (i, j, k) of the CT the volume's first is; None where they do not share their voxels."""
    between = on_ct(node, volume_node)
    return None if between is None else voxel_offset(between, np.eye(4))


def _size_of(node: slicer.vtkMRMLScalarVolumeNode) -> list[int]:
    data = node.GetImageData()
    return list(data.GetDimensions()) if data is not None else [0, 0, 0]


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
