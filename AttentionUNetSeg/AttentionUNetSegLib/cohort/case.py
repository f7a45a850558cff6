"""One case of a cohort: a series, its name, and what its table said of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import BadInput

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Case:
    """One CT to segment.

    Attributes
    ----------
    id : unique in the cohort.
    path : image file or DICOM folder, absolute.
    series : UID or number, for a DICOM folder that holds several; None otherwise.
    columns : what else the table, or a series' files, said of it, carried through to the result's table.
    """

    id: str
    path: str
    series: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        """The name of the case's folder: the id where it is a good name, otherwise like it and unique all the same."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", self.id).strip("_-")[:_LONGEST_NAME]
        if plain == self.id:
            return plain
        return f"{plain or 'case'}-{hashlib.sha256(_bytes(self.id)).hexdigest()[:8]}"


def require_unique(cases: Sequence[Case]) -> None:
    """Raise BadInput where two cases share an id, or names that a file system may take for one."""
    seen: dict[str, str] = {}
    for case in cases:
        name = case.folder_name.lower()
        if name in seen:
            raise BadInput(
                f"Two cases of the cohort are called alike: {seen[name]} and {case.id}.",
                "Give each case an id of its own.",
            )
        seen[name] = case.id


def part_of(cases: Sequence[Case], part: str | None) -> list[Case]:
    """Return the cases of part "I/N" (I from 1 to N), for array jobs; all where `part` is None.

    A case's part depends on its id alone, so that cases that come or go later move no others.

    Raises
    ------
    BadInput : `part` is not of this form.
    """
    if part is None:
        return list(cases)
    number, count = read_part(part)
    return [case for case in cases if int(hashlib.sha256(_bytes(case.id)).hexdigest(), 16) % count == number - 1]


def read_part(part: str) -> tuple[int, int]:
    """Return I and N of "I/N"; raises BadInput where it is none."""
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise BadInput(f"{part!r} is no part such as 2/8, the second of eight.")
    return int(match[1]), int(match[2])


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")  # a file's name need not be Unicode
