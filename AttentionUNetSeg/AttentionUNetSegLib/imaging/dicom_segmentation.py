"""The segments of a DICOM SEG object on their own grid.

Source: DICOM PS3.3, A.51 (Segmentation IOD), C.8.20 (Segmentation Series and Image), C.7.6.16 (functional groups).
Frames may come in any sequence, and frames without a voxel may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from ..errors import BadInput
from .geometry import Geometry, image_on_grid

Codes = tuple[tuple[str, str, str], tuple[str, str, str]]

# No frame may lie further than this share of a step from where the grid has it.
TOLERANCE = 0.05


@dataclass(frozen=True)
class DicomSegment:
    """One item of the Segment Sequence.

    algorithm : its type and name.
    codes : category and type of what was segmented, each as (scheme, value, meaning); None where they are missing.
    """

    number: int
    label: str
    algorithm: tuple[str, str]
    codes: Codes | None


def read_dicom_segments(
    path: Path,
) -> tuple[list[DicomSegment], Callable[[int], tuple[sitk.Image, bool]]]:
    """Return the segments of a file, and what makes of a segment's number its image, and whether that has fractions.

    A mask is uint8, 0 or 1; fractions are float32, 0 to 1 (LPS, mm).

    Raises
    ------
    BadInput : the file is no segmentation, or its frames form no regular grid.
    """
    try:
        header = pydicom.dcmread(path)
    except Exception as error:
        raise BadInput(f"{path.name} cannot be read as DICOM ({error}).") from error
    if header.get("Modality") != "SEG" or "SegmentSequence" not in header:
        raise BadInput(
            f"{path.name} is a DICOM {header.get('Modality') or 'object'}, no segmentation.", "Give a DICOM SEG file."
        )
    segments = [
        DicomSegment(
            int(item.SegmentNumber),
            str(item.get("SegmentLabel", "")),
            (str(item.get("SegmentAlgorithmType", "")), str(item.get("SegmentAlgorithmName", ""))),
            _codes(item),
        )
        for item in header.SegmentSequence
    ]

    def take(number: int) -> tuple[sitk.Image, bool]:
        return _image_of(header, number, path)

    return segments, take


def _codes(item: pydicom.Dataset) -> Codes | None:
    found = []
    for name in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
        if not item.get(name):
            return None
        code = item[name].value[0]
        found.append(
            tuple(str(code.get(key, "")) for key in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))
        )
    return found[0], found[1]


def _image_of(header: pydicom.Dataset, number: int, path: Path) -> tuple[sitk.Image, bool]:
    kind = str(header.get("SegmentationType", "BINARY"))
    frames = list(header.PerFrameFunctionalGroupsSequence)
    shared = header.SharedFunctionalGroupsSequence[0]
    positions = np.array(
        [_macro(frame, shared, "PlanePositionSequence", path).ImagePositionPatient for frame in frames], dtype=float
    )
    orientation = np.array(
        _macro(frames[0], shared, "PlaneOrientationSequence", path).ImageOrientationPatient, dtype=float
    )
    measures = _macro(frames[0], shared, "PixelMeasuresSequence", path)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    along = positions @ normal
    step = _step(along, measures)
    places = (along - along.min()) / step
    index = np.rint(places).astype(int)
    first = positions[along.argmin()]
    off = positions - first - np.outer(along - along.min(), normal)
    if np.abs(places - index).max() > TOLERANCE or np.abs(off).max() > TOLERANCE * step:
        raise BadInput(f"The frames of {path.name} form no regular grid.", "Export it as a label map.")
    pixels = header.pixel_array
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    volume = np.zeros((index.max() + 1, header.Rows, header.Columns), np.float32 if kind == "FRACTIONAL" else np.uint8)
    for n, frame in enumerate(frames):
        if kind == "LABELMAP":
            volume[index[n]] = pixels[n] == number
        elif int(_macro(frame, shared, "SegmentIdentificationSequence", path).ReferencedSegmentNumber) == number:
            volume[index[n]] = pixels[n]
    if kind == "FRACTIONAL":
        volume /= np.float32(header.get("MaximumFractionalValue", 255))
    rows_mm, columns_mm = (float(value) for value in measures.PixelSpacing)
    grid = Geometry(
        volume.shape[::-1],
        (columns_mm, rows_mm, float(step)),
        tuple(first.tolist()),
        tuple(np.stack([row, column, normal], axis=1).ravel().tolist()),
    )
    return image_on_grid(volume, grid), kind == "FRACTIONAL"


def _macro(frame: pydicom.Dataset, shared: pydicom.Dataset, name: str, path: Path) -> pydicom.Dataset:
    """Return a functional group's first item, of the frame or of all frames together."""
    for group in (frame, shared):
        if group.get(name):
            return group[name].value[0]
    raise BadInput(f"The frames of {path.name} have no {name}, so nobody knows where they lie.")


def _step(along: np.ndarray, measures: pydicom.Dataset) -> float:
    """Return the distance of neighbouring slices in mm."""
    apart = np.diff(np.unique(np.round(along, 3)))
    told = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    if told and (not len(apart) or np.abs(apart / float(told) - np.rint(apart / float(told))).max() < TOLERANCE):
        return float(told)
    return float(apart.min()) if len(apart) else 1.0
