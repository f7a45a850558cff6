"""The cases of a cohort: in a folder, in a CSV file, or in a list."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import BadInput
from ..imaging import list_dicom_series
from ..imaging.dicom_file import is_dicom_file
from ..imaging.image_file import CT_ENDINGS, name_without_ending
from .case import Case, require_unique

SEGMENTATIONS = ".seg.nrrd"
PATH, ID, SERIES = "path", "id", "series"


def find_cases(source: str, listed: Iterable[str] = (), leave_out: Path | None = None) -> list[Case]:
    """Return the cases of a cohort, in a fixed order.

    Parameters
    ----------
    source : a folder, searched with its subfolders for image files and DICOM series; a CSV file with the column `path`
        (relative to the file) and, where wanted, `id` and `series`, other columns are carried through; or "-".
    listed : for "-": one path a line, each an image file or a folder that is searched.
    leave_out : folder that is not searched: the one for the results.

    Raises
    ------
    BadInput : there is no such folder or file, it holds no case, the CSV file cannot be used, or two cases have one id.
    """
    if source == "-":
        paths = [line.strip() for line in listed if line.strip()]
        cases = [case for path in paths for case in _in_path(Path(path).absolute(), leave_out)]
    else:
        path = Path(os.path.abspath(source))
        if path.is_file() and path.suffix.lower() == ".csv":
            cases = list(_in_table(path))
        else:
            cases = list(_in_path(path, leave_out))
    if not cases:
        raise BadInput(f"There is no CT in {'the list' if source == '-' else source}.")
    cases = list(_with_unique_ids(cases)) if source == "-" else cases
    require_unique(cases)
    return cases


def _in_path(path: Path, leave_out: Path | None) -> Iterator[Case]:
    if path.is_dir():
        yield from sorted(_in_folder(path, leave_out), key=lambda case: case.id)
    else:  # a file that does not exist is a case too: a row with the reason
        yield Case(name_without_ending(path), str(path))


def _in_folder(folder: Path, leave_out: Path | None) -> Iterator[Case]:
    taken: set[str] = set()
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (leave_out is None or here / name != leave_out)
        )
        dicom = False
        for name in sorted(names):
            path = here / name
            if name.lower().endswith(SEGMENTATIONS):  # no CT, and often beside one
                continue
            if name.lower().endswith(CT_ENDINGS):
                yield _image_case(path, folder, taken)
            elif not name.startswith(".") and not dicom:
                dicom = is_dicom_file(path)
        if dicom:
            yield from _dicom_cases(here, folder)
            folders[:] = []  # the series of what lies below were listed with it


def _image_case(path: Path, root: Path, taken: set[str]) -> Case:
    inside = path.relative_to(root)
    name = (inside.parent / name_without_ending(path)).as_posix()
    name = inside.as_posix() if name in taken else name  # ct.nii beside ct.nrrd
    taken.add(name)
    return Case(name, str(path))


def _dicom_cases(folder: Path, root: Path) -> Iterator[Case]:
    """Every series of a DICOM folder, with its subfolders; those without images too, for a row with the reason."""
    series = list_dicom_series(folder)
    for each in series:
        parents = {file.parent for file in each.files} or {folder}
        place = Path(os.path.commonpath([str(parent) for parent in parents]))
        inside = place.relative_to(root).as_posix()
        name = root.name if inside == "." else inside
        number = "" if each.number is None else str(each.number)
        # What a person knows a series by; the UID alone tells nobody which it is.
        known = {"series_number": number, "series_description": each.description}
        if each.differs_by:
            known["series_differs_by"] = each.differs_by
        yield Case(name if len(series) == 1 else f"{name}/{each.uid}", str(place), each.uid, known)


def _in_table(path: Path) -> Iterator[Case]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            rows = list(table)
            names = [name or "" for name in table.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"The table {path} cannot be read ({error}).") from None
    if PATH not in names:
        raise BadInput(f"The table {path} has no column {PATH!r}.", f"Its columns are: {', '.join(names) or 'none'}.")
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise BadInput(f"Line {number} of {path} has more cells than the table has columns.")
        given = (row[PATH] or "").strip()
        if not given:
            raise BadInput(f"Line {number} of {path} has no path.")
        place = Path(os.path.normpath(path.parent / given))
        series = (row.get(SERIES) or "").strip() or None
        name = (row.get(ID) or "").strip() or "/".join(filter(None, (name_without_ending(Path(given)), series)))
        others = {key: value or "" for key, value in row.items() if key not in (PATH, ID, SERIES)}
        yield Case(name, str(place), series, others)


def _with_unique_ids(cases: list[Case]) -> Iterator[Case]:
    """Names of listed files need not be unique; where they are not, the paths are the ids."""
    names = [case.id for case in cases]
    for case in cases:
        yield case if names.count(case.id) == 1 else _named_by_path(case)


def _named_by_path(case: Case) -> Case:
    return Case("/".join(filter(None, (Path(case.path).as_posix(), case.series))), case.path, case.series)
