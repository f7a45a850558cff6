"""The CT's voxels in the frame of the segmentation: where the segment is written, and read back after edits by hand."""

from __future__ import annotations

import numpy as np
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from . import provenance
from .cropped_field import CroppedField, digest
from .ct_voxels import ct_grid
from .geometry import voxel_offset
from .results import ResultNodes
from .segment import segment_id_of

# The attribute that tells what the segment was when it was last written, so that strokes can be found.
DIGEST = "written"
# Two lengths of voxels that agree this well (relative) are the same.
SAME_SPACING = 1e-3


def segment_grid(nodes: ResultNodes) -> np.ndarray:
    """Return the CT's IJK to RAS matrix in the segmentation's own frame.

    It is the result's, unless somebody hardened a transform on the segmentation alone: then its labelmap still counts
    the CT's voxels, and lies elsewhere. Raises BadInput as `ct_grid` does.
    """
    grid = ct_grid(nodes)
    labelmap = slicer.vtkOrientedImageData()
    nodes.segmentation.GetBinaryLabelmapRepresentation(segment_id_of(nodes), labelmap)
    if labelmap.GetPointData().GetScalars() is None:
        return grid
    found = grid_of_labelmap(labelmap)
    is_elsewhere = voxel_offset(found, grid) is None
    return found if is_elsewhere and _counts_voxels_of_ct(nodes, labelmap, grid) else grid


def grid_of_labelmap(labelmap: slicer.vtkOrientedImageData) -> np.ndarray:
    """Return a labelmap's IJK to RAS matrix; "world" is the frame of its segmentation there."""
    matrix = vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def voxels_of_labelmap(labelmap: slicer.vtkOrientedImageData) -> CroppedField:
    """Return a labelmap's values as 0 or 1 on its own grid."""
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    return CroppedField(tuple(labelmap.GetExtent()[::2])[::-1], (values != 0).astype(np.uint8))


def _counts_voxels_of_ct(nodes: ResultNodes, labelmap: slicer.vtkOrientedImageData, grid: np.ndarray) -> bool:
    """Whether a labelmap off the CT's grid was moved, and not resampled to another geometry."""
    lengths = [np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (grid_of_labelmap(labelmap), grid)]
    if np.allclose(*lengths, rtol=SAME_SPACING):
        return True
    return digest(voxels_of_labelmap(labelmap)) == provenance.read(nodes.segmentation, DIGEST)
