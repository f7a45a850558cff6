"""What DICOM has to know of a result: which voxels, of which CT, what they show, and who found them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.vtkCommonCore import reference

from . import provenance
from .fields import image_of_field, read_field
from .geometry import grid_of_matrix, ijk_to_ras_of_node
from .results import ResultNodes
from .segment import segment_id_of
from .starting import start_of
from .threshold import mask_of_field, settings_of


@dataclass(frozen=True)
class DicomIdentity:
    """A result for DICOM.

    Attributes
    ----------
    image : the segment, or the probability (0..255), on a box of the CT's voxels, where the CT's own geometry has them:
        parent transforms left out.
    ct : the CT's own grid, as {"size", "spacing", "origin", "direction"}; LPS, mm.
    model : "id", "name", "version" and "sha256" of what found it.
    label : its name, code and colour, as a model's manifest gives them.
    is_semiautomatic : whether a person had a hand in it, or nobody knows.
    """

    image: sitk.Image
    ct: dict[str, Any]
    model: dict[str, str]
    label: dict[str, Any]
    is_semiautomatic: bool


def dicom_identity(nodes: ResultNodes, is_fractional: bool = False) -> DicomIdentity:
    """Read it from the scene, with the probability if `is_fractional`, corrected as it is now.

    Raises
    ------
    BadInput : result and CT no longer lie on the same voxels.
    """
    matrix = ijk_to_ras_of_node(nodes.volume)
    grid = grid_of_matrix(matrix, nodes.volume.GetImageData().GetDimensions())
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    keys = ("id", "name", "version", "sha256")
    model = {key: provenance.read(nodes.segmentation, f"model.{key}") or "" for key in keys}
    if start_of(nodes) is not None:
        model["id"], model["name"] = "imported", _tag(segment, "DICOM.SegmentAlgorithmName") or "imported"
    field = read_field(nodes.field, nodes.volume) if is_fractional else mask_of_field(nodes, *settings_of(nodes))
    return DicomIdentity(
        image=image_of_field(field, matrix),
        ct=asdict(grid),
        model=model,
        label=_label_of(segment),
        is_semiautomatic=_tag(segment, "DICOM.SegmentAlgorithmType") != "AUTOMATIC",
    )


def _label_of(segment: slicer.vtkSegment) -> dict[str, Any]:
    """Return name, colour and, from Slicer's serialized terminology, the code of a segment's type."""
    label: dict[str, Any] = {
        "name": segment.GetName(),
        "color": [int(channel) for channel in np.rint(255 * np.array(segment.GetColor()))],
    }
    parts = _tag(segment, segment.GetTerminologyEntryTagName()).split("~")
    found = re.fullmatch(r"([^^]+)\^([^^]+)\^([^^]+)", parts[2]) if len(parts) > 2 else None
    if found:
        label["code"] = dict(zip(("scheme", "value", "meaning"), found.groups(), strict=True))
    elif "pancrea" not in segment.GetName().lower():
        label["code"] = {"scheme": "SCT", "value": "85756007", "meaning": "Tissue"}
    return label


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = reference("")
    return str(value) if segment.GetTag(name, value) else ""
