"""A segment or a volume of the scene, of whatever origin, in the frame of a CT: what `starting` begins with."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import reference
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..correction import SATURATION_MM
from ..errors import BadInput
from ..imaging import StoredSegment, label_of, probability_of
from .cropped_field import tight_box
from .geometry import ijk_to_ras_of_image, set_image_geometry
from .volumes import image_of_node


def segment_in_frame_of(
    volume_node: slicer.vtkMRMLScalarVolumeNode, segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str
) -> StoredSegment:
    """Return a segment as it is now, on its own grid in the CT's frame (below the CT's parent transform).

    Raises
    ------
    BadInput : there is no such segment, it is empty, or no linear transform leads from it to the CT.
    """
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise BadInput(f"There is no segment {segment_id} in {segmentation_node.GetName()}.", "Choose another one.")
    image = mask_of_segment(segmentation_node, segment_id)
    if image is None:
        raise BadInput(f"The segment {segment.GetName()} of {segmentation_node.GetName()} is empty.")
    image = _cut(image)
    _move(image, segmentation_node, volume_node)
    return StoredSegment(
        image, False, segment.GetName(), tuple(segment.GetColor()), _tag(segment, segment.GetTerminologyEntryTagName()),
        algorithm=(_tag(segment, "DICOM.SegmentAlgorithmType"), _tag(segment, "DICOM.SegmentAlgorithmName")),
    )  # fmt: skip


def volume_in_frame_of(
    volume_node: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode, label: int | None
) -> StoredSegment:
    """Return one label of a label map, or a probability, likewise.

    A label map is a volume of that class, or any volume where a `label` is named.
    """
    is_probability = label is None and not other.IsA("vtkMRMLLabelMapVolumeNode")
    part = _part_that_counts(other, label, is_probability)
    image = probability_of(part, other.GetName()) if is_probability else label_of(part, other.GetName(), label)
    _move(image, other, volume_node)
    return StoredSegment(image, is_probability, other.GetName())


def mask_of_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> sitk.Image | None:
    """Return a segment's voxels, uint8 0 or 1, in its node's own frame (LPS); None where it holds none."""
    labelmap = slicer.vtkOrientedImageData()
    segmentation_node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        return None
    voxels = vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1]) != 0
    if not voxels.any():
        return None
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    to_world = vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_world)  # "world" is the segmentation node's own frame
    matrix = slicer.util.arrayFromVTKMatrix(to_world)
    matrix[:3, 3] += matrix[:3, :3] @ np.array(labelmap.GetExtent()[::2], dtype=float)
    set_image_geometry(image, matrix)
    return image


def _move(
    image: sitk.Image, node: slicer.vtkMRMLTransformableNode, volume_node: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Give an image in a node's own frame the geometry that it has in the CT's."""
    own, other = node.GetParentTransformNode(), volume_node.GetParentTransformNode()
    if own is other:
        return
    if not all(each is None or each.IsTransformToWorldLinear() for each in (own, other)):
        raise BadInput(
            f"A non-linear transform lies between {node.GetName()} and {volume_node.GetName()}.", "Harden it first."
        )
    between = vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(own, other, between)
    matrix = slicer.util.arrayFromVTKMatrix(between) @ ijk_to_ras_of_image(image)
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        raise BadInput(
            f"The transform between {node.GetName()} and {volume_node.GetName()} shears it.", "Harden it first."
        )
    set_image_geometry(image, matrix)


def _cut(mask: sitk.Image) -> sitk.Image:
    """Return what a mask holds, with room for the field around its surface and no more.

    Segments that share a labelmap come as large as it is, and others without any room.
    """
    held = tight_box(sitk.GetArrayViewFromImage(mask))
    room = [int(np.ceil(SATURATION_MM / size)) + 1 for size in mask.GetSpacing()]
    return sitk.ConstantPad(mask[tuple(reversed(held))], room, room, 0)


def _part_that_counts(node: slicer.vtkMRMLScalarVolumeNode, label: int | None, is_probability: bool) -> sitk.Image:
    """Return the box of a volume that holds a label, or what is not 0; the whole where that tells what is wrong.

    Most of a volume is neither, and all that follows takes time by the voxel.
    """
    whole = image_of_node(node)
    values = sitk.GetArrayViewFromImage(whole)
    if is_probability and (values.min() < 0 or values.max() > 255 or not np.isfinite(values).all()):
        return whole
    box = tight_box(values == label if label is not None else values != 0)
    if box is None:
        return whole
    # Two voxels more: the step from 0 to something belongs to a probability, which is interpolated.
    wide = [slice(max(0, side.start - 2), min(n, side.stop + 2)) for side, n in zip(box, values.shape, strict=True)]
    return whole[tuple(reversed(wide))]


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = reference("")
    return str(value) if segment.GetTag(name, value) else ""
