"""The CT series that a DICOM object refers to: its headers in the order of the slices, and the grid they form."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid
from pydicom.valuerep import format_number_as_ds

from ..errors import BadInput
from ..imaging import Geometry
from ..imaging.dicom_header import planes_of
from ..imaging.dicom_slices import grid_of_slices

# Type 2 in the modules Patient, General Study and General Equipment (DICOM PS3.3, C.7.1.1, C.7.2.1): they have to be
# there, if empty, and anonymized files often lack them.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_MUST_BE_THERE = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")


@dataclass(frozen=True)
class SourceSeries:
    """A CT series without its pixels.

    Attributes
    ----------
    headers : of single slices in the order of their place along the normal, or of the multi-frame files.
    positions : Image Position (Patient) of every slice or frame in this order: LPS, mm, as the headers give them.
    grid : what the slices form, K in this order.
    shifts : (slices, 2), how far (mm along a row, along a column) each slice lies off the grid because of a tilt;
        None without one.
    """

    headers: tuple[pydicom.Dataset, ...]
    positions: tuple[tuple[float, ...], ...]
    grid: Geometry
    shifts: np.ndarray | None = None


def source_series(files: Sequence[str | PathLike[str]] | SourceSeries) -> SourceSeries:
    """Return the series of these files, read where it has not been; raises as `read_source_series`."""
    return files if isinstance(files, SourceSeries) else read_source_series(files)


def read_source_series(files: Sequence[str | PathLike[str]]) -> SourceSeries:
    """Read the headers of a CT series from its files, which may come in any order.

    Raises
    ------
    BadInput : no files, files that are not of one CT series, or slices that form no regular grid.
    """
    if not files:
        raise BadInput(
            "The CT was not read from DICOM files, so there is no series that a DICOM object could refer to.",
            "Open the DICOM series itself.",
        )
    headers = [_header(Path(file)) for file in files]
    if len({(str(header.StudyInstanceUID), str(header.SeriesInstanceUID)) for header in headers}) > 1:
        raise BadInput(
            f"The {len(headers)} DICOM files given are not of one series.", "Give the files of one CT series."
        )
    if int(headers[0].get("NumberOfFrames") or 1) > 1:
        planes = [plane for file in files for plane in planes_of(Path(file))]
        _share_what_all_frames_say(headers[0])
        is_multiframe = True
    else:
        planes = [planes_of(Path(file))[0] for file in files]
        is_multiframe = False
    stack = grid_of_slices(planes)
    if not is_multiframe:
        headers = [headers[index] for index in stack.order]
        for header in headers:
            # The reader took orientations for one that differ in the last digits, and highdicom wants one.
            header.ImageOrientationPatient = headers[0].ImageOrientationPatient
            if not header.get("SliceThickness"):  # it may be empty, and highdicom wants one
                header.SliceThickness = format_number_as_ds(stack.grid.spacing[2])
    positions = tuple(planes[index].position for index in stack.order)
    return SourceSeries(tuple(headers), positions, stack.grid, stack.shifts)


def _header(path: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise BadInput(
                f"The DICOM file {path} of the CT cannot be read any more ({error}).", "Open the CT again."
            ) from error
    missing = [keyword for keyword in _MUST_BE_THERE if not header.get(keyword)]
    if missing:
        raise BadInput(f"{path} is no DICOM image that can be referred to: it has no {missing[0]}.")
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if not header.get("FrameOfReferenceUID"):
        # The same for every slice, and for every object that refers to this series.
        header.FrameOfReferenceUID = generate_uid(entropy_srcs=[str(header.SeriesInstanceUID), "frame of reference"])
    return header


def _share_what_all_frames_say(header: pydicom.Dataset) -> None:
    """Put orientation and spacing, which are the same for all frames, where highdicom looks for them."""
    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    shared, first = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared and keyword in first:
            setattr(shared, keyword, getattr(first, keyword))
