"""A picture of one case: three planes through its worst place, with the outlines of label and segment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from ...imaging import HUWindow
from .cropped_case import CroppedCase

WINDOW_HU = (-160.0, 240.0)  # level 40, width 400
LABEL_COLOR = (0, 200, 255)
SEGMENT_COLOR = (255, 140, 0)
IGNORED_COLOR = (120, 90, 200)
PIXEL_MM = 0.5
REACH_MM = 75.0  # from the worst place to each side
_STRIP = 24  # pixels of text above and below
_BACKGROUND = (16, 16, 16)
_TEXT = (235, 235, 235)
_DASH = 3  # pixels of each colour where both outlines run together


@dataclass(frozen=True)
class _Plane:
    """A plane of LPS space: `right` and `down` are unit vectors along the picture's columns and rows."""

    name: str
    right: tuple[float, float, float]
    down: tuple[float, float, float]


# As radiologists look: the patient's right on the left, and from the patient's left in the sagittal plane.
_PLANES = (
    _Plane("axial", (1, 0, 0), (0, 1, 0)),
    _Plane("coronal", (1, 0, 0), (0, 0, -1)),
    _Plane("sagittal", (0, 1, 0), (0, 0, -1)),
)


def draw_case(ct: sitk.Image, case: CroppedCase, title: str) -> Image.Image:
    """Draw three planes through the middle of the largest error, in a window of level 40 and width 400 HU.

    Parameters
    ----------
    ct : the whole CT in HU, any orientation.
    case : label and segment of it.
    title : written above.

    Returns
    -------
    RGB picture. The label's outline is light blue, the segment's orange, dashed in both where they run together; what
    the label says nothing about is tinted.
    """
    place = worst_place(ct, case)
    label, segment = _image(case.label, ct, case), _image(case.predicted, ct, case)
    ignored = None if case.ignore is None else _image(case.ignore, ct, case)
    panels = []
    for plane in _PLANES:
        grid = _grid(plane, place)
        picture = _gray(ct, grid)
        if ignored is not None:
            inside = _mask(ignored, grid)
            picture[inside] = (0.75 * picture[inside] + 0.25 * np.array(IGNORED_COLOR)).astype(np.uint8)
        _draw_outlines(picture, _outline(_mask(label, grid)), _outline(_mask(segment, grid)))
        panels.append(picture)
    return _page(panels, title)


def write_png(picture: Image.Image, path: Path) -> None:
    """Write the picture; the folder is one that is renamed into its place later."""
    picture.save(path, format="PNG", optimize=True)


def worst_place(ct: sitk.Image, case: CroppedCase) -> np.ndarray:
    """The position (LPS, mm) of the place deepest within the largest error; without errors, of the label's middle."""
    error = case.predicted ^ case.label
    if error.any():
        image = sitk.GetImageFromArray(error.astype(np.uint8))
        image.SetSpacing(case.spacing_mm[::-1])
        depth = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, useImageSpacing=True)
        index = np.array(np.unravel_index(sitk.GetArrayViewFromImage(depth).argmax(), error.shape))
    elif case.label.any():
        index = np.argwhere(case.label).mean(axis=0)
    else:
        index = np.array(case.label.shape) // 2
    return np.array(ct.TransformContinuousIndexToPhysicalPoint((index[::-1] + np.array(case.start)).tolist()))


def _image(mask: np.ndarray, ct: sitk.Image, case: CroppedCase) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(ct.GetSpacing())
    image.SetDirection(ct.GetDirection())
    image.SetOrigin(ct.TransformIndexToPhysicalPoint(case.start))
    return image


def _grid(plane: _Plane, place: np.ndarray) -> sitk.Image:
    """One slice of square pixels in this plane, `place` in its middle."""
    side = round(2 * REACH_MM / PIXEL_MM)
    right, down = np.array(plane.right, float), np.array(plane.down, float)
    grid = sitk.Image(side, side, 1, sitk.sitkUInt8)
    grid.SetSpacing((PIXEL_MM, PIXEL_MM, 1.0))
    grid.SetDirection(np.column_stack([right, down, np.cross(right, down)]).ravel().tolist())
    grid.SetOrigin((place - (right + down) * (side - 1) / 2 * PIXEL_MM).tolist())
    return grid


def _gray(ct: sitk.Image, grid: sitk.Image) -> np.ndarray:
    hu = sitk.Resample(ct, grid, sitk.Transform(), sitk.sitkLinear, -1024.0, sitk.sitkFloat32)
    gray = np.rint(HUWindow(*WINDOW_HU).apply(sitk.GetArrayFromImage(hu)[0]) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def _mask(image: sitk.Image, grid: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor))[0] > 0


def _outline(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask, border_value=1)


def _draw_outlines(picture: np.ndarray, label: np.ndarray, segment: np.ndarray) -> None:
    rows, columns = np.indices(label.shape)
    is_labels_dash = (rows + columns) // _DASH % 2 == 0
    picture[label & (~segment | is_labels_dash)] = LABEL_COLOR
    picture[segment & (~label | ~is_labels_dash)] = SEGMENT_COLOR


def _page(panels: list[np.ndarray], title: str) -> Image.Image:
    side = panels[0].shape[0]
    page = Image.new("RGB", (side * len(panels), side + 2 * _STRIP), _BACKGROUND)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for number, panel in enumerate(panels):
        page.paste(Image.fromarray(panel), (number * side, _STRIP))
    draw.text((8, 3), title, fill=_TEXT, font=font)
    x = 8
    words = [("label", LABEL_COLOR), ("segment", SEGMENT_COLOR), ("label says nothing", IGNORED_COLOR)]
    names = ", ".join(plane.name for plane in _PLANES)
    for text, color in [*words, (f"{names}; level 40, width 400 HU; {2 * REACH_MM:g} mm wide", _TEXT)]:
        draw.text((x, side + _STRIP + 3), text, fill=color, font=font)
        x += int(draw.textlength(text, font=font)) + 24
    return page
