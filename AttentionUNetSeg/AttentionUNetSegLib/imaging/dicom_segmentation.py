"""The segments of a DICOM SEG object on their own grid.

Source: DICOM PS3.3, A.51 (Segmentation IOD), C.8.20 (Segmentation Series and Image), C.7.6.16 (functional groups).
Frames may come in any sequence, and frames without a voxel may be missing.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from ..errors import BadInput
from .check import check_geometry
from .dicom_file import open_header, stored_frames
from .dicom_header import items, number, numbers, text
from .geometry import Geometry, grid_of_steps, image_on_grid
from .plain_name import printable_name
from .voxel_data import MOST_VOXELS

Codes = tuple[tuple[str, str, str], tuple[str, str, str]]

# No frame may lie further than this share of a step from where the grid has it.
TOLERANCE = 0.05
TAGS = [
    "Modality", "SegmentationType", "SegmentSequence", "MaximumFractionalValue", "Rows", "Columns", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
# Some tens of thousands of frames; a deflated file that unpacks to more is not unpacked further.
LONGEST_HEADER = 2**27


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
) -> tuple[list[DicomSegment], Callable[[int], tuple[sitk.Image, bool]], Callable[[], dict[int, float]]]:
    """Return the segments of a file, what makes of a segment's number its image, and what measures all segments.

    A mask is uint8, 0 or 1; fractions are float32, 0 to 1 (LPS, mm); beside it stands whether it has fractions. Pixels
    are decoded as those of a CT are, anew by each call: the file must still be there.

    The volumes, in mL by a segment's number, are of what has at least half of the fraction that is the whole. A segment
    that has two frames at one place is not among them.

    Raises
    ------
    BadInput
        The file is damaged, no segmentation, or its frames form no regular grid.
    """
    name = printable_name(path)
    try:
        header = open_header(path, TAGS, LONGEST_HEADER)
    except Exception as error:  # pydicom raises anything on damaged files
        raise BadInput(
            f"{name} is a damaged DICOM file ({type(error).__name__}).", "Copy or export it again."
        ) from error
    if header is None:
        raise BadInput(f"{name} is no DICOM file.", "Give a DICOM SEG file.")
    modality = text(header, "Modality")
    found = items(header, "SegmentSequence")
    if modality != "SEG" or not found:
        kind = f"a DICOM {modality} object" if modality not in ("", "SEG") else "a DICOM object without segments"
        raise BadInput(f"{name} is {kind}, no segmentation.", "Give a DICOM SEG file.")
    numbers_of = [value for item in found if (value := number(item, "SegmentNumber")) is not None]
    if len(numbers_of) < len(found):
        raise BadInput(f"{name} is damaged: a segment of it has no number.", "Export it again.")
    segments = [
        DicomSegment(
            int(value),
            text(item, "SegmentLabel"),
            (text(item, "SegmentAlgorithmType"), text(item, "SegmentAlgorithmName")),
            _codes(item),
        )
        for value, item in zip(numbers_of, found, strict=True)
    ]

    def take(wanted: int) -> tuple[sitk.Image, bool]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _image_of(header, wanted, path)

    def measure() -> dict[int, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _volumes_of(header, [one.number for one in segments], path)

    return segments, take, measure


def _codes(item: pydicom.Dataset) -> Codes | None:
    found = []
    for keyword in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
        codes = items(item, keyword)
        if not codes:
            return None
        scheme, value, meaning = (text(codes[0], key) for key in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))
        found.append((scheme, value, meaning))
    return found[0], found[1]


def _image_of(header: pydicom.Dataset, wanted: int, path: Path) -> tuple[sitk.Image, bool]:
    kind = text(header, "SegmentationType") or "BINARY"
    frames = _Frames(header, printable_name(path))
    index, grid = frames.places()
    of_segment = list(range(len(frames.groups)))
    if kind != "LABELMAP":
        of_segment = [n for n in of_segment if frames.segment(n) == wanted]
    volume = np.zeros(grid.size[::-1], np.float32 if kind == "FRACTIONAL" else np.uint8)
    for n, pixels in _pixels(path, of_segment, grid):
        here = volume[index[n]]
        np.maximum(here, pixels == wanted if kind == "LABELMAP" else pixels, out=here, casting="unsafe")
    if kind == "FRACTIONAL":
        volume /= np.float32(_whole(header))
    return image_on_grid(volume, grid), kind == "FRACTIONAL"


def _volumes_of(header: pydicom.Dataset, wanted: Sequence[int], path: Path) -> dict[int, float]:
    kind = text(header, "SegmentationType") or "BINARY"
    frames = _Frames(header, printable_name(path))
    index, grid = frames.places()
    all_frames = range(len(frames.groups))
    owners = [0] * len(frames.groups) if kind == "LABELMAP" else [frames.segment(n) for n in all_frames]
    twice = {owner for (owner, _), count in Counter(zip(owners, index, strict=True)).items() if count > 1}
    least = _whole(header) / 2 if kind == "FRACTIONAL" else 1
    counts = dict.fromkeys(wanted, 0)
    for n, pixels in _pixels(path, [n for n in all_frames if owners[n] not in twice], grid):
        if kind == "LABELMAP":
            values, several = np.unique(pixels, return_counts=True)
            found = dict(zip(values.tolist(), several.tolist(), strict=True))
        else:
            found = {owners[n]: int(np.count_nonzero(pixels >= least))}
        for value in found.keys() & counts.keys():
            counts[value] += found[value]
    voxel_ml = math.prod(grid.spacing) / 1000.0
    known = () if kind == "LABELMAP" and twice else (value for value in wanted if value not in twice)
    return {value: counts[value] * voxel_ml for value in known}


def _whole(header: pydicom.Dataset) -> float:
    """The stored value of the fraction 1."""
    return number(header, "MaximumFractionalValue") or 255.0


def _pixels(path: Path, wanted: Sequence[int], grid: Geometry) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames, in ascending order, with their numbers; raises BadInput where they cannot be read."""
    try:
        for n, pixels in zip(wanted, stored_frames(path, wanted) if wanted else (), strict=True):
            if pixels.shape != grid.size[1::-1]:
                raise ValueError("a frame has another size than its header says")
            yield n, pixels
    except ValueError as error:
        raise BadInput(f"{printable_name(path)} cannot be read: {error}.", "Copy or export it again.") from error


class _Frames:
    """Where the frames of a segmentation lie. All methods raise BadInput where the header does not say it."""

    def __init__(self, header: pydicom.Dataset, name: str) -> None:
        self.name = name
        self.groups = items(header, "PerFrameFunctionalGroupsSequence")
        self._shared = (items(header, "SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
        self._size = tuple(int(number(header, keyword) or 0) for keyword in ("Columns", "Rows"))
        told = number(header, "NumberOfFrames") or 1
        if not self.groups or len(self.groups) != told or min(self._size) < 1:
            raise BadInput(
                f"{name} is damaged: it has {told:g} frames of {self._size[0]} x {self._size[1]} pixels, and says of "
                f"{len(self.groups)} where they lie.",
                "Export it again.",
            )

    def segment(self, n: int) -> int:
        """The number of the segment that a frame shows."""
        return int(self._numbers(n, "SegmentIdentificationSequence", "ReferencedSegmentNumber", 1)[0])

    def places(self) -> tuple[np.ndarray, Geometry]:
        """Which slice of the grid each frame is, and the grid."""
        count = len(self.groups)
        orientations = np.array(
            [self._numbers(n, "PlaneOrientationSequence", "ImageOrientationPatient", 6) for n in range(count)]
        )
        positions = np.array(
            [self._numbers(n, "PlanePositionSequence", "ImagePositionPatient", 3) for n in range(count)]
        )
        rows_mm, columns_mm = self._numbers(0, "PixelMeasuresSequence", "PixelSpacing", 2)
        row, column = orientations[0, :3], orientations[0, 3:]
        square = np.array([row @ row, column @ column, row @ column]) - [1, 1, 0]
        if np.abs(orientations - orientations[0]).max() > TOLERANCE or np.abs(square).max() > TOLERANCE:
            raise self._no_grid()
        normal = np.cross(row, column)
        along = positions @ normal
        step = _step(along, self._group(0, "PixelMeasuresSequence"))
        at = (along - along.min()) / step
        index = np.rint(at).astype(int)
        first = positions[along.argmin()]
        off = positions - first - np.outer(along - along.min(), normal)
        if np.abs(at - index).max() > TOLERANCE or np.abs(off).max() > TOLERANCE * step:
            raise self._no_grid()
        size = (*self._size, int(index.max()) + 1)
        if math.prod(size) > MOST_VOXELS:
            voxels = " x ".join(map(str, size))
            raise BadInput(f"{self.name} is larger than any CT: {voxels} voxels.", "Export it again.")
        grid, _ = grid_of_steps(
            np.stack([row * columns_mm, column * rows_mm, normal * step], axis=1), first, size, self.name
        )
        check_geometry(grid)
        return index, grid

    def _no_grid(self) -> BadInput:
        return BadInput(f"The frames of {self.name} form no regular grid.", "Export it as a label map.")

    def _group(self, n: int, group: str) -> pydicom.Dataset:
        """A functional group's first item, of a frame or of all frames together."""
        for where in (self.groups[n], self._shared):
            if found := items(where, group):
                return found[0]
        raise BadInput(f"{self.name} is damaged: a frame of it has no {group}.", "Export it again.")

    def _numbers(self, n: int, group: str, keyword: str, count: int) -> tuple[float, ...]:
        values = numbers(self._group(n, group), keyword)
        if len(values) != count:
            raise BadInput(f"{self.name} is damaged: a frame of it has no usable {keyword}.", "Export it again.")
        return values


def _step(along: np.ndarray, measures: pydicom.Dataset) -> float:
    """Return the distance of neighbouring slices in mm."""
    apart = np.diff(np.unique(np.round(along, 3)))
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        told = abs(number(measures, keyword) or 0.0)
        if told and (not len(apart) or np.abs(apart / told - np.rint(apart / told)).max() < TOLERANCE):
            return told
    return float(apart.min()) if len(apart) else 1.0
