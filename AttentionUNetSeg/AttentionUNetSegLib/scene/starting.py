"""A segmentation from elsewhere as the start of a result: its field in place of a network's probability.

The result is like any other, without attention and without a model: threshold, clicks, strokes and undo act on the
field. Where the segmentation lies on another grid than the CT, its own field is kept in a volume beside it, so that
the corrected segment can come out on that grid too, untouched where nothing was changed.
"""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import reference
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..contracts import PROBABILITY_FILE
from ..correction import (
    MASK_THRESHOLD,
    SATURATION_MM,
    change_between,
    changed_field,
    field_of_depth,
    signed_depth,
)
from ..errors import BadInput
from ..imaging import Geometry, StoredSegment, image_on_grid, label_of, probability_of, write_image
from ..temporary_folder import prefix_of
from . import provenance
from .fields import Box, CroppedField, add_field, image_of_field, joined_box, read_field, tight_box
from .geometry import ct_grid, grid_of_matrix, ijk_to_ras_of_image, ijk_to_ras_of_node, set_image_geometry, voxel_offset
from .importing import TISSUE, import_result, terminology_of
from .results import SOURCE_REFERENCE, ResultNodes, file_in_folder_of
from .segment import segment_id_of
from .threshold import clean_mask, settings_of
from .volumes import image_of_node, voxels_of_image

# Half a voxel is what conventions of headers differ by.
LARGEST_OFFSET_VOXELS = 1.0
SOURCE = "source"
# The attributes that say where a result of this kind comes from; absent on those of the network.
START, START_NAME, START_SEGMENT = "start", "start.name", "start.segment"


def import_start(
    scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode, stored: StoredSegment, source: str
) -> tuple[ResultNodes, list[str]]:
    """Make the nodes of a result that starts from a segmentation or a probability; return them with warnings.

    On the CT's own voxels the segment is the given one, voxel for voxel; on another grid its surface is interpolated.

    Parameters
    ----------
    stored : geometry in LPS and in the CT's own frame, parent transforms left out.
    source : where it comes from: a path, or a node's name. Kept as "AttentionUNetSeg.start.name".

    Raises
    ------
    BadInput : the segment is empty, or has nothing in common with the CT. The scene is as before.
    """
    own = sitk.GetArrayViewFromImage(stored.image)
    if not own.any():
        raise BadInput(f"The segment {stored.name} of {source} is empty.", "Choose another one.")
    start = _values(own) if stored.is_probability else field_of_depth(_depth(stored.image))
    on_ct = _on_ct(stored, start, volume_node, source)
    warnings = [*stored.warnings, *_doubts(stored, volume_node)]
    label: dict[str, Any] = {"name": stored.name}
    if stored.color is not None:
        label["color"] = [round(255 * channel) for channel in stored.color]
    with tempfile.TemporaryDirectory(prefix=prefix_of("scene")) as folder:
        field = image_of_field(on_ct, ijk_to_ras_of_node(volume_node))
        write_image(field, Path(folder) / PROBABILITY_FILE, compress=False)
        result = {
            "threshold": MASK_THRESHOLD, "labels": [label], "warnings": warnings,
            "files": {"probability": PROBABILITY_FILE, "attention": []},
        }  # fmt: skip
        nodes = import_result(scene, volume_node, result, folder)
    _describe(nodes, stored, source)
    if voxel_offset(ijk_to_ras_of_image(stored.image), ijk_to_ras_of_node(volume_node)) is None:
        _keep_source(nodes, image_on_grid(start, stored.image))
    return nodes, warnings


def segment_on_source_grid(nodes: ResultNodes) -> sitk.Image | None:
    """Return the segment on the grid of the segmentation that the result started from, uint8 0 or 1, LPS.

    Where field and threshold were not changed it is that segmentation, voxel for voxel; elsewhere the change of the log
    odds is interpolated. None where that grid is the CT's, or where the network made the result.
    """
    node = nodes.source
    if node is None:
        return None
    own = image_of_node(node)
    start = sitk.GetArrayViewFromImage(own)
    network, now = (read_field(each, nodes.volume) for each in (nodes.probability, nodes.field))
    box = joined_box(network.box, now.box)
    change = change_between(network.on(box), now.on(box))
    if change.any():
        place = CroppedField.of(box, change)
        moved = _resampled(image_of_field(place, ct_grid(nodes)), Geometry.of(own), 0.0)
        start = changed_field(start, moved)
    threshold, keep_largest, smoothing_mm = settings_of(nodes)
    smoothing = [smoothing_mm / size for size in own.GetSpacing()[::-1]]
    return image_on_grid(clean_mask(np.ascontiguousarray(start), threshold, keep_largest, smoothing), own)


def start_of(nodes: ResultNodes) -> dict[str, str] | None:
    """Return "kind" (mask or probability), "name" and "segment" of what a result started from; None: the network."""
    kind = provenance.read(nodes.segmentation, START)
    if kind is None:
        return None
    found = {"kind": kind}
    for key, attribute in (("name", START_NAME), ("segment", START_SEGMENT)):
        found[key] = provenance.read(nodes.segmentation, attribute) or ""
    return found


def _depth(image: sitk.Image) -> np.ndarray:
    return signed_depth(sitk.GetArrayViewFromImage(image), image.GetSpacing()[::-1])


def _values(probability: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(probability, 0.0, 1.0)).astype(np.uint8)


def _on_ct(
    stored: StoredSegment, start: np.ndarray, volume_node: slicer.vtkMRMLScalarVolumeNode, source: str
) -> CroppedField:
    """Return the field on the CT's voxels: taken over where the two share their voxels, interpolated elsewhere."""
    size = volume_node.GetImageData().GetDimensions()
    matrix = ijk_to_ras_of_node(volume_node)
    on_ct = CroppedField((0, 0, 0), np.zeros((0, 0, 0), np.uint8))
    offset = voxel_offset(ijk_to_ras_of_image(stored.image), matrix)
    if offset is not None:
        field = CroppedField((0, 0, 0), start).moved(offset)
        k, j, i = (slice(max(0, part.start), min(n, part.stop)) for part, n in zip(field.box, size[::-1], strict=True))
        if all(part.start < part.stop for part in (k, j, i)):
            on_ct = field.cut((k, j, i))
    else:
        grid = grid_of_matrix(matrix, size)
        box = _common_box(stored.image, grid)
        if box is not None:
            part = grid.cropped([one.start for one in box[::-1]], [one.stop - one.start for one in box[::-1]])
            if stored.is_probability:
                values = _values(_resampled(stored.image, part, 0.0))
            else:
                depth = image_on_grid(_depth(stored.image), stored.image)
                values = field_of_depth(_resampled(depth, part, -SATURATION_MM))
            on_ct = CroppedField.of(box, values)
    if not on_ct.values.any():
        raise BadInput(
            f"The segment {stored.name} of {source} lies wholly outside the volume {volume_node.GetName()}.",
            "Choose the CT that it was made on.",
        )
    return on_ct.tight()


def _common_box(image: sitk.Image, grid: Geometry) -> Box | None:
    """Return the voxels (KJI) of a grid within reach of an image's values; None where there are none."""
    found = tight_box(sitk.GetArrayViewFromImage(image) != 0)
    if found is None:
        return None
    first, end = np.array([(part.start, part.stop) for part in found[::-1]]).T
    margin = np.ceil(SATURATION_MM / np.array(image.GetSpacing())) + 1
    corners = grid.index(Geometry.of(image).corners(first - margin, end + margin))
    low = np.maximum(0, np.floor(corners.min(axis=0)).astype(int))
    high = np.minimum(grid.size, np.ceil(corners.max(axis=0)).astype(int) + 1)
    if np.any(low >= high):
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    return k, j, i


def _resampled(image: sitk.Image, grid: Geometry, outside: float) -> np.ndarray:
    """Return a float image, interpolated linearly, on a grid; float32 KJI."""
    moved = sitk.Resample(
        sitk.Cast(image, sitk.sitkFloat32), grid.size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing,
        grid.direction, outside, sitk.sitkFloat32,
    )  # fmt: skip
    return sitk.GetArrayFromImage(moved)


def _doubts(stored: StoredSegment, volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """Return what a person should know: a grid that was lost, how much of the segment lies outside of the CT."""
    doubts = _lost_grid(stored, volume_node)
    inside = np.argwhere(sitk.GetArrayViewFromImage(stored.image) >= (MASK_THRESHOLD if stored.is_probability else 1))
    if not len(inside):
        return doubts
    ijk = _in_the_ct(inside[:, ::-1], stored, volume_node)
    size = np.array(volume_node.GetImageData().GetDimensions())[:, None]
    share = float(np.mean(np.any((ijk < -0.5 - 1e-3) | (ijk > size - 0.5 + 1e-3), axis=0)))
    if share == 0.0:
        return doubts
    left_out = f"{max(0.1, 100 * share):.1f} % of the segment {stored.name} lies outside the CT and was left out."
    return [*doubts, left_out]


def _lost_grid(stored: StoredSegment, volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """Warn of a segmentation with the CT's number of voxels in another place: written without its geometry, mostly."""
    size = volume_node.GetImageData().GetDimensions()
    if sorted(stored.image.GetSize()) != sorted(size):
        return []
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in stored.image.GetSize()))))
    ijk = _in_the_ct(corners, stored, volume_node)
    off = np.abs([ijk.min(axis=1) + 0.5, ijk.max(axis=1) - np.array(size) + 0.5])
    if off.max() <= LARGEST_OFFSET_VOXELS:
        return []
    millimetres = (off * np.array(volume_node.GetSpacing())).max()
    return [
        f"The segmentation of {stored.name} has as many voxels as the CT ({' x '.join(map(str, size))}), and its "
        f"header places them elsewhere, by up to {millimetres:.0f} mm: if it was made on this CT, its geometry was "
        "lost when it was saved."
    ]


def _in_the_ct(ijk: np.ndarray, stored: StoredSegment, volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return where places (n, 3) in the segmentation's voxels lie in those of the CT (3, n)."""
    ras = np.column_stack([ijk, np.ones(len(ijk))]) @ ijk_to_ras_of_image(stored.image).T
    return np.linalg.solve(ijk_to_ras_of_node(volume_node), ras.T)[:3]


def _describe(nodes: ResultNodes, stored: StoredSegment, source: str) -> None:
    """Write where the result comes from on its nodes, and what DICOM shall say of its segment."""
    for node in (nodes.segmentation, nodes.probability):
        provenance.write(node, START, "probability" if stored.is_probability else "mask")
        provenance.write(node, START_NAME, source)
        provenance.write(node, START_SEGMENT, stored.name)
    if not stored.is_probability:
        nodes.probability.SetName(nodes.scene.GenerateUniqueName(f"{nodes.volume.GetName()} start"))
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    kind, algorithm = stored.algorithm
    segment.SetTag("DICOM.SegmentAlgorithmType", kind or "SEMIAUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", algorithm or f"unknown, imported from {Path(source).name}")
    if stored.terminology or stored.codes or "pancrea" not in stored.name.lower():
        entry = stored.terminology or terminology_of(*(stored.codes or (TISSUE, TISSUE)))
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry)


def _keep_source(nodes: ResultNodes, field: sitk.Image) -> None:
    name = f"{nodes.volume.GetName()} start on its own grid"
    node = add_field(nodes.scene, voxels_of_image(field), name, nodes.volume)
    provenance.stamp(node, SOURCE, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(SOURCE_REFERENCE, node.GetID())
    file_in_folder_of(nodes.segmentation, node)


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
    around = [int(np.ceil(SATURATION_MM / size)) + 1 for size in mask.GetSpacing()]
    return sitk.ConstantPad(mask if held is None else mask[tuple(reversed(held))], around, around, 0)


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
