"""Voxel geometry between SimpleITK (LPS) and MRML (RAS): 4x4 matrices from voxel index to millimetres."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..imaging import Geometry

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ijk_to_ras_of_image(image: sitk.Image) -> np.ndarray:
    """Return the 4x4 matrix that takes a voxel index (i, j, k, 1) of a SimpleITK image to RAS millimetres."""
    grid = Geometry.of(image)
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
    return Geometry(tuple(size), tuple(spacing.tolist()), tuple(matrix[:3, 3].tolist()), tuple(direction.tolist()))


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
