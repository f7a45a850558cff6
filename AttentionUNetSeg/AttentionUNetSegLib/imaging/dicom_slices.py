"""The grid of a stack of DICOM slices, or a sentence that says why they form none.

Slices of a tilted gantry lie on a sheared grid; how far each has to be shifted within its plane says `SliceStack`.

Source: DICOM PS3.3, C.7.6.2 (Image Plane Module: position, orientation and pixel spacing of an image).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BadInput
from .check import FEWEST_SLICES
from .geometry import Geometry

# Slices closer than this lie at one position.
SAME_POSITION_MM = 0.01
SPACING_TOLERANCE_MM = 0.05
SPACING_TOLERANCE = 0.01
# No slice may lie further than this from where the grid has it, along the stack or sideways.
POSITION_TOLERANCE_MM = 0.5
# Positions rounded to 0.1 mm make uneven steps, but no slice lies further off than this.
ROUNDING_MM = 0.1
ORIENTATION_TOLERANCE = 1e-3
# Gantries tilt up to 30 degrees; a steeper shear is something else.
LARGEST_TILT_DEGREES = 35.0


@dataclass(frozen=True)
class SlicePlane:
    """Where one slice lies: the attributes of the Image Plane Module.

    Attributes
    ----------
    position : tuple[float, ...]
        Image Position (Patient), LPS in mm, centre of the first pixel.
    orientation : tuple[float, ...]
        Image Orientation (Patient), unit vectors of a row (three numbers) and of a column.
    pixel_spacing : tuple[float, ...]
        Pixel Spacing in mm, distance of rows first, then of columns.
    shape : tuple[int, int]
        Rows, columns.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    shape: tuple[int, int]


@dataclass(frozen=True)
class SliceStack:
    """How slices form a volume.

    Attributes
    ----------
    order : list[int]
        The slices along their normal.
    grid : Geometry
        The grid they form in this order, with the first slice at its place.
    shifts : np.ndarray | None
        (slices, 2), how far (mm along a row, along a column) each slice in this order lies off the grid because of a
        gantry tilt; None without one.
    tilt_degrees : float
        0 without one.
    """

    order: list[int]
    grid: Geometry
    shifts: np.ndarray | None = None
    tilt_degrees: float = 0.0


def grid_of_slices(planes: Sequence[SlicePlane]) -> SliceStack:
    """Return how the slices form a volume.

    Raises
    ------
    BadInput
        Fewer than 8 slices, different sizes, pixel spacings or orientations, several slices at one position, missing
        slices, non-uniform spacing, or slices shifted sideways as no tilt does. The sentence says where.
    """
    if len(planes) < FEWEST_SLICES:
        raise BadInput(
            f"The series has only {len(planes)} images: fewer than {FEWEST_SLICES} slices.",
            "Give a whole abdominal CT.",
        )
    _refuse_different([plane.shape for plane in planes], "image sizes", "{0[1]} x {0[0]}")
    _refuse_different([plane.pixel_spacing for plane in planes], "pixel spacings", "{0[1]:g} x {0[0]:g} mm")
    orientation = _common_orientation(planes)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    positions = np.array([plane.position for plane in planes])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    heights, positions = heights[order], positions[order]
    _refuse_duplicates(heights)
    slope = _shear(positions, normal)
    _refuse_gaps(heights)
    rows, columns = planes[0].shape
    grid = Geometry(
        (columns, rows, len(planes)),
        (planes[0].pixel_spacing[1], planes[0].pixel_spacing[0], float((heights[-1] - heights[0]) / (len(planes) - 1))),
        tuple(positions[0].tolist()),
        tuple(np.column_stack([row, column, normal]).ravel().tolist()),
    )
    if slope is None:
        return SliceStack(order.tolist(), grid)
    along = (heights - heights[0])[:, None]
    shifts = np.hstack([along * (slope @ row), along * (slope @ column)])
    return SliceStack(order.tolist(), grid, shifts, float(np.degrees(np.arctan(np.linalg.norm(slope)))))


def _refuse_different(values: list[tuple[float, ...]], what: str, form: str) -> None:
    counts = Counter(tuple(round(v, 4) for v in value) for value in values)
    if len(counts) > 1:
        listed = ", ".join(f"{form.format(value)} in {n} images" for value, n in counts.most_common(3))
        raise BadInput(f"The series mixes {what} ({listed}).", "Separate the images into series of one kind.")


def _common_orientation(planes: Sequence[SlicePlane]) -> np.ndarray:
    """Return the mean orientation, made perpendicular and of unit length to the last digit."""
    orientations = np.array([plane.orientation for plane in planes])
    counts: list[list[Any]] = []
    for orientation in orientations:
        same = next((c for c in counts if np.abs(c[0] - orientation).max() <= ORIENTATION_TOLERANCE), None)
        if same is None:
            counts.append([orientation, 1])
        else:
            same[1] += 1
    if len(counts) > 1:
        numbers = ", ".join(str(n) for _, n in sorted(counts, key=lambda c: -c[1])[:4])
        raise BadInput(
            f"The series mixes {len(counts)} image orientations (in {numbers} images), so it is not one stack.",
            "Separate localizers and reformatted images from the axial ones.",
        )
    row, column = orientations.mean(axis=0).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 1e-2 or abs(row @ column) > 1e-2:
        raise BadInput(
            "The images' orientation is broken: row and column are not perpendicular unit vectors.",
            "Export them again.",
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def _refuse_duplicates(heights: np.ndarray) -> None:
    shared = np.flatnonzero(np.diff(heights) < SAME_POSITION_MM)
    if not len(shared):
        return
    places = 1 + int(np.count_nonzero(np.diff(heights) >= SAME_POSITION_MM))
    raise BadInput(
        f"The series has several images at one position: {len(heights)} images at {places} positions, "
        f"first at {heights[shared[0]]:.1f} mm, as with several phases or reconstructions.",
        "Split it and give the images of one phase only.",
    )


def _shear(positions: np.ndarray, normal: np.ndarray) -> np.ndarray | None:
    """Return how far (mm, LPS) the slices move sideways for each mm along their normal; None where they do not."""
    steps = positions - positions[0]
    along = steps @ normal
    sideways = steps - along[:, None] * normal
    worst = np.linalg.norm(sideways, axis=1).max()
    if worst <= POSITION_TOLERANCE_MM:
        return None
    slope = sideways.T @ along / (along @ along)
    is_tilt = np.linalg.norm(sideways - along[:, None] * slope, axis=1).max() <= POSITION_TOLERANCE_MM
    if is_tilt and np.linalg.norm(slope) <= np.tan(np.radians(LARGEST_TILT_DEGREES)):
        return np.asarray(slope)
    raise BadInput(
        f"The series' images are shifted sideways against each other by up to {worst:.1f} mm.", "Give one stack."
    )


def _refuse_gaps(heights: np.ndarray) -> None:
    """Refuse missing slices and non-uniform spacing; `heights` are positions in mm along the normal, ascending."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    displaced = np.abs(heights - np.linspace(heights[0], heights[-1], len(heights)))
    if displaced.max() <= min(ROUNDING_MM, usual / 4):
        return
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE * usual)
    uneven = np.flatnonzero(np.abs(steps - usual) > tolerance)
    if not len(uneven) and displaced.max() <= POSITION_TOLERANCE_MM:
        return
    missing = np.rint(steps / usual).astype(int) - 1
    places = np.flatnonzero(missing > 0)
    skipped = np.abs(steps - (missing + 1) * usual) <= tolerance * (missing + 1)
    # A gap in a few places is a missing slice; in many places it is another spacing.
    few = 0 < len(places) <= max(1, len(steps) // 5)
    if few and np.array_equal(places, uneven) and np.all(skipped[uneven]):
        named = [f"{missing[p]} between {heights[p]:.1f} and {heights[p + 1]:.1f} mm" for p in places[:3]]
        more = f" and at {len(places) - 3} more places" if len(places) > 3 else ""
        total = int(missing[places].sum())
        raise BadInput(
            f"The series misses {total} slice{'s' if total > 1 else ''} (they are {usual:g} mm apart): "
            f"{', '.join(named)}{more}.",
            "Get the complete series.",
        )
    first = uneven[0] if len(uneven) else int(displaced.argmax()) - 1
    raise BadInput(
        f"The series' slice spacing is not uniform: {steps.min():.2f} to {steps.max():.2f} mm, "
        f"usually {usual:.2f} mm, first different between {heights[first]:.1f} and {heights[first + 1]:.1f} mm.",
        "Give a series with one slice spacing.",
    )
