"""Slices to one volume in HU: each decoded and rescaled by its own numbers, a gantry tilt taken out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from .dicom_file import stored_frames
from .dicom_header import DicomFrame
from .dicom_slices import SliceStack, grid_of_slices
from .geometry import Geometry, image_on_grid
from .plain_name import printable_name
from .voxel_data import MOST_VOXELS

AIR_HU = -1024
# Padding below is air for every later step as it stands; above it would pass for bone or metal around the patient.
_BRIGHT_HU = 2000
# The rows and columns at the border of an image that hold air in any CT.
_BORDER_VOXELS = 4


def volume_of_frames(frames: Sequence[DicomFrame]) -> tuple[sitk.Image, tuple[Path, ...], list[str]]:
    """Return slices as a volume in HU, their files in the order of the slices (each once), and warnings.

    int16 where that holds every value, else int32; float32 where a slope or intercept is no whole number.

    Raises
    ------
    BadInput
        The slices form no grid (see `grid_of_slices`), also because some could not be read.
    """
    frames = list(frames)
    _refuse_mixed_rescaling(frames)
    failures: dict[Path, str] = {}
    stack = grid_of_slices([frame.plane for frame in frames])
    values = _values(frames, stack, failures)
    if failures:
        frames = [frame for frame in frames if frame.path not in failures]
        listed = left_out_sentence(list(failures.items()))
        try:
            stack = grid_of_slices([frame.plane for frame in frames])
        except BadInput as error:
            raise BadInput(f"{error.message} {listed}", "Export or copy the series again.") from None
        values = _values(frames, stack, {})
    doubts = [left_out_sentence(list(failures.items()))] if failures else []
    if any(frame.inverse for frame in frames):
        _refuse_inverse(values)
    units = sorted({frame.unit for frame in frames} - {"HU", "US", "UNSPECIFIED"})
    if units:
        doubts.append(f"The DICOM images say that their values are in {', '.join(units)}, not in HU.")
    files = tuple(dict.fromkeys(frames[number].path for number in stack.order))
    if stack.shifts is None:
        return image_on_grid(values, stack.grid), files, doubts
    doubts.append(
        f"The series has a gantry tilt of {stack.tilt_degrees:.1f} degrees: its slices were shifted within their "
        "planes onto an upright grid."
    )
    return _without_tilt(values, stack), files, doubts


def left_out_sentence(reasons: Sequence[tuple[Path, str]]) -> str:
    """One sentence that names files that were left out, and why."""
    named = "; ".join(f"{printable_name(path)} ({reason})" for path, reason in reasons[:3])
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    subject = "1 file cannot be used and was" if len(reasons) == 1 else f"{len(reasons)} files cannot be used and were"
    return f"{subject} left out: {named}{more}."


def _refuse_mixed_rescaling(frames: Sequence[DicomFrame]) -> None:
    """Refuse slices without an intercept among slices that have one: their HU cannot be known."""
    without = [frame for frame in frames if not frame.is_rescaled]
    given = sorted({frame.intercept for frame in frames if frame.is_rescaled} - {0.0})
    if without and given:
        named = ", ".join(dict.fromkeys(printable_name(frame.path) for frame in without[:3]))
        raise BadInput(
            f"{len(without)} of the series' {len(frames)} images give no rescale intercept, and the others do "
            f"({given[0]:g}): which HU their values mean cannot be known. The first are in {named}.",
            "Export the series again.",
        )


def _values(frames: Sequence[DicomFrame], stack: SliceStack, failures: dict[Path, str]) -> np.ndarray:
    """Return the voxels (slices, rows, columns) in HU; what cannot be read stays empty and goes into `failures`."""
    if math.prod(stack.grid.size) > MOST_VOXELS:
        size = " x ".join(map(str, stack.grid.size))
        raise BadInput(f"The series is larger than any CT: its headers say {size} voxels.", "Export it again.")
    whole = all(float(number).is_integer() for frame in frames for number in (frame.slope, frame.intercept))
    volume = np.zeros(stack.grid.size[::-1], dtype=np.int16 if whole else np.float32)
    by_file: dict[Path, list[tuple[DicomFrame, int]]] = defaultdict(list)
    for place, number in enumerate(stack.order):
        by_file[frames[number].path].append((frames[number], place))
    for path, of_file in by_file.items():
        of_file.sort(key=lambda each: each[0].number)
        try:
            stored = stored_frames(path, [frame.number for frame, _ in of_file])
            for (frame, place), pixels in zip(of_file, stored, strict=True):
                volume = _put(volume, place, pixels, frame)
        except ValueError as error:
            failures[path] = str(error)
    return volume


def _put(volume: np.ndarray, place: int, pixels: np.ndarray, frame: DicomFrame) -> np.ndarray:
    """Rescale one slice into the volume; return the volume, in a wider type where the slice needs one."""
    if pixels.shape != volume.shape[1:]:
        raise ValueError(f"it has {pixels.shape[1]} x {pixels.shape[0]} pixels, not as its header says")
    if volume.dtype.kind == "f":
        volume[place] = _with_air(pixels * np.float64(frame.slope) + frame.intercept, pixels, frame)
        return volume
    hu = _with_air(pixels.astype(np.int64) * int(frame.slope) + int(frame.intercept), pixels, frame)
    for kind in (volume.dtype, np.dtype(np.int32)):
        limits = np.iinfo(kind)
        if limits.min <= hu.min() and hu.max() <= limits.max:
            volume = volume.astype(kind, copy=False)
            volume[place] = hu
            return volume
    raise ValueError(f"its values reach from {hu.min()} to {hu.max()}")


def _with_air(hu: np.ndarray, pixels: np.ndarray, frame: DicomFrame) -> np.ndarray:
    """Put air where the file says that there is no image, and a value of bone or metal stands."""
    if frame.padding is not None:
        first, last = frame.padding
        hu[(pixels >= first) & (pixels <= last) & (hu > _BRIGHT_HU)] = AIR_HU
    return hu


def _refuse_inverse(values: np.ndarray) -> None:
    """Refuse a MONOCHROME1 volume whose stored values are inverted; the standard inverts their display only."""
    middle = values[len(values) // 2]
    edge = np.concatenate([middle[:_BORDER_VOXELS].ravel(), middle[:, :_BORDER_VOXELS].ravel()])
    rows, columns = (slice(n // 4, -(n // 4) or None) for n in middle.shape)
    if np.median(edge) > np.percentile(middle[rows, columns], 75):
        raise BadInput(
            "The series is marked MONOCHROME1 and seems to be stored inverted: air is brighter than the patient.",
            "Export it again as MONOCHROME2.",
        )


def _without_tilt(values: np.ndarray, stack: SliceStack) -> sitk.Image:
    """Shift every slice within its plane to where it lies (linear interpolation), on a field that holds them all."""
    grid = stack.grid
    offsets = stack.shifts / np.asarray(grid.spacing[:2])
    first = np.floor(offsets.min(axis=0)).astype(int)
    more = np.ceil(offsets.max(axis=0)).astype(int) - first
    shape = (len(values), values.shape[1] + more[1], values.shape[2] + more[0])
    upright = np.full(shape, AIR_HU, dtype=values.dtype)
    for place, offset in enumerate(offsets - first):
        steps = np.floor(offset).astype(int)
        shifted = _shifted(values[place], *(offset - steps))
        rows, columns = shifted.shape
        rows, columns = min(rows, shape[1] - steps[1]), min(columns, shape[2] - steps[0])
        placed = shifted[:rows, :columns]
        if values.dtype.kind != "f":
            placed = np.rint(placed)
        upright[place, steps[1] : steps[1] + rows, steps[0] : steps[0] + columns] = placed
    origin = grid.physical(np.array([first[0], first[1], 0]))
    moved: Geometry = replace(grid, size=shape[::-1], origin=tuple(origin.tolist()))
    return image_on_grid(upright, moved)


def _shifted(pixels: np.ndarray, along_row: float, along_column: float) -> np.ndarray:
    """Return a slice moved by parts of a pixel (0 to 1), one row and one column larger, with air around it."""
    moved = np.full((pixels.shape[0] + 1, pixels.shape[1] + 1), float(AIR_HU))
    moved[:-1, :-1] = pixels
    moved[:, 1:] = (1 - along_row) * moved[:, 1:] + along_row * moved[:, :-1]
    moved[:, 0] = (1 - along_row) * moved[:, 0] + along_row * AIR_HU
    above = moved[:-1].copy()
    moved[1:] = (1 - along_column) * moved[1:] + along_column * above
    moved[0] = (1 - along_column) * moved[0] + along_column * AIR_HU
    return moved
