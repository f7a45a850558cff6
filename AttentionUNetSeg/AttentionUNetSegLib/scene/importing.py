"""A job folder's files become nodes: segmentation, probability, spread, attention; placed, coloured, linked, filed.

What a segment is (name, SNOMED CT code, colour) is written as Slicer writes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import slicer
from vtkmodules.vtkCommonCore import reference

from ..contracts import PROBABILITY_FILE, check_threshold
from ..errors import InternalError
from ..imaging.plain_name import plainly_named
from ..models import SegmentLabel
from . import provenance
from .fields import LOWEST_SPREAD_SHOWN, add_field
from .geometry import ijk_to_ras_of_image, ijk_to_ras_of_node, note_limits, voxel_offset
from .results import SPREAD_REFERENCE, ResultNodes, file_in_folder, find_results, link
from .threshold import recompute_segment


def import_result(
    scene: slicer.vtkMRMLScene,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    result: Any,
    folder: Path | str,
    keep_largest: bool = False,
    box: list[tuple[int, int]] | None = None,
) -> ResultNodes:
    """Make the nodes of one result. Every call makes new nodes; earlier results are left as they are.

    Parameters
    ----------
    volume_node : the CT that was segmented. All new nodes go under its parent transform, and into one folder
        beside it.
    result : the worker's result, as its message (a dataclass) or as a mapping of the same fields: threshold,
        model {id, name, version, sha256}, device, timings, warnings and, where given, quality {reasons}, files
        {probability, attention[], spread} (default: probability.nrrd, attention_1.nrrd, ..., no spread) and labels
        (as in model.json; default: the pancreas).
    folder : the job folder. `probability` is uint8 0..255 on the CT's voxels, cropped, and so is the spread;
        attention is uint8 on any grid.
    keep_largest : as in `set_threshold`.
    box : voxels of the CT (see `geometry`) outside of which nothing is taken over from the probability.

    Raises
    ------
    InternalError : a file is missing, unreadable or does not lie on the CT's voxels. The scene is then as
        before.
    BadInput : the threshold is out of range; likewise.
    """
    result = result if isinstance(result, Mapping) else asdict(result)
    check_threshold(result["threshold"])
    probability, attention, spread = _read_files(Path(folder), result.get("files"))
    offset = voxel_offset(ijk_to_ras_of_image(probability), ijk_to_ras_of_node(volume_node))
    if offset is None:
        raise InternalError(f"The probability in {folder} does not lie on the voxels of {volume_node.GetName()}.")
    if box is not None:
        probability = _cut(probability, offset, box)
    fields = provenance.record(result, uuid.uuid4().hex)
    scene.SaveStateForUndo()
    name = volume_node.GetName()
    probability_node = add_field(scene, probability, f"{name} probability", volume_node)
    provenance.stamp(probability_node, provenance.PROBABILITY, fields)
    attention_nodes = []
    for level, image in enumerate(attention, start=1):
        attention_nodes.append(add_field(scene, image, f"{name} attention {level}", volume_node))
        provenance.stamp(attention_nodes[-1], provenance.attention_role(level), fields)
    segmentation = _add_segmentation(scene, volume_node, result, fields)
    filed = [segmentation, probability_node, *attention_nodes]
    if spread is not None:
        spread = spread if box is None else _cut(spread, offset, box)
        spread_node = add_field(scene, spread, f"{name} spread", volume_node, LOWEST_SPREAD_SHOWN)
        provenance.stamp(spread_node, provenance.SPREAD, fields)
        segmentation.SetNodeReferenceID(SPREAD_REFERENCE, spread_node.GetID())
        filed.insert(2, spread_node)
    folder_item = file_in_folder(scene, volume_node, filed)
    nodes = ResultNodes(volume_node, segmentation, probability_node, folder_item)
    link(nodes, attention_nodes)
    if box is not None:
        note_limits(nodes, box)
    recompute_segment(nodes, result["threshold"], keep_largest)
    return nodes


def _cut(field: sitk.Image, offset: tuple[int, int, int], box: list[tuple[int, int]]) -> sitk.Image:
    """Return the part of the field within the box; one voxel of 0 where they have nothing in common."""
    size = field.GetSize()
    first = [max(low - start, 0) for (low, _), start in zip(box, offset, strict=True)]
    end = [min(high - start, n) for (_, high), start, n in zip(box, offset, size, strict=True)]
    if all(a < b for a, b in zip(first, end, strict=True)):
        return field[tuple(slice(a, b) for a, b in zip(first, end, strict=True))]
    return field[:1, :1, :1] * 0


def _read_files(
    folder: Path, files: Mapping[str, Any] | None
) -> tuple[sitk.Image, list[sitk.Image], sitk.Image | None]:
    """Return probability, attention and, where there is one, spread."""
    if files is None:
        gates = sorted(folder.glob("attention_*.nrrd"), key=lambda path: int(path.stem.split("_")[-1]))
        files = {"probability": PROBABILITY_FILE, "attention": [path.name for path in gates]}
    probability = _read_file(folder / files["probability"])
    attention = [_read_file(folder / name) for name in files.get("attention", [])]
    spread = _read_file(folder / files["spread"]) if files.get("spread") else None
    if spread is not None and not _is_on_same_voxels(spread, probability):
        raise InternalError(f"The spread in {folder} does not lie on the voxels of its probability.")
    return probability, attention, spread


def _is_on_same_voxels(one: sitk.Image, other: sitk.Image) -> bool:
    offset = voxel_offset(ijk_to_ras_of_image(one), ijk_to_ras_of_image(other))
    return one.GetSize() == other.GetSize() and offset is not None and not any(offset)


def _read_file(path: Path) -> sitk.Image:
    try:
        with plainly_named(path, (".nrrd",)) as plain:
            image = sitk.ReadImage(str(plain))
    except RuntimeError as error:
        raise InternalError(f"The result file {path} is missing or damaged.", "Segment the CT again.") from error
    if image.GetPixelID() != sitk.sitkUInt8 or image.GetDimension() != 3:
        raise InternalError(f"The result file {path} does not hold a volume of values 0 to 255.")
    return image


def _add_segmentation(
    scene: slicer.vtkMRMLScene,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    result: Mapping[str, Any],
    fields: Mapping[str, str],
) -> slicer.vtkMRMLSegmentationNode:
    label = SegmentLabel.of_manifest((result.get("labels") or [{}])[0])
    model = result.get("model", {})
    algorithm = " ".join(str(model[key]) for key in ("name", "version") if model.get(key)) or "AttentionUNetSeg"
    earlier = sum(found.volume is volume_node for found in find_results(scene))
    number = f" {earlier + 1}" if earlier else ""
    name = scene.GenerateUniqueName(f"{volume_node.GetName()} {label.name.lower()}{number}")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    # Before any labelmap: an import between nodes under different transforms resamples.
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.CreateDefaultDisplayNodes()
    provenance.stamp(node, provenance.SEGMENTATION, fields)
    provenance.write(node, "segment", add_segment(node, label, algorithm))
    return node


CATEGORY_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
CATEGORY = ("SCT", "123037004", "Anatomical Structure")
# What nobody gave a code to, and whose name does not tell either.
TISSUE = ("SCT", "85756007", "Tissue")
REGION_CONTEXT = "Anatomic codes - DICOM master list"


def terminology_of(category: tuple[str, str, str], concept: tuple[str, str, str]) -> str:
    """Return Slicer's serialized entry of two codes (scheme, value, meaning)."""
    return f"{CATEGORY_CONTEXT}~{'^'.join(category)}~{'^'.join(concept)}~^^~{REGION_CONTEXT}~^^~^^"


def add_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, label: SegmentLabel, algorithm: str) -> str:
    """Add an empty segment that carries the label and, for DICOM SEG, that `algorithm` made it; return its ID."""
    segmentation = segmentation_node.GetSegmentation()
    color = [channel / 255.0 for channel in label.color]
    segment_id = segmentation.AddEmptySegment(label.name, label.name, color)
    segment = segmentation.GetSegment(segment_id)
    concept = (label.scheme, label.code, label.meaning)
    # The tag behind SetTerminology, which not every Slicer has.
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_of(CATEGORY, concept))
    segment.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", algorithm)
    return segment_id


def label_of_segment(segment: slicer.vtkSegment) -> SegmentLabel:
    """Return what a segment says of itself; a segment without a readable code is tissue of its own name."""
    entry = reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
    parts = str(entry).split("~")
    code = tuple(parts[2].split("^")) if len(parts) > 2 else ()
    scheme, value, meaning = code if len(code) == 3 and all(code) else TISSUE
    color = tuple(round(255 * channel) for channel in segment.GetColor())
    return SegmentLabel(segment.GetName() or meaning, scheme, value, meaning, color)
