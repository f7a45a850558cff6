"""Several images at one place of a series: identical ones are dropped, different ones make parts to choose from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

from .dicom_file import stored_frames
from .dicom_header import OWNER_TAGS, PART_TAGS, DicomFrame

_FEW_PLACES = 8
SEVERAL_AT_A_PLACE = "several images at one place"
SEVERAL_OWNERS = "images of several patients, studies or frames of reference"


@dataclass(frozen=True)
class Part:
    """Images of one series at most one of which lies at a place.

    Attributes
    ----------
    name : str
        Tells it from the others, "" if it is all.
    frames : tuple[DicomFrame, ...]
        Its images.
    why : str
        Why the series has parts.
    shared : int
        How many of its images belong to another part too, because there is no other at their place.
    """

    name: str
    frames: tuple[DicomFrame, ...]
    why: str = SEVERAL_AT_A_PLACE
    shared: int = 0


def parts_of(frames: Sequence[DicomFrame]) -> tuple[list[Part], int]:
    """Return the parts of a series, and how many images were left out because another is the same.

    The same are images at the same place whose values are the same, whatever their UIDs say: a UID given twice by a bad
    anonymisation does not make two slices one. Parts are told apart by acquisition, time, kernel and the like, or else
    by the order of the images at each place. Images of several patients, studies or frames of reference are never of
    one part, wherever they lie.
    """
    parts, count = [], 0
    owned = _by_owner(frames)
    for owner, group in owned:
        kept = _without_doubles(group)
        count += len(kept)
        for part in _split(kept):
            name = ", ".join(filter(None, (owner, part.name)))
            parts.append(replace(part, name=name, why=SEVERAL_OWNERS if len(owned) > 1 else part.why))
    return parts, len(frames) - count


def _by_owner(frames: Sequence[DicomFrame]) -> list[tuple[str, list[DicomFrame]]]:
    """Return the images of each patient, study and frame of reference, with a name where there are several."""
    values = {tag: {frame.owners.get(tag, "") for frame in frames} for tag in OWNER_TAGS}
    # A tag that is missing in some, or another in nearly every slice, is the mistake of whoever took names away.
    telling = [tag for tag in OWNER_TAGS if "" not in values[tag] and 1 < len(values[tag]) <= len(frames) // 4 + 1]
    groups = _grouped(frames, lambda frame: tuple(frame.owners[tag] for tag in telling))
    # The first that tells all of them apart is enough of a name.
    named = [at for at in range(len(telling)) if len({value[at] for value in groups}) == len(groups)][:1]
    return [
        (", ".join(f"{OWNER_TAGS[telling[at]]} {value[at]}" for at in named or range(len(telling))), group)
        for value, group in sorted(groups.items())
    ]


def _without_doubles(frames: Sequence[DicomFrame]) -> list[DicomFrame]:
    doubles = set()
    groups = [group for group in _grouped(frames, _place).values() if len(group) > 1]
    if len(groups) > _FEW_PLACES:  # phases: comparing all of their values would take as long as reading them
        groups = list(_grouped(frames, lambda frame: (_place(frame), tuple(frame.parts.values()))).values())
    for same_place in groups:
        seen = set()
        for frame in same_place if len(same_place) > 1 else ():
            content = _content(frame)
            if content in seen:
                doubles.add((frame.path, frame.number))
            seen.add(content)
    return [frame for frame in frames if (frame.path, frame.number) not in doubles]


def _values_of(tags: tuple[str, ...], frame: DicomFrame) -> tuple[str, ...]:
    return tuple(frame.parts.get(tag, "") for tag in tags)


def _split(frames: list[DicomFrame]) -> list[Part]:
    if _is_single(frames):
        return [Part("", tuple(frames))]
    differing = [tag for tag in PART_TAGS if len({frame.parts.get(tag, "") for frame in frames}) > 1]
    for count in range(1, 3):
        for tags in combinations(differing, count):
            groups = _grouped(frames, partial(_values_of, tags))
            # Where a tag differs from slice to slice, it makes as many groups as there are slices.
            if len(groups) <= len(frames) // 4 + 1 and all(map(_is_single, groups.values())):
                return [
                    Part(_name(tags, values), tuple(group)) for values, group in sorted(groups.items(), key=_by_value)
                ]
    return _by_order(frames)


def _by_order(frames: list[DicomFrame]) -> list[Part]:
    """The first image of every place, the second, ...; a place with fewer images gives its last to all others."""
    in_order = sorted(frames, key=lambda frame: (frame.parts.get("AcquisitionTime", ""), frame.instance, frame.path))
    places = list(_grouped(in_order, _place).values())
    most = max(map(len, places))
    return [
        Part(
            f"image {n + 1} of {most} at each place",
            tuple(place[min(n, len(place) - 1)] for place in places),
            shared=sum(len(place) <= n for place in places),
        )
        for n in range(most)
    ]


def _name(tags: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{PART_TAGS[tag]} {value or 'unnamed'}" for tag, value in zip(tags, values, strict=True))


def _is_single(frames: Iterable[DicomFrame]) -> bool:
    places = [_place(frame) for frame in frames]
    return len(places) == len(set(places))


def _place(frame: DicomFrame) -> tuple[Any, ...]:
    plane = frame.plane
    return tuple(round(x, 2) for x in plane.position), tuple(round(x, 3) for x in plane.orientation), plane.shape


def _content(frame: DicomFrame) -> tuple[Any, ...]:
    """What makes two images the same; a file that cannot be read is like no other."""
    try:
        values = next(stored_frames(frame.path, [frame.number]))
    except ValueError:
        return (frame.path, frame.number)
    return frame.slope, frame.intercept, values.dtype.kind, hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()


def _grouped(
    frames: Iterable[DicomFrame], key: Callable[[DicomFrame], tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[DicomFrame]]:
    groups = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return groups


def _by_value(entry: tuple[tuple[str, ...], list[DicomFrame]]) -> list[tuple[Any, ...]]:
    """Numbers by their size, before other text."""

    def key(value: str) -> tuple[Any, ...]:
        try:
            return (0, float(value), "")
        except ValueError:
            return (1, 0.0, value)

    return [key(value) for value in entry[0]]
