"""What a segment is: name, SNOMED CT code and colour, as a model's manifest gives them and as Slicer writes them."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import reference

from ..models import SegmentLabel

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
