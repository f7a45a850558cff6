"""Label images on disk: read, held against their CT, and taken apart into one mask per structure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import BadInput
from ...imaging import Geometry, image_on_grid, read_segment, read_volume
from ...imaging.image_file import read_image_file
from ..labelled_scan import LoadedScan

# Rounding of float32 affines moves a voxel by less than 0.0005 mm, a wrong affine by at least a part of a voxel.
LARGEST_MISMATCH_MM = 1e-3
LARGEST_LABEL_VALUE = 65535
SEGMENTATION_ENDING = ".seg.nrrd"


@dataclass(frozen=True)
class LabelMap:
    """A label image and what its values mean.

    Attributes
    ----------
    path : image file on the CT's grid.
    values : the values that are each structure; a structure that is missing here was not annotated.
    other_values : values of other, known things, beside 0 for background. None: whatever else there is, is allowed.
    """

    path: Path
    values: Mapping[str, tuple[int, ...]]
    other_values: frozenset[int] | None = None


def scan_loader(name: str, image: Path, label: LabelMap, ignore: Path | None = None) -> Callable[[], LoadedScan]:
    """Return the `load` of a `LabelledScan` with a CT and one label map; it can be pickled.

    Parameters
    ----------
    name : of the scan, named in every refusal.
    image : CT, anything that `imaging.read_volume` reads.
    ignore : image that is not 0 where the pancreas label says nothing.
    """
    return partial(_load, name, image, label, ignore)


def _load(name: str, image: Path, label: LabelMap, ignore: Path | None) -> LoadedScan:
    try:
        ct = read_volume(image).image
        masks = read_structures(label, ct)
        return LoadedScan(ct, masks, None if ignore is None else read_mask(ignore, ct))
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", error.hint) from error


def read_structures(label: LabelMap, ct: sitk.Image) -> dict[str, sitk.Image]:
    """Return a uint8 mask by structure, all exactly on the CT's grid.

    Raises
    ------
    BadInput : the label cannot be read, is on another grid, or holds values that nobody explained.
    """
    array = whole_numbers(read_on_grid(label.path, ct), label.path)
    known = {0}.union(*label.values.values())
    if label.other_values is not None:
        strange = sorted(_values_in(array) - known - label.other_values)
        if strange:
            raise BadInput(
                f"The label {label.path.name} holds the value{'s' if len(strange) > 1 else ''} {_listed(strange)}, "
                f"which nothing explains (known are {_listed(sorted(known | label.other_values))})."
            )
    return {structure: mask_on_grid(np.isin(array, values), ct) for structure, values in label.values.items()}


def read_mask(path: Path, ct: sitk.Image) -> sitk.Image:
    """Return a uint8 mask, exactly on the CT's grid, of where an image is not 0.

    Raises
    ------
    BadInput : the image cannot be read, or is on another grid.
    """
    return mask_on_grid(sitk.GetArrayFromImage(read_on_grid(path, ct)) != 0, ct)


def read_on_grid(path: Path, ct: sitk.Image) -> sitk.Image:
    """Return an image that has to be on the CT's grid: same size, and every corner within 0.001 mm.

    A `.seg.nrrd`, as `correct` and Slicer write it, holds some of the CT's voxels: its only segment, or the one named
    pancreas, comes as 1 on all of them.

    Raises
    ------
    BadInput : the file is missing, cannot be read, or is on another grid.
    """
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    if path.name.lower().endswith(SEGMENTATION_ENDING):
        image = _on_all_voxels(read_segment(path).image, ct)
    else:
        image, _ = read_image_file(path)
    label_grid, ct_grid = Geometry.of(image), Geometry.of(ct)
    if label_grid.size != ct_grid.size:
        raise BadInput(
            f"The label {path.name} has {_by(label_grid.size)} voxels and its CT {_by(ct_grid.size)}.",
            "Resample the label to the CT's grid.",
        )
    apart = float(np.linalg.norm(label_grid.corners() - ct_grid.corners(), axis=1).max())
    if apart > LARGEST_MISMATCH_MM:
        raise BadInput(
            f"The label {path.name} lies up to {apart:.3g} mm away from its CT (their affines differ).",
            "Find out which affine is right, and write it into both files.",
        )
    return image


def _on_all_voxels(mask: sitk.Image, ct: sitk.Image) -> sitk.Image:
    """The mask on the CT's grid where its voxels are some of the CT's; as it is, to be refused, where they are not."""
    start = np.rint(ct.TransformPhysicalPointToContinuousIndex(mask.GetOrigin())).astype(int)
    part = Geometry.of(ct).cropped(start.tolist(), mask.GetSize())
    apart = np.linalg.norm(part.corners() - Geometry.of(mask).corners(), axis=1).max()
    if apart > LARGEST_MISMATCH_MM or (start < 0).any() or (start + mask.GetSize() > ct.GetSize()).any():
        return mask
    whole = sitk.Image(ct.GetSize(), mask.GetPixelID())
    whole.CopyInformation(ct)
    return sitk.Paste(whole, mask, mask.GetSize(), destinationIndex=start.tolist())


def whole_numbers(image: sitk.Image, path: Path) -> np.ndarray:
    """Return the values of a label image as whole numbers (KJI, some integer type).

    Raises
    ------
    BadInput : it holds fractions, negative numbers, or numbers above 65535: it is no label map.
    """
    array = sitk.GetArrayFromImage(image)
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= 0 and highest <= LARGEST_LABEL_VALUE):
        raise BadInput(f"{path.name} holds values from {lowest:g} to {highest:g}, so it is no label map.")
    if np.issubdtype(array.dtype, np.floating):
        rounded = array.astype(np.uint16)
        if not np.array_equal(rounded, array):
            raise BadInput(f"{path.name} holds fractions, so it is no label map (was it resampled linearly?).")
        return rounded
    return array


def mask_on_grid(mask: np.ndarray, ct: sitk.Image) -> sitk.Image:
    """Return a boolean KJI array as a uint8 image with the CT's origin, spacing and direction."""
    return image_on_grid(mask.astype(np.uint8), ct)


def _values_in(array: np.ndarray) -> set[int]:
    # Slice by slice: bincount makes 8 byte integers of what it counts.
    counts = np.zeros(LARGEST_LABEL_VALUE + 1, dtype=np.int64)
    for plane in array:
        found = np.bincount(plane.ravel())
        counts[: len(found)] += found
    return set(np.flatnonzero(counts).tolist())


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in size)


def _listed(values: list[int]) -> str:
    return ", ".join(str(value) for value in values[:20]) + (", ..." if len(values) > 20 else "")
