"""DICOM folders: list their series, choose the CT, and read it with its geometry checked slice by slice."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import SimpleITK as sitk

from ..errors import BadInput
from .check import FEWEST_SLICES
from .dicom_differences import differences, orientation_of
from .dicom_header import DicomFrame, DicomHeader, read_header
from .dicom_outliers import usual_modality, without_outliers
from .dicom_parts import SEVERAL_AT_A_PLACE, Part, parts_of
from .dicom_volume import left_out_sentence, volume_of_frames
from .image_file import CT_ENDINGS
from .plain_name import printable, printable_name

HOW_TO_NAME_A_SERIES = "(--series on the command line, `series` in Python)"
NAMES_SHOWN = 3


@dataclass(frozen=True)
class DicomSeries:
    """A series in a DICOM folder, or a part of one: an acquisition, phase or reconstruction.

    Attributes
    ----------
    uid : str
        Series Instance UID; of a part "<UID>/<its number>".
    number : int | None
        Series Number, None where the files have none.
    description : str
        Series Description, may be empty.
    modality : str
        "CT", "RTSTRUCT", ...
    image_count : int
        Number of slices that can form a volume (frames of multi-frame files; no localizers, no doubles); 0 for objects
        that are not images.
    files : tuple[Path, ...]
        All files of the series.
    part : int
        Number of the part from 1, 0 for a whole series.
    part_name : str
        What tells it from the other parts, such as "acquisition 2".
    differs_by : str
        What tells it from others of the same number and description, such as "10:22:31, coronal"; "" where none has.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    image_count: int
    files: tuple[Path, ...] = ()
    part: int = 0
    part_name: str = ""
    differs_by: str = ""

    def __str__(self) -> str:
        number = "without number" if self.number is None else f"{self.number}"
        part = f"/{self.part}" if self.part else ""
        name = f", {self.part_name}" if self.part_name else ""
        images = "1 image" if self.image_count == 1 else f"{self.image_count} images"
        told = f"; {self.differs_by}" if self.differs_by else ""
        return f'{number}{part} "{self.description}"{name} ({images}{told})'


@dataclass(frozen=True)
class DicomVolume:
    """A CT that was read: image in HU, name, files in the order of the slices, warnings, and what was not read."""

    image: sitk.Image
    name: str
    files: tuple[Path, ...]
    warnings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def list_dicom_series(folder: str | os.PathLike[str], check: Callable[[], None] = lambda: None) -> list[DicomSeries]:
    """Return the series in a folder and its subfolders, sorted by number; names and endings of files do not matter.

    Links are followed. A series with several different images at one place gives one entry for each of its parts.

    Parameters
    ----------
    folder : str | os.PathLike[str]
        Where they lie.
    check : Callable[[], None]
        Called before each file; what it raises ends the search.

    Raises
    ------
    BadInput
        The folder does not exist or holds no DICOM file.
    """
    return [entry.series for entry in _scan(Path(folder), check).entries]


def read_dicom_series(folder: Path, series: str | None = None) -> DicomVolume:
    """Read a CT series from a folder.

    Without `series`, the folder must hold exactly one CT series (or part) of 8 or more slices; other objects (RTSTRUCT,
    SEG, localizers, short series) are passed over. A file that cannot be read is left out by name.

    Raises
    ------
    BadInput
        No CT, several CTs, a series that does not exist, or slices that form no regular grid.
    """
    scan = _scan(Path(folder))
    entry = _choose(scan.entries, folder, series)
    warnings = []
    if entry.doubles:
        images = "1 image is" if entry.doubles == 1 else f"{entry.doubles} images are"
        warnings.append(f"{images} in the folder twice, the same at the same place, and counted once.")
    if entry.problems:
        warnings.append(left_out_sentence(entry.problems))
    warnings += _siblings_left_out(scan, entry, series)
    if entry.shared:
        warnings.append(
            f"At {entry.shared} of its {len(entry.frames)} places the series has fewer images than at others; what "
            "lies there was taken, and may be of another phase or reconstruction."
        )
    try:
        image, files, doubts = volume_of_frames(entry.frames)
    except BadInput as error:
        said = f" {left_out_sentence(entry.problems)}" if entry.problems else ""
        raise BadInput(error.message + said, error.hint) from None
    name = entry.series.description or printable(Path(folder).resolve().name)
    return DicomVolume(image, name, files, warnings + doubts, _left_out(scan, entry))


def read_dicom_file(path: Path) -> DicomVolume:
    """Read a multi-frame (enhanced) CT file.

    Raises
    ------
    BadInput
        Not a CT, a single slice of a series, or frames that form no regular grid.
    """
    header = read_header(path)
    name = printable_name(path)
    if isinstance(header, str):
        raise BadInput(f"{name} cannot be read: {header}.", "Copy or export it again.")
    if header is None or header.modality != "CT":
        kind = "a DICOM file without an image (a DICOMDIR?)" if header is None else "a DICOM image of no known kind"
        kind = f"a DICOM {header.modality} object" if header and header.modality else kind
        raise BadInput(f"{name} is {kind}, not a CT volume.", "Give the folder with the CT images.")
    if len(header.frames) == 1:
        raise BadInput(
            f"{name} is a single slice of a DICOM series.", f"Give its folder instead: {printable(str(path.parent))}."
        )
    if not header.frames:
        reason = header.problems[0] if header.problems else "it holds no CT slice"
        raise BadInput(f"{name} cannot be used: {reason}.", "Export the CT as single slices.")
    parts, doubles = parts_of(header.frames)
    if len(parts) > 1:
        raise BadInput(
            f"{name} holds {parts[0].why}: {_names_of(parts)}.",
            f"Give its folder alone, and choose one there {HOW_TO_NAME_A_SERIES}.",
        )
    warnings = [f"{doubles} of its frames are the same at the same place, and counted once."] if doubles else []
    if header.problems:
        warnings.append(left_out_sentence([(path, reason) for reason in header.problems]))
    image, files, doubts = volume_of_frames(parts[0].frames)
    return DicomVolume(image, header.description or printable(path.stem), files, warnings + doubts)


def _names_of(parts: Sequence[Part]) -> str:
    return "; ".join(f"{part.name} ({len(part.frames)} images)" for part in parts)


@dataclass(frozen=True)
class _Entry:
    """A series or a part of one; `problems` and `facts` are of its files, `doubles` images that are there twice.

    `why_parts` and `shared` are as of `Part`.
    """

    series: DicomSeries
    frames: tuple[DicomFrame, ...]
    problems: tuple[tuple[Path, str], ...]
    doubles: int
    facts: dict[str, str]
    why_parts: str = SEVERAL_AT_A_PLACE
    shared: int = 0


@dataclass(frozen=True)
class _Scan:
    entries: list[_Entry]
    unreadable: list[tuple[Path, str]]


def _scan(folder: Path, check: Callable[[], None] = lambda: None) -> _Scan:
    if not folder.is_dir():
        raise BadInput(f"There is no folder {printable(str(folder))}.")
    by_uid: dict[str, list[DicomHeader]] = defaultdict(list)
    unreadable = []
    for path in _files(folder):
        check()
        header = read_header(path)
        if isinstance(header, str):
            unreadable.append((path, header))
        elif header is not None:
            by_uid[header.series].append(header)
    if not by_uid:
        said = f" {left_out_sentence(unreadable)}" if unreadable else ""
        raise BadInput(
            f"The folder {printable(str(folder))} holds no DICOM images.{said}", _what_to_give_instead_of(folder)
        )
    entries = [entry for uid, headers in by_uid.items() for entry in _entries(uid, headers)]
    by_number = sorted(
        _told_apart(entries), key=lambda e: (e.series.number is None, e.series.number or 0, e.series.uid)
    )
    return _Scan(by_number, unreadable)


def _what_to_give_instead_of(folder: Path) -> str:
    names = sorted(printable_name(path) for path in folder.iterdir() if path.name.lower().endswith(CT_ENDINGS))
    if not names:
        return "Give a DICOM folder or an image file."
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    which = "the image file in it" if len(names) == 1 else "one of the image files in it"
    return f"Give {which}: {', '.join(names[:NAMES_SHOWN])}{more}."


def _files(folder: Path) -> Iterator[Path]:
    """Every file below the folder once, through links too; a link back to a folder above is not followed again."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if _is_new(os.path.join(parent, name), seen))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if _is_new(path, seen):
                yield Path(path)


def _is_new(path: str, seen: set[str]) -> bool:
    real = os.path.realpath(path)
    if real in seen:
        return False
    seen.add(real)
    return True


def _entries(uid: str, headers: Sequence[DicomHeader]) -> Iterator[_Entry]:
    images = [header for header in headers if header.frames] or headers
    modality = usual_modality([header.modality for header in images])
    problems = [(header.path, reason) for header in headers for reason in header.problems]
    problems += [(each.path, f"its modality is {each.modality}") for each in images if each.modality != modality]
    frames = [frame for header in images if header.modality == modality for frame in header.frames]
    parts: list[Part] = []
    doubles = 0
    if modality == "CT":
        frames, outliers = without_outliers(frames)
        problems += outliers
        parts, doubles = parts_of(frames)
    first = next((header for header in images if header.number is not None), images[0])
    for number, part in enumerate(parts, start=1) if parts else [(0, None)]:
        number = number if len(parts) > 1 else 0
        series = DicomSeries(
            uid=f"{uid}/{number}" if number else uid,
            number=first.number,
            description=first.description,
            modality=modality,
            image_count=len(part.frames if part else frames),
            files=tuple(header.path for header in headers),
            part=number,
            part_name=part.name if part else "",
        )
        own = part.frames if part else tuple(frames)
        said = next((header.facts for header in images if own and header.path == own[0].path), first.facts)
        facts = {**said, **(orientation_of(own[0].plane) if own else {})}
        told = (part.why, part.shared) if part else ()
        yield _Entry(series, own, tuple(problems), doubles, facts, *told)


def _told_apart(entries: Sequence[_Entry]) -> list[_Entry]:
    """Say of series that are called the same what differs between them."""
    alike: dict[tuple[object, ...], list[_Entry]] = defaultdict(list)
    for entry in entries:
        series = entry.series
        alike[series.number, series.description, series.modality, series.part_name].append(entry)
    return [
        replace(entry, series=replace(entry.series, differs_by=told))
        for group in alike.values()
        for entry, told in zip(group, differences([each.facts for each in group]), strict=True)
    ]


def _choose(entries: Sequence[_Entry], folder: Path, wanted: str | None) -> _Entry:
    place = printable(str(folder))
    cts = [entry for entry in entries if entry.series.modality == "CT" and entry.series.image_count]
    if wanted is not None:
        return _wanted(entries, cts, place, str(wanted).strip())
    if not cts:
        found = ", ".join(sorted({_kind_of(entry.series) for entry in entries}))
        problems = [problem for entry in entries for problem in entry.problems]
        said = f" {left_out_sentence(problems)}" if problems else ""
        raise BadInput(
            f"The folder {place} holds no CT slices with a position (it holds {found}).{said}", "Give the CT's folder."
        )
    volumes = [entry for entry in cts if entry.series.image_count >= FEWEST_SLICES]
    if not volumes:
        longest = max(cts, key=lambda entry: entry.series.image_count)
        said = f" {left_out_sentence(longest.problems)}" if longest.problems else ""
        raise BadInput(
            f"The folder {place} holds no CT series with {FEWEST_SLICES} or more slices; the longest is "
            f"{longest.series}.{said}"
        )
    if len(volumes) > 1:
        raise BadInput(f"The folder {place} holds {_count(volumes)}: {_listed(volumes)}.", _how_to_choose(volumes))
    return volumes[0]


def _kind_of(series: DicomSeries) -> str:
    if series.modality == "CT":
        return "CT localizers, or CT images without a position"
    return f"{series.modality} objects" if series.modality else "objects of an unknown kind"


def _wanted(entries: Sequence[_Entry], cts: Sequence[_Entry], folder: str, wanted: str) -> _Entry:
    matches = [entry for entry in entries if wanted in _names(entry.series)]
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
        several = f"{_count(matching_cts)} have the number {wanted}"
        if all(entry.series.part for entry in matching_cts):
            several = f"Series {wanted} has {matching_cts[0].why_parts}, in {len(matching_cts)} parts"
        raise BadInput(f"{several}: {_listed(matching_cts)}.", _how_to_choose(matching_cts))
    return matching_cts[0]


def _names(series: DicomSeries) -> set[str]:
    """What a series, or a part of it, may be asked for by."""
    number = str(series.number)
    return {series.uid, series.uid.rpartition("/")[0] or series.uid, number, f"{number}/{series.part}"}


def _count(entries: Sequence[_Entry]) -> str:
    parts = sum(1 for entry in entries if entry.series.part)
    if parts == len(entries):
        return f"a CT series with {entries[0].why_parts}, in {parts} parts"
    return f"{len(entries)} CT series" + (" or parts of them" if parts else "")


def _listed(entries: Sequence[_Entry]) -> str:
    return "; ".join(
        f"{entry.series}" + (f" UID {entry.series.uid}" if _needs_uid(entry, entries) else "") for entry in entries
    )


def _needs_uid(entry: _Entry, entries: Sequence[_Entry]) -> bool:
    name = (entry.series.number, entry.series.part)
    return entry.series.number is None or [(e.series.number, e.series.part) for e in entries].count(name) > 1


def _how_to_choose(entries: Sequence[_Entry]) -> str:
    by = "UID" if any(_needs_uid(entry, entries) for entry in entries) else "number"
    example = next((entry.series for entry in entries if entry.series.part), None)
    such = f", such as {example.number}/{example.part}," if example and by == "number" else ""
    return f"Choose one by its {by}{such} {HOW_TO_NAME_A_SERIES}."


def _siblings_left_out(scan: _Scan, chosen: _Entry, wanted: str | None) -> list[str]:
    """A warning where a part was taken that nobody asked for, because the others are too short."""
    uid = chosen.series.uid.rpartition("/")[0]
    if not uid or (wanted and "/" in str(wanted)):
        return []
    others = [
        e.series for e in scan.entries if e.series.part and e.series.uid.startswith(f"{uid}/") and e is not chosen
    ]
    named = "; ".join(f"{each}" for each in others)
    return [f"The series holds {chosen.why_parts}; {chosen.series} was taken, and left out: {named}."]


def _left_out(scan: _Scan, chosen: _Entry) -> list[str]:
    """One sentence for every other series in the folder, and one for the files that are no DICOM that can be read."""
    sentences = []
    for entry in scan.entries:
        if entry is chosen:
            continue
        series = entry.series
        if series.modality != "CT" or not series.image_count:
            reason = f"it holds no CT slices (modality {series.modality or 'unknown'})"
        elif series.image_count < FEWEST_SLICES:
            reason = f"it has fewer than {FEWEST_SLICES} slices"
        else:
            reason = "another one was chosen"
        sentences.append(f"Series {series} was left out: {reason}.")
    if scan.unreadable:
        sentences.append(left_out_sentence(scan.unreadable))
    return sentences
