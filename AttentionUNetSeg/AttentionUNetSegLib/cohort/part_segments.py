"""Head, body and tail of a segment as a segmentation of three segments, for 3D Slicer and for the picture."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from ..dicom_out.coded_measurement import SITES
from ..measure import PARTS, CentreLine, part_map
from ..models import SegmentLabel
from .segmentation_nrrd import write_segmentation_nrrd

# Told apart by people who see few colours, too (Okabe and Ito, Color Universal Design, 2008).
COLOURS = {"head": (230, 159, 0), "body": (86, 180, 233), "tail": (240, 228, 66)}


def write_parts(mask: sitk.Image, line: CentreLine, path: Path) -> sitk.Image:
    """Write the parts of a mask as .seg.nrrd; return them (uint8, 1 head, 2 body, 3 tail; see `measure.part_map`).

    Raises
    ------
    CannotWrite : the file cannot be written.
    """
    parts = part_map(mask, line)
    segments = [
        SegmentLabel(f"Pancreas {part}", SITES[part].scheme, SITES[part].value, SITES[part].meaning, COLOURS[part])
        for part in PARTS
    ]
    write_segmentation_nrrd(parts, segments, path)
    return parts
