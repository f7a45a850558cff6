"""What DICOM has to know of a result: which voxels, of which CT, what they show, and who found them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import SimpleITK as sitk
import slicer
from vtkmodules.vtkCommonCore import reference

from ..models import SegmentLabel
from . import provenance
from .fields import image_of_field, read_field
from .geometry import grid_of_matrix, ijk_to_ras_of_node
from .importing import label_of_segment
from .results import ResultNodes
from .segment import segment_id_of
from .starting import start_of
from .threshold import mask_of_field, settings_of


@dataclass(frozen=True)
class DicomOrigin:
    """Who found a result, and what it shows: for every DICOM object that any front end writes.

    Attributes
    ----------
    model : "id", "name", "version" and "sha256" of what found it; "imported" is the id of what was no model of ours.
    label : its name, code and colour.
    is_semiautomatic : whether a person had a hand in it, or nobody knows.
    """

    model: dict[str, str]
    label: SegmentLabel
    is_semiautomatic: bool


@dataclass(frozen=True)
class DicomIdentity:
    """A result for DICOM.

    Attributes
    ----------
    image : the segment, or the probability (0..255), on a box of the CT's voxels, where the CT's own geometry has them:
        parent transforms left out.
    ct : the CT's own grid, as {"size", "spacing", "origin", "direction"}; LPS, mm.
    origin : who found it, and what it shows.
    """

    image: sitk.Image
    ct: dict[str, Any]
    origin: DicomOrigin


def dicom_identity(nodes: ResultNodes, is_fractional: bool = False) -> DicomIdentity:
    """Read it from the scene, with the probability if `is_fractional`, corrected as it is now.

    Raises
    ------
    BadInput : result and CT no longer lie on the same voxels.
    """
    matrix = ijk_to_ras_of_node(nodes.volume)
    grid = grid_of_matrix(matrix, nodes.volume.GetImageData().GetDimensions())
    field = read_field(nodes.field, nodes.volume) if is_fractional else mask_of_field(nodes, *settings_of(nodes))
    return DicomIdentity(image_of_field(field, matrix), asdict(grid), dicom_origin(nodes))


def dicom_origin(nodes: ResultNodes) -> DicomOrigin:
    """Read from the scene who found a result, and what it shows."""
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    keys = ("id", "name", "version", "sha256")
    model = {key: provenance.read(nodes.segmentation, f"model.{key}") or "" for key in keys}
    is_imported = start_of(nodes) is not None or not model["id"]
    if is_imported:
        model["id"], model["name"] = "imported", _tag(segment, "DICOM.SegmentAlgorithmName") or "imported"
    is_automatic = _tag(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    nobody_knows = is_imported and start_of(nodes) is None
    return DicomOrigin(model, label_of_segment(segment), nobody_knows or not is_automatic)


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = reference("")
    return str(value) if segment.GetTag(name, value) else ""
