"""A few images of a series that cannot belong to its stack: another size, pixel spacing, orientation or line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .check import FEWEST_SLICES
from .dicom_header import DicomFrame
from .dicom_slices import POSITION_TOLERANCE_MM, SlicePlane

# More images than this part of a series are no accident: what they are is for a person to say.
_LARGEST_SHARE = 0.2


def without_outliers(frames: Sequence[DicomFrame]) -> tuple[list[DicomFrame], list[tuple[Path, str]]]:
    """Return the images that agree with the great majority, and the files of the others, each with the reason.

    One file with a wrong value in its header (or a screenshot, or a localizer that does not say so) must not stop the
    series. Where there is no great majority, nothing is left out.
    """
    kept, reasons = list(frames), []
    for what, value in _KINDS.items():
        groups = defaultdict(list)
        for frame in kept:
            groups[value(frame.plane)].append(frame)
        if len(groups) < 2:
            continue
        usual = max(groups, key=lambda each: len(groups[each]))
        others = [frame for value, group in groups.items() if value != usual for frame in group]
        if _are_few(len(others), len(kept)):
            kept = groups[usual]
            reasons += [(frame.path, f"{what} of its slice is not that of the others") for frame in others]
    aside = _aside(kept)
    if aside and _are_few(len(aside), len(kept)):
        reasons += [(kept[number].path, "its slice does not lie in one line with the others") for number in aside]
        kept = [frame for number, frame in enumerate(kept) if number not in aside]
    return kept, reasons


_KINDS: dict[str, Callable[[SlicePlane], tuple[float, ...]]] = {
    "the size": lambda plane: plane.shape,
    "the pixel spacing": lambda plane: tuple(round(each, 3) for each in plane.pixel_spacing),
    "the orientation": lambda plane: tuple(round(each, 1) for each in plane.orientation),
}


def _are_few(others: int, of: int) -> bool:
    return others < FEWEST_SLICES <= of - others and others <= _LARGEST_SHARE * of


def _aside(frames: Sequence[DicomFrame]) -> set[int]:
    """Which images lie beside the line (slanted for a tilted gantry) on which the others have their first pixels."""
    if len(frames) < FEWEST_SLICES:
        return set()
    orientation = np.median([frame.plane.orientation for frame in frames], axis=0)
    positions = np.array([frame.plane.position for frame in frames])
    in_plane = np.column_stack([positions @ orientation[:3], positions @ orientation[3:]])
    heights = positions @ np.cross(orientation[:3], orientation[3:])
    # Medians of the lower and the upper third: a few wrong positions do not bend the line.
    order, third = np.argsort(heights), len(frames) // 3
    low, high = order[:third], order[-third:]
    rise = np.median(heights[high]) - np.median(heights[low])
    run = np.median(in_plane[high], axis=0) - np.median(in_plane[low], axis=0)
    straightened = in_plane - np.outer(heights, run / rise if rise > 0 else run * 0)
    off = np.abs(straightened - np.median(straightened, axis=0)).max(axis=1) > 2 * POSITION_TOLERANCE_MM
    return set(np.flatnonzero(off).tolist())


def usual_modality(modalities: Sequence[str]) -> str:
    """Return the modality that most files of a series name."""
    return Counter(modalities).most_common(1)[0][0] if modalities else ""
