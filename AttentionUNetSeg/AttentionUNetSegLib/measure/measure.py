"""Measure one segment on its CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import Geometry, bounding_box, keep_largest_component
from .attenuation import attenuation, fat_share
from .centre_line import CentreLine, course, lengths_along, nearest_stations, thickness_along
from .contrast_phase import guess_phase
from .gland_parts import WITHOUT_A_NECK, find_neck, part_shares
from .measurements import Measurements, with_range
from .smooth_shape import SmoothShape, smooth_shape

RANGE = 0.3, 0.7
_HU = "[hnsf'U]"
_PARTS = "head", "body", "tail"
KINDS = {
    "volume": ("Volume", "mL"),
    "hu_mean": ("Mean attenuation", _HU),
    "hu_sd": ("Standard deviation of attenuation", _HU),
    "hu_p05": ("5th percentile of attenuation", _HU),
    "hu_p25": ("25th percentile of attenuation", _HU),
    "hu_p50": ("Median attenuation", _HU),
    "hu_p75": ("75th percentile of attenuation", _HU),
    "hu_p95": ("95th percentile of attenuation", _HU),
    "fat": ("Fat within the smoothed hull", "%"),
    "surface": ("Surface", "mm2"),
    "sphericity": ("Sphericity", "1"),
    "length": ("Length along the centre line", "mm"),
    "thickness": ("Median thickness", "mm"),
    **{f"{part}_thickness": (f"Median thickness of the {part}", "mm") for part in _PARTS},
    **{f"{part}_volume": (f"Volume of the {part}", "mL") for part in _PARTS},
}


@dataclass(frozen=True)
class Masks:
    """The segment at the chosen threshold and at the two that bound the range, on one box of the CT's voxels.

    Attributes
    ----------
    middle : boolean (KJI) at `threshold`.
    others : at the thresholds of `range_of_thresholds`; empty where a mask was given and no probability.
    grid : where the arrays lie.
    """

    middle: np.ndarray
    others: tuple[np.ndarray, ...]
    grid: Geometry
    threshold: float | None = None
    range_of_thresholds: tuple[float, float] | None = None


def measure(
    segment: sitk.Image, ct: sitk.Image, threshold: float | None = None, keep_largest: bool = False
) -> Measurements:
    """Measure a segment.

    Parameters
    ----------
    segment : with a threshold, the probability: uint8 0..255 or float 0..1. Without, a mask: what is not 0 is inside;
        no number has a range then. Either covers the CT's voxels, all or a box of them.
    ct : the CT in HU.
    threshold : lowest probability of the segment, above 0 and at most 1.
    keep_largest : measure the largest connected part only, at every threshold.

    Raises
    ------
    BadInput : the segment does not lie on the CT's voxels, or the threshold is out of range.
    """
    values, grid = sitk.GetArrayViewFromImage(segment), Geometry.of(segment)
    if threshold is None:
        levels: tuple[float, ...] = ()
        masks = [values != 0]
    else:
        if not 0.0 < threshold <= 1.0:
            raise BadInput(f"The threshold {threshold} is not above 0 and at most 1.")
        scale = 255.0 if np.issubdtype(values.dtype, np.integer) else 1.0
        levels = (threshold, *RANGE)
        masks = [values >= level * scale for level in levels]
    if keep_largest:
        masks = [_largest(mask) for mask in masks]
    return measure_masks(Masks(masks[0], tuple(masks[1:]), grid, threshold, RANGE if levels else None), ct)


def measure_masks(masks: Masks, ct: sitk.Image) -> Measurements:
    """Measure a segment whose masks somebody else made, with smoothing or strokes for example; raises as `measure`.

    `ct` covers the masks; the contrast phase is guessed from what lies around them, too (`box_with_surroundings`).
    """
    hu = _on_the_box(ct, masks.grid)
    spacing = np.asarray(masks.grid.spacing[::-1])
    every = masks.middle
    for mask in masks.others:
        every = every | mask
    box = bounding_box(every) or (slice(0, 1),) * 3
    start = tuple(side.start for side in reversed(box))
    grid = masks.grid.cropped(start, every[box].shape[::-1])
    middle = _Measured(masks.middle[box], hu[box], grid, spacing)
    others = [
        middle if np.array_equal(mask[box], masks.middle[box]) else _Measured(mask[box], hu[box], grid, spacing)
        for mask in masks.others
    ]
    notes = middle.notes
    if others and any(not other.numbers["volume"] for other in others) and middle.numbers["volume"]:
        notes = [*notes, "At one end of the range of thresholds nothing is left; of all but the volume it is left out."]
    quantities = with_range(middle.numbers, [other.numbers for other in others], KINDS)
    phase = guess_phase(ct, masks.middle[box], grid, middle.numbers.get("hu_p50"))
    return Measurements(masks.threshold, masks.range_of_thresholds, quantities, middle.line, tuple(notes), phase)


class _Measured:
    """One mask, measured: `numbers` by key, the centre line, and notes."""

    def __init__(self, mask: np.ndarray, hu: np.ndarray, grid: Geometry, spacing: np.ndarray) -> None:
        self.notes: list[str] = []
        self.line: CentreLine | None = None
        volume = float(np.count_nonzero(mask) * np.prod(spacing) / 1000.0)
        self.numbers: dict[str, float | None] = {"volume": volume, **attenuation(hu, mask)}
        box = bounding_box(mask)
        if box is None:
            self.notes.append("The segment is empty: there is nothing to measure.")
            return
        mask, hu = mask[box], hu[box]
        grid = grid.cropped(tuple(side.start for side in reversed(box)), mask.shape[::-1])
        shape = smooth_shape(mask, spacing)
        if shape is None:
            self.notes.append("The segment is too small or too thin for more than its volume and attenuation.")
            return
        self.numbers |= {
            "fat": 100.0 * fat_share(hu, mask, shape, spacing),
            "surface": shape.surface_mm2,
            "sphericity": shape.sphericity,
        }
        if shape.parts > 1:
            self.notes.append(
                f"The segment has {shape.parts} separate parts: surface, sphericity, length, thickness and division "
                f"are those of the largest, which holds {100 * shape.share:.0f} % of the volume."
            )
        self._measure_course(shape, grid, volume)

    def _measure_course(self, shape: SmoothShape, grid: Geometry, volume_ml: float) -> None:
        line = course(shape)
        points = _lps(line, grid)
        if points[0, 0] > points[-1, 0]:  # the head lies on the patient's right, and L grows to the left
            line, points = line[::-1], points[::-1]
        along = lengths_along(line)
        thickness = thickness_along(line, shape)
        nearest = nearest_stations(shape.points, line)
        between = np.gradient(along)
        section = np.bincount(nearest, minlength=len(line)) * shape.step**3 / between
        neck = find_neck(along, section)
        if neck is None:
            neck = WITHOUT_A_NECK * along[-1]
            self.notes.append(
                f"No neck was found: head and body are divided at {100 * WITHOUT_A_NECK:.0f} % of the length instead."
            )
        tail = 0.5 * (neck + along[-1])
        self.line = CentreLine(points, along, thickness, section, neck, tail)
        self.numbers |= {"length": float(along[-1]), "thickness": float(np.median(thickness))}
        shares = part_shares(nearest, along, neck, tail)
        for part, where in zip(_PARTS, _split(along, neck, tail), strict=True):
            self.numbers[f"{part}_thickness"] = float(np.median(thickness[where]))
            self.numbers[f"{part}_volume"] = shares[part] * volume_ml


def _split(along: np.ndarray, neck: float, tail: float) -> Sequence[np.ndarray]:
    return along < neck, (along >= neck) & (along < tail), along >= tail


def _lps(points: np.ndarray, grid: Geometry) -> np.ndarray:
    """LPS positions of points (n, 3; z, y, x) in mm along the grid's axes."""
    return np.asarray(points[:, ::-1] @ grid.axes.T + np.asarray(grid.origin))


def _largest(mask: np.ndarray) -> np.ndarray:
    box = bounding_box(mask)
    if box is None:
        return mask
    largest = np.zeros_like(mask)
    largest[box] = keep_largest_component(mask[box])
    return largest


def _on_the_box(ct: sitk.Image, grid: Geometry) -> np.ndarray:
    """The CT's voxels (KJI) of a grid that is a box of them."""
    whole = Geometry.of(ct)
    start = whole.index(np.asarray(grid.origin))
    first = np.rint(start).astype(int)
    same_axes = np.allclose(grid.index_to_physical, whole.index_to_physical, rtol=1e-3, atol=1e-4)
    stop = first + np.asarray(grid.size)
    if not same_axes or np.abs(start - first).max() > 0.01 or first.min() < 0 or np.any(stop > whole.size):
        raise BadInput(
            "The segment does not lie on the voxels of the CT.", "Give the CT that it was made from, unchanged."
        )
    values = sitk.GetArrayViewFromImage(ct)
    return values[tuple(slice(a, b) for a, b in zip(first[::-1], stop[::-1], strict=True))]
