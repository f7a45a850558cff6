"""A small picture of one case, drawn without Slicer: three planes through the segment with its contour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import CannotWrite
from ..imaging import Geometry, bounding_box
from ..imaging.geometry import closest_patient_axes

SIDE = 240  # pixels
SHOWN_MM = 210.0
WINDOW_HU = (-160.0, 240.0)
CONTOUR = (255, 150, 40)
# The axis of an array (S, P, L) that is looked along, and whether rows have to be turned for front or head to be up.
_PLANES = ((0, False), (1, True), (2, True))


def draw(ct: sitk.Image, mask: sitk.Image, path: Path, colours: Sequence[tuple[int, int, int]] = (CONTOUR,)) -> None:
    """Write a PNG, three panels of 240 pixels: axial, coronal, sagittal, 210 mm wide about the segment.

    Each plane is the one that cuts the largest area of the segment; without a segment, the middle one.

    Parameters
    ----------
    ct : HU.
    mask : 0 outside, 1 inside; or the parts of the segment, 1, 2, ... On a box of the CT's voxels.
    colours : RGB of the contour of 1, 2, ...

    Raises
    ------
    CannotWrite : the picture cannot be written.
    """
    hu, labels, start, spacing = _along_the_patient(ct, mask)
    box = bounding_box(labels)
    panels = []
    for axis, up_is_high in _PLANES:
        others = tuple(other for other in range(3) if other != axis)
        if box is None:
            index, centre = hu.shape[axis] // 2, [hu.shape[other] // 2 for other in others]
            shown = np.zeros((1, 1), np.uint8)
        else:  # on the segment's own box: counting in a whole CT takes seconds
            within = int((labels[box] > 0).sum(axis=others).argmax()) + box[axis].start
            index = start[axis] + within
            centre = [start[other] + (box[other].start + box[other].stop - 1) // 2 for other in others]
            shown = np.take(labels, within, axis)
        plane = np.take(hu, index, axis)
        places = [start[other] for other in others], centre, [spacing[other] for other in others]
        panels.append(_panel(plane, shown, *places, up_is_high, colours))
    picture = sitk.GetImageFromArray(np.concatenate(panels, axis=1), isVector=True)
    try:
        sitk.WriteImage(picture, str(path))
    except RuntimeError as error:
        raise CannotWrite(f"The picture {path} cannot be written.") from error


def _along_the_patient(ct: sitk.Image, mask: sitk.Image) -> tuple[np.ndarray, np.ndarray, list[int], list[float]]:
    """CT and labels as arrays (S, P, L), the index in the CT of the labels' first voxel, and the CT's spacing."""
    grid, own = Geometry.of(ct), Geometry.of(mask)
    hu, labels = sitk.GetArrayViewFromImage(ct), sitk.GetArrayFromImage(mask)
    order, flipped = closest_patient_axes(grid.axes)
    axes = [2 - order[patient] for patient in (2, 1, 0)]
    flips = tuple(slice(None, None, -1) if flipped[patient] else slice(None) for patient in (2, 1, 0))
    first = np.rint(grid.index(np.asarray(own.origin))).astype(int)[::-1][axes]
    hu, labels = hu.transpose(axes)[flips], labels.transpose(axes)[flips]
    start = [
        hu.shape[n] - int(first[n]) - labels.shape[n] if flipped[patient] else int(first[n])
        for n, patient in enumerate((2, 1, 0))
    ]
    return hu, labels, start, [grid.spacing[order[p]] for p in (2, 1, 0)]


def _panel(
    hu: np.ndarray,
    labels: np.ndarray,
    start: list[int],
    centre: list[int],
    spacing: list[float],
    up_is_high: bool,
    colours: Sequence[tuple[int, int, int]],
) -> np.ndarray:
    """An RGB panel (SIDE, SIDE, 3) of one plane; `start` is the index in `hu` of the first label."""
    offsets = (np.arange(SIDE) - (SIDE - 1) / 2) * SHOWN_MM / SIDE
    rows = centre[0] + (offsets[::-1] if up_is_high else offsets) / spacing[0]
    columns = centre[1] + offsets / spacing[1]
    at = np.meshgrid(rows, columns, indexing="ij")
    low, high = WINDOW_HU
    grey = ndimage.map_coordinates(hu.astype(np.float32), at, order=1, mode="constant", cval=-1024.0)
    panel = np.repeat(np.uint8(np.clip((grey - low) / (high - low), 0, 1) * 255)[..., None], 3, axis=2)
    labels = np.pad(labels, 2)
    within = [each - first + 2 for each, first in zip(at, start, strict=True)]
    shown = ndimage.map_coordinates((labels > 0).astype(np.float32), within, order=1, mode="constant") >= 0.5
    nearest = ndimage.map_coordinates(ndimage.maximum_filter(labels, 3), within, order=0, mode="constant")
    contour = shown & ~ndimage.binary_erosion(shown)
    for number, colour in enumerate(colours, start=1):
        panel[contour & (np.maximum(nearest, 1) == number)] = colour
    return panel
