"""What one DICOM file says, as plain values: whatever stands in its tags, nothing here raises.

A value that is none (wrong type, several where one belongs, bytes) counts as absent; where a slice cannot do without
it, the slice is left out and the reason kept.
Source: DICOM PS3.3, C.7.6.2 (Image Plane), C.7.6.16 (Multi-frame Functional Groups), C.11.1 (Modality LUT).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from ..errors import BadInput
from .dicom_differences import FACT_TAGS, facts_of
from .dicom_file import open_header
from .dicom_slices import SlicePlane
from .plain_name import printable_name

# What tells the phases or reconstructions of one series apart, in the order in which it is tried.
PART_TAGS = {
    "AcquisitionNumber": "acquisition", "TemporalPositionIdentifier": "time", "TriggerTime": "trigger time",
    "NominalPercentageOfCardiacPhase": "cardiac phase", "ConvolutionKernel": "kernel", "KVP": "kV",
    "AcquisitionTime": "time", "SeriesTime": "time", "SliceThickness": "slice thickness", "ImageType": "type",
}  # fmt: skip
# Where the frames of a multi-frame file say the same: functional group, and attribute in it.
_PARTS_OF_FRAMES = {
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "ConvolutionKernel": ("CTReconstructionSequence", "ConvolutionKernel"),
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
}
# Who or what a slice belongs to: one volume holds slices of one of each.
OWNER_TAGS = {"PatientID": "patient", "StudyInstanceUID": "study", "FrameOfReferenceUID": "frame of reference"}
TAGS = [
    "SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "ImageType", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ModalityLUTSequence",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue",
    "PixelPaddingRangeLimit", *{*PART_TAGS, *FACT_TAGS, *OWNER_TAGS},
]  # fmt: skip
CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_NO_VOLUME = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO")


@dataclass(frozen=True)
class DicomFrame:
    """One slice: the only image of a file, or one frame of a multi-frame file.

    Attributes
    ----------
    path, number : the file, and which of its frames, from 0.
    plane : SlicePlane
        Where it lies.
    slope, intercept : float
        HU = slope * stored value + intercept.
    unit : str
        Rescale Type, "HU" where the file says nothing.
    instance : float
        Instance Number, 0 where there is none.
    parts : Mapping[str, str]
        The values of `PART_TAGS`, "" where there is none.
    inverse : bool
        Whether small values are to be shown white (MONOCHROME1).
    is_rescaled : bool
        Whether the file gives an intercept.
    owners : Mapping[str, str]
        The values of `OWNER_TAGS`, "" where there is none.
    padding : tuple[float, float] | None
        Stored values from the first to the second are no part of the image; None where the file names none.
    """

    path: Path
    number: int
    plane: SlicePlane
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = "HU"
    instance: float = 0.0
    parts: Mapping[str, str] = field(default_factory=dict)
    inverse: bool = False
    is_rescaled: bool = True
    owners: Mapping[str, str] = field(default_factory=dict)
    padding: tuple[float, float] | None = None


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file is.

    Attributes
    ----------
    series, number, description, modality : of its series; number None and the others "" where there is none.
    frames : tuple[DicomFrame, ...]
        Its slices, without localizers.
    problems : tuple[str, ...]
        Why slices of it had to be left out, one part of a sentence each.
    facts : Mapping[str, str]
        What may tell its series from another of the same number and description (`dicom_differences`).
    """

    path: Path
    series: str
    number: int | None
    description: str
    modality: str
    frames: tuple[DicomFrame, ...] = ()
    problems: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def read_header(path: Path) -> DicomHeader | str | None:
    """Return what a DICOM file says; None for another kind of file; the reason where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = open_header(path, TAGS)
        except Exception as error:  # pydicom raises anything on damaged files
            return f"it is damaged ({_short(error)})"
        return None if dataset is None else _header(dataset, path)


def planes_of(path: Path) -> list[SlicePlane]:
    """Return where the slices of a DICOM file lie, in the order of the file.

    Raises
    ------
    BadInput
        The file cannot be read, or does not say so for every one of them.
    """
    header = read_header(path)
    if isinstance(header, str):
        raise BadInput(f"{printable_name(path)} cannot be read: {header}.", "Copy or export it again.")
    if header is None or not header.frames or header.problems:
        reason = header.problems[0] if header and header.problems else "it is no image with a place"
        raise BadInput(f"{printable_name(path)} cannot be used: {reason}.", "Export the series again.")
    return [frame.plane for frame in header.frames]


def owner_doubts(one: Path, other: Path) -> list[str]:
    """Say where two DICOM files, a segmentation and a slice of a CT for example, name different patients or frames.

    What is missing in either, or in a file that is no DICOM file or damaged, is no doubt.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            headers = [open_header(path, list(OWNER_TAGS)) for path in (one, other)]
        except Exception:  # whoever reads the voxels says so
            return []
        for keyword, name in OWNER_TAGS.items():
            told = [_printable(text(header, keyword)) for header in headers if header is not None]
            # A segmentation may lie in a study of its own.
            if keyword != "StudyInstanceUID" and len(told) == 2 and all(told) and told[0] != told[1]:
                return [
                    f"{printable_name(one)} is of the {name} {told[0]}, and the CT of the {name} {told[1]}: if these "
                    "are not the same, it does not belong to this CT."
                ]
    return []


def text(dataset: pydicom.Dataset, keyword: str) -> str:
    """The value as text, several joined by a backslash as in the file; "" for none."""
    return "\\".join(str(value).strip() for value in _values(dataset, keyword)).strip()


def number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """The value as one finite number; None for anything else."""
    found = numbers(dataset, keyword)
    return found[0] if len(found) == 1 else None


def numbers(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...]:
    """The values as finite numbers; none at all where one of them is no number."""
    try:
        found = tuple(float(str(value)) for value in _values(dataset, keyword))
    except ValueError:
        return ()
    return found if all(math.isfinite(value) for value in found) else ()


def items(dataset: pydicom.Dataset, keyword: str) -> list[pydicom.Dataset]:
    """The items of a sequence; none where it is something else."""
    return [item for item in _values(dataset, keyword) if isinstance(item, pydicom.Dataset)]


def _header(dataset: pydicom.Dataset, path: Path) -> DicomHeader | None:
    of_class = text(dataset, "SOPClassUID")
    if of_class == DIRECTORY_CLASS or not (text(dataset, "SeriesInstanceUID") or "Rows" in dataset):
        return None
    modality = text(dataset, "Modality") or ("CT" if of_class in CT_CLASSES else "")
    series_number = number(dataset, "SeriesNumber")
    frames, problems = ((), ()) if modality in _NO_VOLUME else _frames(dataset, path)
    return DicomHeader(
        path=path,
        series=text(dataset, "SeriesInstanceUID"),
        number=None if series_number is None else int(series_number),
        description=_printable(text(dataset, "SeriesDescription")),
        modality=modality,
        frames=frames,
        problems=problems,
        facts=facts_of({keyword: _printable(text(dataset, keyword)) for keyword in FACT_TAGS}),
    )


def _frames(dataset: pydicom.Dataset, path: Path) -> tuple[tuple[DicomFrame, ...], tuple[str, ...]]:
    if "Rows" not in dataset:
        return (), ()
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = (items(dataset, "SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    count = number(dataset, "NumberOfFrames") or 1
    if len(groups) != count and (groups or count > 1):
        return (), ("it is a multi-frame DICOM file that does not say where each frame lies",)
    if _is_localizer(dataset):
        return (), ()
    frames, problems = [], []
    for position, group in enumerate(groups or [pydicom.Dataset()]):
        sources = _Sources(group, shared, dataset)
        if _is_localizer(*sources.of("CTImageFrameTypeSequence", "FrameType")):
            continue
        try:
            frames.append(_frame(sources, path, position))
        except ValueError as error:
            if not (len(groups) < 2 and "ImagePositionPatient is absent" in str(error) and _has_no_place(dataset)):
                problems.append(str(error))
    return tuple(frames), tuple(dict.fromkeys(problems))


@dataclass(frozen=True)
class _Sources:
    """Where a frame's attributes stand: in its own functional groups, in the shared ones, or in the file itself."""

    own: pydicom.Dataset
    shared: pydicom.Dataset
    file: pydicom.Dataset

    def of(self, group: str, keyword: str) -> list[pydicom.Dataset]:
        """Return the data set that holds the attribute, in a list; an empty list where none does."""
        places = [*items(self.own, group)[:1], *items(self.shared, group)[:1], self.file]
        return [place for place in places if keyword in place][:1]

    def numbers(self, group: str, keyword: str, count: int) -> tuple[float, ...]:
        """Return that many numbers; raises ValueError, with the reason, where there are not."""
        found = self.of(group, keyword)
        if not found:
            raise ValueError(f"{keyword} is absent")
        values = numbers(found[0], keyword)
        if len(values) != count or not all(abs(value) < 1e6 for value in values):
            raise ValueError(f"{keyword} is {_printable(text(found[0], keyword))[:60] or 'empty'}")
        return values

    def number_or(self, group: str, keyword: str, default: float) -> float:
        """Return a number, the default where there is none; raises ValueError where it is something else."""
        return self.numbers(group, keyword, 1)[0] if self.of(group, keyword) else default


def _frame(sources: _Sources, path: Path, position: int) -> DicomFrame:
    rescaling = "PixelValueTransformationSequence"
    file = sources.file
    rows, columns = (int(sources.numbers("", keyword, 1)[0]) for keyword in ("Rows", "Columns"))
    shape = rows, columns
    plane = SlicePlane(
        position=sources.numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=sources.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        pixel_spacing=sources.numbers("PixelMeasuresSequence", "PixelSpacing", 2),
        shape=shape,
    )
    if min(plane.pixel_spacing) <= 0 or min(shape) < 1:
        raise ValueError(f"PixelSpacing is {text(file, 'PixelSpacing')}, Rows {shape[0]}, Columns {shape[1]}")
    slope = sources.number_or(rescaling, "RescaleSlope", 1.0)
    if slope == 0:
        raise ValueError("RescaleSlope is 0")
    if "ModalityLUTSequence" in file and not sources.of(rescaling, "RescaleSlope"):
        raise ValueError("its values go through a lookup table, not through a rescale slope")
    unit = sources.of(rescaling, "RescaleType")
    return DicomFrame(
        path=path,
        number=position,
        plane=plane,
        slope=slope,
        intercept=sources.number_or(rescaling, "RescaleIntercept", 0.0),
        unit=(text(unit[0], "RescaleType").upper() if unit else "") or "HU",
        instance=number(file, "InstanceNumber") or 0.0,
        parts={keyword: _part(sources, keyword) for keyword in PART_TAGS},
        inverse=text(file, "PhotometricInterpretation").upper() == "MONOCHROME1",
        is_rescaled=bool(sources.of(rescaling, "RescaleIntercept")),
        owners={keyword: _printable(text(file, keyword)) for keyword in OWNER_TAGS},
        padding=_padding(file),
    )


def _padding(file: pydicom.Dataset) -> tuple[float, float] | None:
    first = number(file, "PixelPaddingValue")
    if first is None:
        return None
    last = number(file, "PixelPaddingRangeLimit")
    return min(first, first if last is None else last), max(first, first if last is None else last)


def _part(sources: _Sources, keyword: str) -> str:
    group, in_group = _PARTS_OF_FRAMES.get(keyword, ("", keyword))
    for name in (in_group, keyword):
        found = sources.of(group, name)
        if found:
            return _printable(text(found[0], name))
    return ""


def _is_localizer(*datasets: pydicom.Dataset) -> bool:
    return any(
        "LOCALIZER" in text(each, keyword).upper().split("\\")
        for each in datasets
        for keyword in ("ImageType", "FrameType")
    )


def _has_no_place(dataset: pydicom.Dataset) -> bool:
    """Tell whether an image was never meant to lie anywhere: a screenshot, a dose table."""
    return "ImageOrientationPatient" not in dataset and "PerFrameFunctionalGroupsSequence" not in dataset


def _values(dataset: pydicom.Dataset, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
        if value is None or isinstance(value, (bytes, bytearray)):
            return []
        several = not isinstance(value, str) and isinstance(value, Iterable) and not isinstance(value, pydicom.Dataset)
        return list(value) if several else [value]
    except Exception:  # pydicom converts values when they are asked for, and raises anything
        return []


def _printable(value: str) -> str:
    return "".join(letter for letter in value if letter.isprintable())


def _short(error: Exception) -> str:
    return _printable(" ".join(str(error).split()))[:120].rstrip(".") or type(error).__name__
