"""DICOM folders: list their series, choose the CT, and read it with its geometry checked slice by slice."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import SimpleITK as sitk

from ..errors import BadInput
from .check import FEWEST_SLICES
from .dicom_multiframe import read_frames
from .dicom_slices import SlicePlane, grid_of_slices
from .image_file import quiet_itk

TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "ImageType",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames",
    "RescaleSlope", "RescaleIntercept", "RescaleType",
]  # fmt: skip


@dataclass(frozen=True)
class DicomSeries:
    """A series in a DICOM folder.

    Attributes
    ----------
    uid : Series Instance UID.
    number : Series Number, None where the files have none.
    description : Series Description, may be empty.
    modality : "CT", "RTSTRUCT", ...
    image_count : number of slices that can form a volume (frames of multi-frame files; no localizers); 0 for
        objects that are not images.
    files : all files of the series.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    image_count: int
    files: tuple[Path, ...] = ()

    def __str__(self) -> str:
        number = "without number" if self.number is None else f"{self.number}"
        return f'{number} "{self.description}" ({self.image_count} images)'


def list_dicom_series(folder: str | os.PathLike) -> list[DicomSeries]:
    """Return the series in a folder and its subfolders, sorted by number; names and endings of files do not matter.

    Raises
    ------
    BadInput : the folder does not exist or holds no DICOM file.
    """
    return [entry.series for entry in _scan(Path(folder))]


def read_dicom_series(folder: Path, series: str | None = None) -> tuple[sitk.Image, str, list[str], tuple[Path, ...]]:
    """Read a CT series from a folder; return image (HU), name, warnings and the files read, in the order of slices.

    Without `series`, the folder must hold exactly one CT series of 8 or more slices; other objects (RTSTRUCT, SEG,
    localizers, short series) are passed over.

    Raises
    ------
    BadInput : no CT, several CTs, a series that does not exist, or slices that form no regular grid.
    """
    entry = _choose(_scan(Path(folder)), folder, series)
    slices, doubts = _without_copies([header for header in entry.headers if _is_slice(header)])
    name = entry.series.description or Path(folder).resolve().name
    if any(_frames(header) > 1 for header in slices):
        if len(slices) > 1:
            raise BadInput(
                f"Series {entry.series} consists of {len(slices)} multi-frame files, which are not joined.",
                "Give one file.",
            )
        file = Path(slices[0].filename)
        return read_frames(file), name, doubts, (file,)
    order, grid = grid_of_slices([slice_plane(header) for header in slices])
    sorted_headers = [slices[i] for i in order]
    image = _read_pixels([header.filename for header in sorted_headers], _rescaling_differs(sorted_headers))
    if image.GetSize() != grid.size:
        raise BadInput(
            f"Series {entry.series} was read as {image.GetSize()} voxels where its headers say {grid.size}.",
            "Export it again.",
        )
    image.SetOrigin(grid.origin)
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.direction)
    files = tuple(Path(header.filename) for header in sorted_headers)
    return image, name, doubts + _unit_doubts(sorted_headers[0]), files


def read_dicom_file(path: Path) -> tuple[sitk.Image, str, list[str]]:
    """Read a multi-frame (enhanced) CT file; return image (HU), name and warnings.

    Raises
    ------
    BadInput : not a CT, a single slice of a series, or frames that form no regular grid.
    """
    header = _header(path)
    if header is None or header.get("Modality") != "CT":
        kind = (
            "a DICOM directory" if header is None or "Modality" not in header else f"a DICOM {header.Modality} object"
        )
        raise BadInput(f"{path.name} is {kind}, not a CT volume.", "Give the folder with the CT images.")
    if _frames(header) == 1:
        raise BadInput(f"{path.name} is a single slice of a DICOM series.", f"Give its folder instead: {path.parent}.")
    return read_frames(path), header.get("SeriesDescription") or path.stem, []


def is_dicom_file(path: Path) -> bool:
    """Tell from its first bytes whether a file is DICOM (with or without the 128 byte preamble)."""
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        return False
    # Without preamble, a data set begins with an element of group 0002 or 0008, a low element number.
    return start[128:132] == b"DICM" or (
        start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) == 132
    )


@dataclass(frozen=True)
class _Entry:
    series: DicomSeries
    headers: tuple[pydicom.Dataset, ...]


def _scan(folder: Path) -> list[_Entry]:
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.")
    by_uid: dict[str, list[pydicom.Dataset]] = {}
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            header = _header(path) if is_dicom_file(path) else None
            if header is not None and header.get("SeriesInstanceUID"):
                by_uid.setdefault(str(header.SeriesInstanceUID), []).append(header)
    if not by_uid:
        raise BadInput(f"The folder {folder} holds no DICOM images.", "Give a DICOM folder or an image file.")
    entries = [_Entry(_describe(uid, headers), tuple(headers)) for uid, headers in by_uid.items()]
    return sorted(entries, key=lambda e: (e.series.number is None, e.series.number or 0, e.series.uid))


def _header(path: Path) -> pydicom.Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS, force=True)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError, KeyError, NotImplementedError):
            return None


def _describe(uid: str, headers: Sequence[pydicom.Dataset]) -> DicomSeries:
    first = headers[0]
    slices, _ = _without_copies([header for header in headers if _is_slice(header)])
    return DicomSeries(
        uid=uid,
        number=None if first.get("SeriesNumber") in (None, "") else int(first.SeriesNumber),
        description=str(first.get("SeriesDescription") or "").strip(),
        modality=str(first.get("Modality") or ""),
        image_count=sum(_frames(header) for header in slices),
        files=tuple(Path(header.filename) for header in headers),
    )


def _is_slice(header: pydicom.Dataset) -> bool:
    """Tell whether the object can be part of a volume: it has pixels and a place, and is no localizer."""
    localizer = "LOCALIZER" in [str(value).upper() for value in _values(header.get("ImageType"))]
    placed = bool(header.get("ImagePositionPatient")) or _frames(header) > 1
    return bool(header.get("Rows")) and placed and not localizer and header.get("Modality") not in ("SEG", "RTDOSE")


def _choose(entries: Sequence[_Entry], folder: Path, wanted: str | None) -> _Entry:
    cts = [entry for entry in entries if entry.series.modality == "CT" and entry.series.image_count]
    if wanted is not None:
        return _wanted(entries, cts, folder, str(wanted).strip())
    if not cts:
        found = ", ".join(sorted({entry.series.modality or "unknown" for entry in entries}))
        raise BadInput(
            f"The folder {folder} holds no CT images with a position (it holds {found}).", "Give the CT's folder."
        )
    volumes = [entry for entry in cts if entry.series.image_count >= FEWEST_SLICES]
    if not volumes:
        longest = max(cts, key=lambda entry: entry.series.image_count).series
        raise BadInput(
            f"The folder {folder} holds no CT series with {FEWEST_SLICES} or more slices; the longest is {longest}."
        )
    if len(volumes) > 1:
        raise BadInput(
            f"The folder {folder} holds {len(volumes)} CT series: {_listed(volumes)}.", _how_to_choose(volumes)
        )
    return volumes[0]


def _wanted(entries: Sequence[_Entry], cts: Sequence[_Entry], folder: Path, wanted: str) -> _Entry:
    matches = [entry for entry in entries if wanted in (entry.series.uid, str(entry.series.number))]
    if not matches:
        raise BadInput(
            f"The folder {folder} holds no series {wanted}; it holds {_listed(cts or entries)}.", _how_to_choose(cts)
        )
    matching_cts = [entry for entry in matches if entry in cts]
    if not matching_cts:
        series = matches[0].series
        raise BadInput(
            f"Series {series} is not a CT volume (modality {series.modality or 'unknown'}).", "Choose a CT series."
        )
    if len(matching_cts) > 1:
        raise BadInput(
            f"{len(matching_cts)} CT series have the number {wanted}: {_listed(matching_cts)}.",
            _how_to_choose(matching_cts),
        )
    return matching_cts[0]


def _listed(entries: Sequence[_Entry]) -> str:
    numbers = [entry.series.number for entry in entries]
    return "; ".join(
        f"{entry.series}" + (f" UID {entry.series.uid}" if _needs_uid(entry, numbers) else "") for entry in entries
    )


def _needs_uid(entry: _Entry, numbers: Sequence[int | None]) -> bool:
    return entry.series.number is None or numbers.count(entry.series.number) > 1


def _how_to_choose(entries: Sequence[_Entry]) -> str:
    numbers = [entry.series.number for entry in entries]
    by = "UID" if any(_needs_uid(entry, numbers) for entry in entries) else "number"
    return f"Choose one by its {by} with `series` (command line: --series)."


def _without_copies(headers: Sequence[pydicom.Dataset]) -> tuple[list[pydicom.Dataset], list[str]]:
    """Return the objects once each: a file copied twice into the folder is one image."""
    once = {str(header.get("SOPInstanceUID") or header.filename): header for header in reversed(headers)}
    copies = len(headers) - len(once)
    doubts = [f"{copies} files in the folder are copies of other images and were passed over."] if copies else []
    return list(once.values()), doubts


def slice_plane(header: pydicom.Dataset) -> SlicePlane:
    """Return where a single-slice image lies; raises BadInput where its header does not say."""
    name = Path(header.filename).name
    try:
        return SlicePlane(
            position=_numbers(header, "ImagePositionPatient", 3),
            orientation=_numbers(header, "ImageOrientationPatient", 6),
            pixel_spacing=_numbers(header, "PixelSpacing", 2),
            shape=(int(header.Rows), int(header.Columns)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(
            f"The DICOM image {name} has no usable geometry ({error}).", "Export the series again."
        ) from error


def _numbers(header: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in _values(header.get(keyword)))
    if len(numbers) != count or not all(abs(number) < 1e6 for number in numbers):
        raise ValueError(f"{keyword} is {header.get(keyword)}")
    return numbers


def _values(value: object) -> list:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _frames(header: pydicom.Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _rescaling_differs(headers: Sequence[pydicom.Dataset]) -> bool:
    return len({(header.get("RescaleSlope"), header.get("RescaleIntercept")) for header in headers}) > 1


def _unit_doubts(header: pydicom.Dataset) -> list[str]:
    unit = str(header.get("RescaleType") or "HU").strip().upper()
    return (
        []
        if unit in ("HU", "US", "UNSPECIFIED")
        else [f"The DICOM images say that their values are in {unit}, not in HU."]
    )


def _read_pixels(files: Sequence[str], as_float: bool) -> sitk.Image:
    """Read slices in the order given, rescaled to HU by GDCM."""
    reader = sitk.ImageSeriesReader()
    # Named, because ITK would try its other formats first on files without an ending.
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(file) for file in files])
    if as_float:
        # The series reader takes the type of the first slice, which may not hold what the others rescale to.
        reader.SetOutputPixelType(sitk.sitkFloat32)
    with quiet_itk():
        try:
            return reader.Execute()
        except RuntimeError as error:
            raise BadInput(
                f"The pixels of the DICOM series with {Path(files[0]).name} cannot be read: a file is incomplete, "
                "or compressed in an unsupported way.",
                "Export it again without compression.",
            ) from error
