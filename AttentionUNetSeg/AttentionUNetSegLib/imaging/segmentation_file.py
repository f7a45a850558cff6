"""Segmentations and probabilities that other tools wrote: label maps, Slicer's .seg.nrrd, DICOM SEG.

read_segment(Path("totalsegmentator.nii.gz"), "7")
read_segment(Path("case.seg.nrrd"), "Pancreas")
read_probability(Path("softmax_pancreas.nii.gz"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from .dicom_file import is_dicom_file
from .image_file import name_without_ending, read_image_file
from .nifti_labels import label_names
from .plain_name import printable, printable_name
from .voxel_data import require_regular_file

if TYPE_CHECKING:
    from .dicom_segmentation import Codes

PREFERRED = "pancreas"
# Asks for all segments of a file as one.
EVERY = "*"
# The field of a header that says that there are segments, and in which layers.
LISTED = "Segment0_LabelValue"
SHOWN = 12
# Labels are counted by their value where these lie no further apart.
_MOST_COUNTED = 2**16


@dataclass(frozen=True)
class StoredSegment:
    """One segment, or one probability, of a file.

    Attributes
    ----------
    image : sitk.Image
        3D, LPS, on the file's own grid. A mask: uint8, 0 or 1. A probability: float32, 0 to 1.
    is_probability : bool
        Whether it is one.
    name : str
        The segment's name, or the file's.
    color : tuple[float, float, float] | None
        0..1 per channel, where the file gives one.
    terminology : str | None
        Slicer's serialized entry, where the file gives one.
    codes : Codes | None
        DICOM's category and type, each as (scheme, value, meaning), where the file gives them.
    algorithm : tuple[str, str]
        DICOM's algorithm type and name, "" where the file says nothing.
    warnings : tuple[str, ...]
        One sentence each.
    """

    image: sitk.Image
    is_probability: bool
    name: str
    color: tuple[float, float, float] | None = None
    terminology: str | None = None
    codes: Codes | None = None
    algorithm: tuple[str, str] = ("", "")
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedSegment:
    """A segment of a file before its voxels are taken out.

    Attributes
    ----------
    value : int
        Its label value, or its number in a DICOM SEG.
    name : str
        "" where the file gives none.
    layer : int
        Which of the values of each voxel counts.
    color, terminology, codes, algorithm
        As of `StoredSegment`.
    volume_ml : float | None
        None where that is not known before its voxels are read.
    """

    value: int
    name: str
    layer: int = 0
    color: tuple[float, float, float] | None = None
    terminology: str | None = None
    codes: Codes | None = None
    algorithm: tuple[str, str] = ("", "")
    volume_ml: float | None = None

    @property
    def title(self) -> str:
        """What to choose it by: its name, or else its label value, and its volume where that is known."""
        volume = "" if self.volume_ml is None else f" ({self.volume_ml:.1f} mL)"
        return f"{self.name or f'Label {self.value}'}{volume}"


@dataclass(frozen=True)
class SegmentationFile:
    """A segmentation file whose segments are known and whose voxels are taken out one segment at a time.

    Attributes
    ----------
    segments : tuple[ListedSegment, ...]
        What it holds.
    name : str
        Of the file, for people.
    """

    segments: tuple[ListedSegment, ...]
    name: str
    _take: Callable[[ListedSegment | None], StoredSegment]
    _measure: Callable[[], Mapping[int, float]] = dict

    def measured(self) -> SegmentationFile:
        """Return the same with the volumes known; those of a DICOM SEG cost reading all of its pixels."""
        if all(one.volume_ml is not None for one in self.segments):
            return self
        volumes = self._measure()
        return replace(self, segments=tuple(replace(one, volume_ml=volumes.get(one.value)) for one in self.segments))

    def take(self, index: int | None) -> StoredSegment:
        """Return the segment at a place in `segments`; None: all of them as one."""
        return self._take(None if index is None else self.segments[index])

    def choose(self, wanted: str | None) -> StoredSegment:
        """Return the segment that is asked for as in `read_segment`; raises BadInput likewise."""
        if wanted == EVERY and self.segments:
            return self.take(None)
        return self._take(_chosen(self.segments, wanted, self.name, lambda: self.measured().segments))


def read_segment(path: Path, wanted: str | None = None) -> StoredSegment:
    """Read one segment of a segmentation file as a mask on the file's own grid.

    A fractional DICOM SEG comes as a probability.

    Parameters
    ----------
    path : Path
        A DICOM SEG, a segmentation NRRD (``.seg.nrrd``) or a label map.
    wanted : str | None
        The segment's name or label value; `EVERY` for all of them together. None: the only one, or the one that is
        named "pancreas".

    Raises
    ------
    BadInput
        There is no such file, it is no segmentation, it holds no such segment, or several and none was named.
    """
    return open_segmentation(path).choose(wanted)


def open_segmentation(path: Path) -> SegmentationFile:
    """Read a segmentation file and say what it holds; raises BadInput where there is none, or it is no segmentation."""
    name = _existing(path)
    return _open_dicom(path, name) if is_dicom_file(path) else _open_label_map(path, name)


def _open_dicom(path: Path, name: str) -> SegmentationFile:
    from .dicom_segmentation import read_dicom_segments

    segments, image_of, measure = read_dicom_segments(path)
    listed = [ListedSegment(one.number, one.label, codes=one.codes, algorithm=one.algorithm) for one in segments]

    def take(one: ListedSegment | None) -> StoredSegment:
        if one is None:
            images = [image_of(each.value)[0] for each in listed]
            return StoredSegment(_joined(images, images[0]), False, name_without_ending(path))
        image, is_probability = image_of(one.value)
        title = one.name or name_without_ending(path)
        return StoredSegment(image, is_probability, title, codes=one.codes, algorithm=one.algorithm)

    return SegmentationFile(tuple(listed), name, take, measure)


def _open_label_map(path: Path, name: str) -> SegmentationFile:
    image, header, warnings = _read(path)
    voxels = _labels(image, name)
    layers = np.moveaxis(voxels, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else voxels[None]
    counts = [_counts(layer) for layer in layers]
    voxel_ml = math.prod(image.GetSpacing()) / 1000.0
    listed = [
        replace(one, volume_ml=counts[one.layer].get(one.value, 0) * voxel_ml)
        for one in _of_header(header, len(layers), name) or _of_values(counts[0], label_names(path))
    ]

    def take(one: ListedSegment | None) -> StoredSegment:
        if one is None:
            return StoredSegment(_joined([image], image), False, name_without_ending(path), warnings=tuple(warnings))
        mask = sitk.GetImageFromArray((layers[one.layer] == one.value).astype(np.uint8))
        mask.CopyInformation(image)
        title = one.name or name_without_ending(path)
        return StoredSegment(
            mask, False, title, one.color, one.terminology, algorithm=one.algorithm, warnings=tuple(warnings)
        )

    return SegmentationFile(tuple(listed), name, take)


def _joined(images: list[sitk.Image], grid: sitk.Image) -> sitk.Image:
    """Return where any of the images, on one grid, has any value above 0 in any of its components."""
    found = [sitk.GetArrayViewFromImage(image) != 0 for image in images]
    found = [each.any(axis=-1) if each.ndim == 4 else each for each in found]
    mask = sitk.GetImageFromArray(np.any(found, axis=0).astype(np.uint8))
    mask.CopyInformation(grid)
    return mask


def read_probability(path: Path) -> StoredSegment:
    """Read a probability on its own grid: values of 0 to 1, or integers of 0 to 255 as this package writes them.

    Raises
    ------
    BadInput
        There is no such file, it is no volume, or its values are of neither range.
    """
    name = _existing(path)
    if is_dicom_file(path):
        stored = read_segment(path)
        if stored.is_probability:
            return stored
        raise BadInput(f"{name} is a DICOM segmentation without fractions, no probability.", "Take it as a mask.")
    image, _, warnings = _read(path)
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise BadInput(f"{name} holds several values per voxel.", "Give the probability of one structure.")
    probability = probability_of(image, name)
    return StoredSegment(probability, True, name_without_ending(path), warnings=tuple(warnings))


def _existing(path: Path) -> str:
    """Return the printable name of a file; raises BadInput where there is none."""
    if not path.exists():
        raise BadInput(f"There is no file {printable(str(path))}.")
    require_regular_file(path)
    return printable_name(path)


def probability_of(image: sitk.Image, name: str) -> sitk.Image:
    """Return an image of fractions, float32, of one of fractions (0 to 1) or of stored integers (0 to 255).

    Parameters
    ----------
    image : sitk.Image
        3D; it is not changed.
    name : str
        Its name, for sentences.

    Raises
    ------
    BadInput
        The values are of neither range; `name` is named.
    """
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values).all():
        raise BadInput(f"{name} holds values that are no numbers (NaN or infinity).", "Export it again.")
    lowest, highest = float(values.min()), float(values.max())
    is_fraction = values.dtype.kind == "f" and lowest >= -1e-6 and highest <= 1.0 + 1e-6
    is_stored = values.dtype.kind in "ui" and lowest >= 0 and 1 < highest <= 255
    if not is_fraction and not is_stored:
        raise BadInput(
            f"{name} holds values of {lowest:g} to {highest:g}: no probability, which has fractions of 0 to 1 or "
            "integers of 0 to 255.",
            "Take it as a segmentation, if it is one.",
        )
    fractions = np.clip(values, 0, 1) if is_fraction else values / np.float32(255)
    probability = sitk.GetImageFromArray(fractions.astype(np.float32))
    probability.CopyInformation(image)
    return probability


def label_of(image: sitk.Image, name: str, label: int | None) -> sitk.Image:
    """Return the mask, uint8 0 or 1, of one label of an image; None: its only one.

    Parameters
    ----------
    image : sitk.Image
        3D label map; it is not changed.
    name : str
        Its name, for sentences.
    label : int | None
        The label's value; None: the only one there is.

    Raises
    ------
    BadInput
        There is no such label, or there are several; `name` is named.
    """
    voxels = _labels(image, name)
    listed = _of_values(_counts(voxels), {})
    chosen = _chosen(listed, None if label is None else str(label), name)
    mask = sitk.GetImageFromArray((voxels == chosen.value).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def _of_values(values: Iterable[int], names: Mapping[int, str]) -> list[ListedSegment]:
    return [ListedSegment(value, names.get(value, "")) for value in values]


def _counts(labels: np.ndarray) -> dict[int, int]:
    """Return how many voxels there are of each label but 0, by ascending label."""
    lowest, highest = int(labels.min()), int(labels.max())
    if highest - lowest < _MOST_COUNTED:
        counts = np.zeros(highest - lowest + 1, np.int64)
        for part in labels:  # slice by slice, in little memory; sorting all voxels takes seconds
            counts += np.bincount(part.ravel().astype(np.int64) - lowest, minlength=len(counts))
        found = {lowest + int(n): int(counts[n]) for n in np.flatnonzero(counts)}
    else:
        values, several = np.unique(labels, return_counts=True)
        found = dict(zip(map(int, values), map(int, several), strict=True))
    return {value: count for value, count in found.items() if value != 0}


def _labels(image: sitk.Image, name: str) -> np.ndarray:
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f":
        if not np.isfinite(voxels).all():
            raise BadInput(f"{name} holds values that are no numbers (NaN or infinity).", "Export it again.")
        if not np.array_equal(voxels, np.rint(voxels)):
            raise BadInput(
                f"{name} holds fractions, so it is no segmentation.", "Say that it is a probability, if it is one."
            )
        if np.abs(voxels).max() > 2**24:
            raise BadInput(f"{name} holds values that are no label values.")
    return voxels


def _read(path: Path) -> tuple[sitk.Image, dict[str, str], list[str]]:
    """Return a 3D image, its header and warnings about its geometry; guarded as a CT is, but of any size."""
    name = printable_name(path)

    def check(size: tuple[int, ...], components: int, fields: Mapping[str, str]) -> None:
        if len(size) < 3 or any(n > 1 for n in size[3:]) or min(size) < 1:
            raise BadInput(f"{name} is not three-dimensional.", "Give one volume.")
        if components > 1 and LISTED not in fields:
            raise BadInput(
                f"{name} holds {components} values per voxel, and its header does not say what they are.",
                "Give a label map, a probability of one structure, a .seg.nrrd or a DICOM SEG.",
            )

    image, warnings = read_image_file(path, check=check)
    return image, {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}, warnings


def _of_header(header: dict[str, str], layers: int, name: str) -> list[ListedSegment]:
    """Return the segments that the header of a .seg.nrrd lists; raises BadInput where it makes no sense."""
    found: list[ListedSegment] = []
    while f"Segment{len(found)}_LabelValue" in header:
        found.append(_of_fields(header, f"Segment{len(found)}_", layers, name))
    return found


def _of_fields(header: dict[str, str], prefix: str, layers: int, name: str) -> ListedSegment:
    tags = dict(tag.split(":", 1) for tag in header.get(prefix + "Tags", "").split("|") if ":" in tag)
    try:
        value, layer = int(header[prefix + "LabelValue"]), int(header.get(prefix + "Layer", 0))
    except ValueError:
        value, layer = 0, -1
    if not 0 <= layer < layers:
        raise BadInput(
            f"{name} is damaged: of {prefix[:-1]} its header gives no label value, or a layer that is not there.",
            "Save it again.",
        )
    try:
        color = tuple(min(1.0, max(0.0, float(part))) for part in header.get(prefix + "Color", "").split())
    except ValueError:
        color = ()
    return ListedSegment(
        value,
        header.get(prefix + "Name", ""),
        layer,
        color if len(color) == 3 and all(map(math.isfinite, color)) else None,
        tags.get("TerminologyEntry") or tags.get("Segmentation.TerminologyEntry"),
        None,
        (tags.get("DICOM.SegmentAlgorithmType", ""), tags.get("DICOM.SegmentAlgorithmName", "")),
    )


def _chosen(
    listed: Sequence[ListedSegment],
    wanted: str | None,
    name: str,
    measured: Callable[[], Sequence[ListedSegment]] | None = None,
) -> ListedSegment:
    """Return the segment that is asked for; `measured` gives the same ones with their volumes, for the refusal."""
    if not listed:
        raise BadInput(f"{name} is empty: it holds no segment.")
    if wanted is None:
        named = [one for one in listed if one.name.strip().lower() == PREFERRED]
        fitting = listed if len(listed) == 1 else named
    else:
        fitting = [one for one in listed if one.name == wanted]
        fitting = fitting or [one for one in listed if one.name.lower() == wanted.lower()]
        fitting = fitting or [one for one in listed if str(one.value) == wanted.strip()]
    if len(fitting) == 1:
        return fitting[0]
    shown = (listed if measured is None else measured())[:SHOWN]
    listing = ", ".join(f"{one.value} {one.title}" if one.name else one.title for one in shown)
    listing += f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    what = f"{len(listed)} segments"
    if wanted is not None:
        what = f'{len(fitting) or "no"} segment{"s" if len(fitting) > 1 else ""} "{wanted}"'
    has_names = any(one.name for one in listed)
    how = "Name one by its name or label value" if has_names else "It gives them no names: give a label value"
    raise BadInput(f"{name} holds {what}.", f"{how}: {listing}.")
