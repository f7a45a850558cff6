"""What a person sent, an archive or the files of a folder, and what in it can be opened as a CT."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pydicom

from ..errors import BadInput
from ..imaging import DicomSeries, list_dicom_series

_FEWEST_IMAGES = 8
# Several images are offered with those last that are likely no CT.
_NO_CT = ("label", "seg", "mask", "roi")
# How received files are called here.
_OUR_NAME = re.compile(r"(?<![\w.])\d{6}(\.(nii\.gz|nii|nrrd|mha|mhd|zraw|raw|zip|dcm))?(?!\w)")


@dataclass
class ReceivedFiles:
    """A folder of files under numbers, with the names that the sender gave them.

    names : by the name in the folder, the sender's relative path; for people and for finding a header's data.
    """

    folder: Path
    names: dict[str, str] = field(default_factory=dict)

    def delete(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def in_senders_names(self, text: str) -> str:
        """Return a sentence about some of the files with the names that the sender knows them by."""

        def sent(found: re.Match[str]) -> str:
            name = PurePosixPath(self.names.get(found.group(), found.group())).name
            return "".join(letter for letter in name if letter.isprintable())

        return _OUR_NAME.sub(sent, text)


@dataclass(frozen=True)
class Choice:
    """One thing that can be opened: a file, or a series of a DICOM folder.

    Attributes
    ----------
    path : file, or folder of the series `series` (its UID).
    title, details : for people; `details` are columns (date, slices, thickness), empty for a file.
    """

    path: Path
    series: str | None
    title: str
    details: tuple[str, ...] = ()


def choices_in(
    path: Path, names: dict[str, str] | None = None, check: Callable[[], None] = lambda: None
) -> list[Choice]:
    """Return what in a folder can be opened: image files, and CT series of enough slices; the likeliest first.

    Parameters
    ----------
    names : as in `ReceivedFiles`; None: the files' own.
    check : called before each file; what it raises ends the search.

    Raises
    ------
    BadInput : there is neither; or a header refers to data that is not there.
    """
    files = sorted(path.iterdir()) if names is not None else []
    names = names or {}
    images = [file for file in files if file.name.endswith((".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"))]
    for image in images:
        if image.suffix == ".mhd":
            _join_header_and_data(image, names)
    choices = [Choice(image, None, names.get(image.name, image.name)) for image in images]
    choices.sort(key=lambda each: any(word in each.title.lower() for word in _NO_CT))
    try:
        series = list_dicom_series(path, check)
    except BadInput:
        if not choices:
            raise
        series = []
    found = [each for each in series if each.modality == "CT" and each.image_count >= _FEWEST_IMAGES]
    if not found and series and not choices:
        found = series  # so that reading says what is wrong with them
    return [*(_series_choice(path, each) for each in found), *choices]


def as_table(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """Return the choices for the page: value (an index), title, details; alike ones are told apart by their UIDs."""
    listed = list(choices)
    titles = [(each.title, each.details) for each in listed]
    return [
        {
            "value": index,
            "title": each.title + (f", UID {each.series}" if titles.count((each.title, each.details)) > 1 else ""),
            "details": list(each.details),
        }
        for index, each in enumerate(listed)
    ]


def _series_choice(folder: Path, series: DicomSeries) -> Choice:
    number = "" if series.number is None else f"{series.number} "
    details = [f"{series.image_count} slices"]
    try:
        header = pydicom.dcmread(series.files[0], stop_before_pixels=True, force=True)
        date = str(header.get("SeriesDate") or header.get("StudyDate") or "")
        if len(date) == 8 and date.isdigit():
            details.insert(0, f"{date[:4]}-{date[4:6]}-{date[6:]}")
        if header.get("SliceThickness"):
            details.append(f"{float(header.SliceThickness):.3g} mm thick")
    except Exception:
        pass  # a column less; what is wrong with the file is said when it is read
    if series.differs_by:
        details.append(series.differs_by)
    return Choice(folder, series.uid, f"{number}{series.description or 'without description'}", tuple(details))


def _join_header_and_data(header: Path, names: dict[str, str]) -> None:
    """Make a MetaImage header name its data as it lies here now: a file that came with it, in the same folder."""
    lines = header.read_bytes().split(b"\n")
    for n, line in enumerate(lines):
        key, _, value = line.partition(b"=")
        if key.strip() != b"ElementDataFile":
            continue
        wanted = value.strip().decode("utf-8", "replace")
        if wanted.upper() == "LOCAL":
            return
        sent = PurePosixPath(names.get(header.name, header.name))
        for name, sent_name in names.items():
            if PurePosixPath(sent_name) == sent.parent / wanted:
                lines[n] = b"ElementDataFile = " + name.encode()
                header.write_bytes(b"\n".join(lines))
                return
        raise BadInput(
            f"{sent.name} needs the file {PurePosixPath(wanted).name}, which was not sent with it.",
            "Send both, as one .zip or as a folder.",
        )
