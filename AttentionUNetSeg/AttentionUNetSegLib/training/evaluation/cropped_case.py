"""One case on the CT's own voxel grid, cropped to where the label and the segmentation are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...imaging import bounding_box, keep_largest_component

MARGIN_MM = 12.0
# What `inference.Segmentation.spread` is: a standard deviation of a probability is at most 0.5.
SPREAD_SCALE = 2 * 255


@dataclass(frozen=True)
class CroppedCase:
    """Label and segmentation of one CT in the smallest box that holds both, and a margin. All arrays are KJI.

    Attributes
    ----------
    probability : uint8, 255 times the probability.
    predicted : bool, the segment. Outside `ignore` only.
    label : bool, the true or agreed pancreas. Outside `ignore` only.
    spacing_mm : voxel size along K, J and I.
    start : index (I, J, K) of the box's first voxel in the CT.
    ignore : bool, where the label says nothing, or None. Taken out of `predicted` and `label`.
    predicted_before_ignore : bool, the segment with what lies in `ignore`.
    spread : uint8, 510 times the standard deviation over the augmented passes, or None.
    """

    probability: np.ndarray
    predicted: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, float, float]
    start: tuple[int, int, int]
    ignore: np.ndarray | None
    predicted_before_ignore: np.ndarray
    spread: np.ndarray | None = None

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(np.prod(self.spacing_mm)) / 1000


def crop_case(
    label: sitk.Image,
    probability: sitk.Image,
    threshold: float,
    ignore: sitk.Image | None = None,
    spread: sitk.Image | None = None,
    keep_largest: bool = False,
) -> CroppedCase:
    """Bring label and result together; nothing of the CT's full size is made.

    Parameters
    ----------
    label : mask on the CT's grid, not 0 inside.
    probability : uint8, cropped, aligned with that grid, as `inference.Segmentation` holds it.
    threshold : lowest probability, 0..1, that belongs to the segment.
    ignore : mask on the CT's grid of where the label says nothing.
    spread : uint8, cropped and aligned like `probability`.
    keep_largest : keep only the largest connected part of the segment.
    """
    values = sitk.GetArrayViewFromImage(probability)
    segment = values >= max(threshold * 255, 1)
    if keep_largest:
        segment = keep_largest_component(segment)
    labelled = sitk.GetArrayViewFromImage(label)
    offset = _offset(probability, label)
    spacing = tuple(reversed(label.GetSpacing()))
    box = _box(labelled, segment, offset, np.ceil(MARGIN_MM / np.array(spacing)).astype(int))
    inside_label = labelled[box] != 0
    inside_segment = _placed(segment, offset, box)
    ignored = None
    if ignore is not None:
        ignored = sitk.GetArrayViewFromImage(ignore)[box] != 0
    known = True if ignored is None else ~ignored
    return CroppedCase(
        probability=_placed(values, offset, box),
        predicted=inside_segment & known,
        label=inside_label & known,
        spacing_mm=spacing,
        start=tuple(part.start for part in reversed(box)),
        ignore=ignored,
        predicted_before_ignore=inside_segment,
        spread=None if spread is None else _placed(sitk.GetArrayViewFromImage(spread), _offset(spread, label), box),
    )


def _offset(part: sitk.Image, whole: sitk.Image) -> np.ndarray:
    """Index (KJI) in `whole` of the first voxel of `part`, which lies on the same grid."""
    return np.array(whole.TransformPhysicalPointToIndex(part.GetOrigin())[::-1])


def _box(label: np.ndarray, segment: np.ndarray, offset: np.ndarray, margin: np.ndarray) -> tuple[slice, slice, slice]:
    """The box (KJI) of both masks with a margin, or of one voxel in the middle where both are empty."""
    boxes = [(bounding_box(label), 0), (bounding_box(segment), offset)]
    starts = [np.array([side.start for side in box]) + shift for box, shift in boxes if box]
    stops = [np.array([side.stop for side in box]) + shift for box, shift in boxes if box]
    if not starts:
        k, j, i = (slice(n // 2, n // 2 + 1) for n in label.shape)
        return k, j, i
    start = np.maximum(np.min(starts, axis=0) - margin, 0)
    stop = np.minimum(np.max(stops, axis=0) + margin, label.shape)
    k, j, i = (slice(int(low), int(high)) for low, high in zip(start, stop, strict=True))
    return k, j, i


def _placed(part: np.ndarray, offset: np.ndarray, box: tuple[slice, slice, slice]) -> np.ndarray:
    """`part`, whose first voxel lies at `offset` (KJI) of the CT, in the box; 0 where it does not reach."""
    placed = np.zeros([side.stop - side.start for side in box], part.dtype)
    low = np.array([side.start for side in box])
    start = np.maximum(offset, low)
    stop = np.minimum(offset + part.shape, [side.stop for side in box])
    if np.all(start < stop):
        target = tuple(slice(a, b) for a, b in zip(start - low, stop - low, strict=True))
        source = tuple(slice(a, b) for a, b in zip(start - offset, stop - offset, strict=True))
        placed[target] = part[source]
    return placed
