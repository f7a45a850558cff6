"""The threshold, live: the segment is always clean(probability >= threshold), recomputed in the cropped box only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import reference

from ..contracts import check_threshold
from ..correction import BACKGROUND, FOREGROUND
from ..errors import BadInput
from ..imaging import keep_largest_component
from . import provenance
from .certain import certain_voxels
from .clicks import read_clicks
from .fields import Box, CroppedField, box_of_at_least, digest, first_voxel, joined_box, read_values, tight_box
from .geometry import ijk_to_ras_of_node, offset_on_ct
from .marks import read_marks
from .measurement_age import note_age
from .results import ResultNodes
from .segment import DIGEST, segment_grid, segment_id_of, segment_volume_ml
from .surface import drop_surface, has_surface, make_surface, wants_surface

# Of the Gaussian's standard deviation: what lies further away does not count.
SMOOTHING_REACH = 3.0


def set_threshold(nodes: ResultNodes, threshold: float, keep_largest: bool = False, smoothing_mm: float = 0.0) -> float:
    """Recompute the segment from the probability and return its volume in mL (parent transforms left out).

    A voxel with the stored value v (0..255) belongs to the segment when v / 255 >= threshold; a voxel of
    probability 0 never does. Replaces whatever the segment held. A closed surface that existed exists again
    afterwards. The settings are written on the segmentation node ("AttentionUNetSeg.threshold",
    ".keep_largest", ".smoothing_mm").

    Parameters
    ----------
    threshold : within `contracts.THRESHOLDS`.
    keep_largest : keep only the largest connected part (voxels that share a face, an edge or a corner).
    smoothing_mm : standard deviation in millimetres of a Gaussian that smooths the probability first; 0 for
        none.

    Raises
    ------
    BadInput : a setting is out of range, or the result's nodes were changed so that they no longer belong
        together.
    """
    check_threshold(threshold)
    if not 0.0 <= smoothing_mm < 100.0:
        raise BadInput(f"The smoothing {smoothing_mm} mm is not between 0 and 100 mm.")
    nodes.scene.SaveStateForUndo(nodes.segmentation)
    return recompute_segment(nodes, threshold, keep_largest, smoothing_mm)


def recompute_segment(
    nodes: ResultNodes,
    threshold: float,
    keep_largest: bool = False,
    smoothing_mm: float = 0.0,
    mask: CroppedField | None = None,
) -> float:
    """Do what `set_threshold` does, without asking the scene for an undo step.

    `mask` is what `mask_of_field` would return, where it is known already.
    """
    if mask is None:
        mask = mask_of_field(nodes, threshold, keep_largest, smoothing_mm)
    _write_segment(nodes, mask)
    _note_hand(nodes)
    provenance.write(nodes.segmentation, DIGEST, digest(mask))
    provenance.write(nodes.segmentation, "threshold", repr(float(threshold)))
    provenance.write(nodes.segmentation, "keep_largest", str(bool(keep_largest)).lower())
    provenance.write(nodes.segmentation, "smoothing_mm", repr(float(smoothing_mm)))
    note_age(nodes)
    return segment_volume_ml(nodes)


def settings_of(nodes: ResultNodes) -> tuple[float, bool, float]:
    """Return threshold, keep_largest and smoothing_mm that the segment was last computed with."""
    threshold = float(provenance.read(nodes.segmentation, "threshold") or 0.5)
    keep_largest = provenance.read(nodes.segmentation, "keep_largest") == "true"
    return threshold, keep_largest, float(provenance.read(nodes.segmentation, "smoothing_mm") or 0.0)


def mask_of_field(nodes: ResultNodes, threshold: float, keep_largest: bool, smoothing_mm: float) -> CroppedField:
    """Return the mask (0 or 1) that these settings make of the field, strokes and clicks respected, on the CT's voxels.

    Where the CT was resampled or cropped since, the mask counts the field's own voxels, without clicks and strokes:
    what they changed is in the field.
    """
    return mask_of(nodes, nodes.field, threshold, keep_largest, smoothing_mm, certain_voxels)


def mask_of(
    nodes: ResultNodes,
    node: slicer.vtkMRMLScalarVolumeNode,
    threshold: float,
    keep_largest: bool,
    smoothing_mm: float,
    certain_of: Callable[[ResultNodes], CroppedField | None] = lambda nodes: None,
) -> CroppedField:
    """Do as `mask_of_field` with any field of a result; `certain_of` says what is certain, by default nothing."""
    values = read_values(node)
    offset = offset_on_ct(node, nodes.volume)
    field = CroppedField((0, 0, 0), values).moved(offset or (0, 0, 0))
    smoothing = [smoothing_mm / spacing for spacing in node.GetSpacing()[::-1]]
    if offset is None:
        return mask_of_values(field, threshold, keep_largest, smoothing)
    size = nodes.volume.GetImageData().GetDimensions()[::-1]
    return mask_of_values(field, threshold, keep_largest, smoothing, certain_of(nodes), size)


def mask_of_values(
    field: CroppedField,
    threshold: float,
    keep_largest: bool = False,
    smoothing_voxels: list[float] | None = None,
    certain: CroppedField | None = None,
    size: tuple[int, ...] | None = None,
) -> CroppedField:
    """Return `clean_mask` of a field on the CT's voxels, with `certain` on these voxels.

    `size` is that of the CT, where smoothed values may go on beyond the box that a field was cropped to.
    """
    # As far as the Gaussian reaches what there is, and as far again what it looks at from there.
    smoothing = smoothing_voxels or [0.0] * 3
    margins = [2 * (int(SMOOTHING_REACH * deviation + 0.5) + 1) if deviation else 0 for deviation in smoothing]
    box = _where_anything_is(field, threshold, certain, margins, size)
    is_inside = all(a.start <= b.start and b.stop <= a.stop for a, b in zip(field.box, box, strict=True))
    inside = tuple(slice(b.start - a, b.stop - a) for a, b in zip(field.start, box, strict=True))
    values = field.values[inside] if is_inside else field.on(box)
    if certain is not None:
        k, j, i = (at - part.start for at, part in zip(certain.start, box, strict=True))
        certain = CroppedField((k, j, i), certain.values)
    return CroppedField.of(box, clean_mask(values, threshold, keep_largest, smoothing, certain))


def _where_anything_is(
    field: CroppedField,
    threshold: float,
    certain: CroppedField | None,
    margins: list[int],
    size: tuple[int, ...] | None,
) -> Box:
    """Return the box of the CT outside of which the mask of a field is empty, and beyond which nothing counts for it.

    `margins` are so many voxels around what there is, within a CT of this `size`; None: within the field.
    """
    found = box_of_at_least(field.values, lowest_value(threshold))
    boxes = [] if certain is None else [certain.box]
    if found is not None or not boxes:
        part: Box = found or (slice(0, 1), slice(0, 1), slice(0, 1))
        boxes.append(CroppedField(first_voxel(part), field.values[part]).moved(field.start[::-1]).box)
    limits = field.box if size is None else [slice(0, n) for n in size]
    k, j, i = (
        slice(max(limit.start, part.start - n), min(limit.stop, part.stop + n))
        for part, n, limit in zip(joined_box(*boxes), margins, limits, strict=True)
    )
    return k, j, i


def clean_mask(
    field: np.ndarray,
    threshold: float,
    keep_largest: bool = False,
    smoothing_voxels: list[float] | None = None,
    certain: CroppedField | None = None,
) -> np.ndarray:
    """Return the uint8 mask (0 or 1, KJI) of a uint8 field: smoothed, then thresholded, then its largest part.

    `smoothing_voxels` is the Gaussian's standard deviation per array axis; the field is 0 outside its box. What a
    person marked as `certain` (correction.FOREGROUND, correction.BACKGROUND; on a box of the field) is kept whatever
    smoothing does, and so are parts with certain foreground beside the largest one.
    """
    if smoothing_voxels and any(smoothing_voxels):
        field = ndimage.gaussian_filter(
            field, smoothing_voxels, output=np.float32, mode="constant", cval=0.0, truncate=SMOOTHING_REACH
        )
        mask = field >= threshold * 255.0
    else:
        mask = field >= lowest_value(threshold)
    if certain is not None:
        part = mask[certain.box]
        part &= certain.values != BACKGROUND
        part |= certain.values == FOREGROUND
    mask = mask.view(np.uint8)
    return _largest_part(mask, certain) if keep_largest else mask


def lowest_value(threshold: float) -> int:
    """Return the lowest uint8 value v with v / 255 >= threshold (0 < threshold <= 1), so at least 1."""
    return int(np.searchsorted(np.arange(256) / 255.0, threshold))


def _largest_part(mask: np.ndarray, certain: CroppedField | None) -> np.ndarray:
    # Labelling costs more than everything else here, so only the box that holds anything is labelled.
    box = tight_box(mask)
    if box is None:
        return mask
    largest = np.zeros_like(mask)
    largest[box] = keep_largest_component(mask[box], None if certain is None else certain.on(box) == FOREGROUND)
    return largest


def _write_segment(nodes: ResultNodes, mask: CroppedField) -> None:
    segment_id = segment_id_of(nodes)
    is_surface_wanted = wants_surface(nodes)
    if is_surface_wanted and not mask.values.any():
        drop_surface(nodes)  # otherwise it is made anew of nothing at once
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap_of(nodes, nodes.field, mask),
        nodes.segmentation,
        segment_id,
        slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE,
    )
    if is_surface_wanted and not has_surface(nodes):
        make_surface(nodes)


def _note_hand(nodes: ResultNodes) -> None:
    """Say in the segment's DICOM tag that a person had a hand in it, once there are corrections."""
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    key, kind = "DICOM.SegmentAlgorithmType", reference("")
    has_hand = nodes.strokes is not None or read_clicks(nodes) or read_marks(nodes)
    if has_hand and segment.GetTag(key, kind) and str(kind) == "AUTOMATIC":
        segment.SetTag(key, "SEMIAUTOMATIC")


def labelmap_of(
    nodes: ResultNodes, node: slicer.vtkMRMLScalarVolumeNode, mask: CroppedField
) -> slicer.vtkOrientedImageData:
    """Return a field's mask as a piece of the CT's grid, so that nothing is resampled, now or when somebody edits it.

    No larger than what it holds: whoever reads it or makes a surface of it looks at every voxel.
    """
    mask = mask.tight()
    try:
        grid, offset = segment_grid(nodes), mask.start[::-1]
    except BadInput:  # the CT was resampled or cropped: the field's own grid is still right
        grid, offset = ijk_to_ras_of_node(node), mask.start[::-1]
    size = mask.values.shape[::-1]
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*[bound for first, n in zip(offset, size, strict=True) for bound in (first, first + n - 1)])
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(grid))
    labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.values.ravel(), deep=True))
    return labelmap
