"""What a segment is: name, SNOMED CT code and colour, as a model's manifest gives them and as Slicer writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import slicer

CATEGORY_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
CATEGORY = ("SCT", "123037004", "Anatomical Structure")
REGION_CONTEXT = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class Label:
    """One label of a model: name, coded concept (scheme, value, meaning) and colour (0..255 per channel)."""

    name: str = "Pancreas"
    scheme: str = "SCT"
    code: str = "15776009"
    meaning: str = "Pancreas"
    color: tuple[int, int, int] = (249, 180, 111)

    @classmethod
    def of_manifest(cls, label: Mapping[str, Any]) -> Label:
        """Read one entry of the manifest's "labels"; what it leaves out is the pancreas."""
        code = label.get("code", {})
        return cls(
            name=label.get("name", cls.name),
            scheme=code.get("scheme", cls.scheme),
            code=code.get("value", cls.code),
            meaning=code.get("meaning", cls.meaning),
            color=tuple(label.get("color", cls.color)),
        )

    @property
    def terminology(self) -> str:
        """Slicer's serialized terminology entry: category, type, no modifier, no anatomic region."""
        return terminology_of(CATEGORY, (self.scheme, self.code, self.meaning))


def terminology_of(category: tuple[str, str, str], concept: tuple[str, str, str]) -> str:
    """Return Slicer's serialized entry of two codes (scheme, value, meaning)."""
    return f"{CATEGORY_CONTEXT}~{'^'.join(category)}~{'^'.join(concept)}~^^~{REGION_CONTEXT}~^^~^^"


def add_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, label: Label, algorithm: str) -> str:
    """Add an empty segment that carries the label and, for DICOM SEG, that `algorithm` made it; return its ID."""
    segmentation = segmentation_node.GetSegmentation()
    color = [channel / 255.0 for channel in label.color]
    segment_id = segmentation.AddEmptySegment(label.name, label.name, color)
    segment = segmentation.GetSegment(segment_id)
    # The tag behind SetTerminology, which not every Slicer has.
    segment.SetTag(segment.GetTerminologyEntryTagName(), label.terminology)
    segment.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", algorithm)
    return segment_id
