"""The result's segment as it is now, edits by hand included: its voxels, volume, place, and its grid.

It is written, and read back, on the CT's voxels in the frame of the segmentation.
"""

from __future__ import annotations

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..errors import BadInput
from . import provenance
from .fields import CroppedField, digest
from .geometry import ct_grid, voxel_offset, voxel_volume_ml
from .results import ResultNodes

# So many of a segment's voxels tell as well as all of them where its areas are largest.
_ENOUGH_VOXELS = 100_000


def segment_id_of(nodes: ResultNodes) -> str:
    """Return the ID of the result's segment.

    Raises
    ------
    BadInput : somebody removed the segment.
    """
    segment_id = provenance.read(nodes.segmentation, "segment") or ""
    if nodes.segmentation.GetSegmentation().GetSegment(segment_id) is None:
        raise BadInput(
            f"The segment that the network made is no longer in {nodes.segmentation.GetName()}.",
            "Segment the CT again.",
        )
    return segment_id


def segment_volume_ml(nodes: ResultNodes) -> float:
    """Return the volume of the segment in mL as its own labelmap lies, before any parent transform.

    A transform that was hardened counts, and a sheared grid is measured as it is.
    """
    labelmap, voxels = _labelmap(nodes)
    return float(np.count_nonzero(voxels)) * voxel_volume_ml(_grid_of(labelmap))


def resampled_on_ct(
    nodes: ResultNodes, labelmap: slicer.vtkOrientedImageData, grid: np.ndarray
) -> slicer.vtkOrientedImageData:
    """Return a labelmap on the whole grid of the CT, each voxel as the nearest one; `grid` as of `segment_grid`."""
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(nodes.volume.GetImageData().GetExtent())
    reference.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(grid))
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        labelmap, reference, resampled, False
    )
    return resampled


def center_of_segment(nodes: ResultNodes) -> np.ndarray | None:
    """Return where axial, coronal and sagittal planes cut the largest areas, or None for an empty segment.

    World RAS millimetres, shape (3,). The pancreas is bent: planes through its centre of mass may miss most of it.
    """
    labelmap, voxels = _labelmap(nodes)
    inside = np.flatnonzero(voxels)
    if not len(inside):
        return None
    some = np.unravel_index(inside[:: 1 + len(inside) // _ENOUGH_VOXELS], voxels.shape)
    ijk = np.stack(some[::-1], axis=1).astype(float) + np.array(labelmap.GetExtent()[::2])
    points = to_world(nodes.segmentation, ijk, _grid_of(labelmap))
    layer_mm = max(labelmap.GetSpacing())
    return np.array([_fullest(points[:, axis], layer_mm) for axis in range(3)])


def to_world(node: slicer.vtkMRMLTransformableNode, ijk: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Return the world RAS positions (n, 3) of voxel indices (n, 3) of a node, its parent transforms applied."""
    ras = ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    if node.GetParentTransformNode() is None:
        return ras
    transform = vtkGeneralTransform()
    node.GetParentTransformNode().GetTransformToWorld(transform)
    before, after = vtkPoints(), vtkPoints()
    before.SetData(numpy_to_vtk(ras, deep=True))
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData()).copy()


def _labelmap(nodes: ResultNodes) -> tuple[slicer.vtkOrientedImageData, np.ndarray]:
    """Return the labelmap that holds the segment (not a copy) and which of its voxels do (bool, KJI)."""
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    # GetBinaryLabelmapRepresentation copies all of it, which took a fifth of a click.
    labelmap = segment.GetRepresentation("Binary labelmap") or slicer.vtkOrientedImageData()
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        return labelmap, np.empty((0, 0, 0), bool)
    values = vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1])
    return labelmap, values == segment.GetLabelValue()  # segments may share one


def segment_voxels(nodes: ResultNodes) -> tuple[slicer.vtkOrientedImageData, CroppedField | None]:
    """Return the labelmap that holds the segment (not a copy), and the segment on its grid, 0 or 1; None where empty.

    The box of the field is that of the labelmap.
    """
    labelmap, voxels = _labelmap(nodes)
    if not voxels.size:
        return labelmap, None
    return labelmap, CroppedField(tuple(labelmap.GetExtent()[::2])[::-1], voxels.view(np.uint8))


def _grid_of(labelmap: slicer.vtkOrientedImageData) -> np.ndarray:
    """Return the labelmap's IJK to RAS matrix ("world" here is the segmentation node's own frame)."""
    to_ras = vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_ras)
    return slicer.util.arrayFromVTKMatrix(to_ras)


def _fullest(coordinates: np.ndarray, layer_mm: float) -> float:
    """Return the middle of the layer, of all that the axis is divided into, that holds the most points."""
    layers = ((coordinates - coordinates.min()) / layer_mm + 0.5).astype(int)
    fullest = np.bincount(layers).argmax()
    return float(coordinates[layers == fullest].mean())


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
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    stored = segment.GetRepresentation("Binary labelmap")  # no copy, which takes long: only its place is asked for
    if stored is None or stored.GetPointData().GetScalars() is None:
        return grid
    found = grid_of_labelmap(stored)
    is_elsewhere = voxel_offset(found, grid) is None
    return found if is_elsewhere and _counts_voxels_of_ct(nodes, found, grid) else grid


def grid_of_labelmap(labelmap: slicer.vtkOrientedImageData) -> np.ndarray:
    """Return a labelmap's IJK to RAS matrix; "world" is the frame of its segmentation there."""
    matrix = vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def voxels_of_labelmap(labelmap: slicer.vtkOrientedImageData) -> CroppedField:
    """Return a labelmap's values as 0 or 1 on its own grid."""
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    i, j, k = labelmap.GetExtent()[::2]
    return CroppedField((k, j, i), (values != 0).astype(np.uint8))


def _counts_voxels_of_ct(nodes: ResultNodes, found: np.ndarray, grid: np.ndarray) -> bool:
    """Whether the segment's labelmap, off the CT's grid, was moved, and not resampled to another geometry."""
    own, of_ct = (np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (found, grid))
    if np.allclose(own, of_ct, rtol=SAME_SPACING):
        return True
    _labelmap, field = segment_voxels(nodes)
    return field is not None and digest(field) == provenance.read(nodes.segmentation, DIGEST)
