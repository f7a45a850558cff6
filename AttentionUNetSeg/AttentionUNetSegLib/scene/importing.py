"""A job folder's files become nodes: segmentation, probability, spread, attention; placed, coloured, linked, filed.

What a segment is (name, SNOMED CT code, colour) is written as Slicer writes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import reference

from ..contracts import check_threshold
from ..errors import BadInput
from ..in_parts import done_at_once
from ..models import SegmentLabel
from . import provenance
from .fields import LOWEST_SHOWN, LOWEST_SPREAD_SHOWN, CroppedField, add_field
from .geometry import ijk_to_ras_of_node, note_limits
from .result_files import read_in_parts
from .results import SPREAD_REFERENCE, ResultNodes, file_in_folder, find_results, link
from .threshold import mask_of_values, recompute_segment
from .volumes import Voxels


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
    return done_at_once(import_in_parts(scene, volume_node, result, folder, keep_largest, box))


def import_in_parts(
    scene: slicer.vtkMRMLScene,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    result: Any,
    folder: Path | str,
    keep_largest: bool = False,
    box: list[tuple[int, int]] | None = None,
) -> Generator[None, None, ResultNodes]:
    """Do as `import_result`, and yield between the parts, so that an event loop can go on.

    Reading, copying and computing come first. The nodes come into the scene in the last part, all at once: who looks
    at the scene, saves it, closes it or undoes something meanwhile finds no half of a result, and of a generator that
    is closed nothing is left.

    Raises
    ------
    BadInput : the CT was removed from the scene, moved or resampled meanwhile. Otherwise as `import_result`.
    """
    result = result if isinstance(result, Mapping) else asdict(result)
    threshold = result["threshold"]
    check_threshold(threshold)
    place = _place_of(volume_node)
    files = read_in_parts(
        Path(folder), result.get("files"), volume_node.GetName(), ijk_to_ras_of_node(volume_node), box
    )
    read = yield from files
    mask = mask_of_values(CroppedField(read.start, read.probability.values), threshold, keep_largest)
    yield
    if volume_node.GetScene() is not scene:
        raise BadInput("The CT was removed from the scene before its result was there.")
    if _place_of(volume_node) != place:
        raise BadInput("The CT was moved or resampled before its result was there.", "Segment it again.")
    fields = provenance.record(result, uuid.uuid4().hex)
    scene.SaveStateForUndo()
    name = volume_node.GetName()

    def add(voxels: Voxels, what: str, role: str, lowest_shown: float = LOWEST_SHOWN) -> Any:
        node = add_field(scene, voxels, f"{name} {what}", volume_node, lowest_shown)
        provenance.stamp(node, role, fields)
        return node

    probability_node = add(read.probability, "probability", provenance.PROBABILITY)
    attention_nodes = [
        add(voxels, f"attention {level}", provenance.attention_role(level))
        for level, voxels in enumerate(read.attention, start=1)
    ]
    segmentation = _add_segmentation(scene, volume_node, result, fields)
    filed = [segmentation, probability_node, *attention_nodes]
    if read.spread is not None:
        spread_node = add(read.spread, "spread", provenance.SPREAD, LOWEST_SPREAD_SHOWN)
        segmentation.SetNodeReferenceID(SPREAD_REFERENCE, spread_node.GetID())
        filed.insert(2, spread_node)
    folder_item = file_in_folder(scene, volume_node, filed)
    nodes = ResultNodes(volume_node, segmentation, probability_node, folder_item)
    link(nodes, attention_nodes)
    if box is not None:
        note_limits(nodes, box)
    recompute_segment(nodes, threshold, keep_largest, mask=mask)
    return nodes


def _place_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, ...]:
    """Return how many voxels a volume has, and where they lie below its parent transform."""
    image = volume_node.GetImageData()
    return (*(image.GetDimensions() if image else ()), *ijk_to_ras_of_node(volume_node).ravel())


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
