"""Reasons to distrust a result, told in sentences: what the CT shows, what was found in it, how sure the network was.

How much the network's doubt within the segment says about the quality of the segment: Roy et al. 2019, "Bayesian
QuickNAT" (NeuroImage 195), where such structure-wise measures go with the Dice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..contracts import QualityReport
from ..imaging import field_of_view_doubts
from ..models import ModelPackage, SegmentLabel

# Adults on CT: mean 72.4, sd 25.8 mL (Saisho et al. 2007, Clinical Anatomy 20). Two deviations down are an atrophic
# gland; the upper end leaves room for obesity and for tumours.
SMALLEST_ML, LARGEST_ML = 25.0, 180.0
# A second part of this size, against the largest, is no crumb.
COMPARABLE_PART, COMPARABLE_ML = 1 / 3, 5.0
# A whole abdomen of such probabilities would weigh as much as the organ.
NEXT_TO_NOTHING = 0.02
# Less than this in the outermost slice is a stray voxel or the very end of the organ.
CUT_MM2 = 50.0


@dataclass(frozen=True)
class FoundSegment:
    """What a network found, on the model's grid.

    Attributes
    ----------
    ct : sitk.Image
        The CT in HU on the model's grid, along L, P, S.
    box : tuple[slice, slice, slice]
        The part of it (K, J, I) that the network saw.
    probability : np.ndarray
        Of the first label, float, on `box`.
    spread : np.ndarray | None
        Standard deviation over the passes, likewise; None after a single pass.
    volume_ml : float
        Of the segment, measured on the CT's own voxels.
    is_part : bool
        The CT is a part that a person chose from a larger one: its borders and its size mean nothing.
    doubts : Callable[[], list[str]] | None
        Gives the `field_of_view_doubts` of `ct` where they were looked for before; None where not.
    """

    ct: sitk.Image
    box: tuple[slice, slice, slice]
    probability: np.ndarray
    spread: np.ndarray | None
    volume_ml: float
    is_part: bool = False
    doubts: Callable[[], list[str]] | None = None


def assess_quality(found: FoundSegment, package: ModelPackage, is_phantom: bool) -> QualityReport:
    """Look for reasons to distrust a result, and for how sure the network was.

    Of a phantom nothing is expected that is expected of patients: only an empty result is told of. A phantom-only model
    on anything else is the first reason, and what it found then needs no others.
    """
    mask = found.probability >= package.threshold
    quality = QualityReport()
    if mask.any():
        spread = None if found.spread is None else round(float(found.spread[mask].mean()), 4)
        expected = round(expected_dice(found.probability, package.threshold), 4)
        quality = QualityReport((), round(float(found.probability[mask].mean()), 4), spread, expected)
    if is_phantom:
        reasons = list(_emptiness(found, package))
    elif package.is_phantom_only:
        reasons = [phantom_only_warning(package), *_emptiness(found, package)]
    else:
        reasons = reasons_to_distrust(found, package, quality)
    return replace(quality, reasons=tuple(reasons))


def expected_dice(probability: np.ndarray, threshold: float) -> float:
    """The Dice that a network expects of its own segment: 2 sum(p inside) / (voxels inside + sum(p everywhere)).

    What the Dice would be if p were the true chance of every voxel (the expectations of both sums; Li et al. 2022,
    "Estimating model performance under domain shifts with class-specific confidence scores", MICCAI). Unlike the mean
    probability within the segment it falls, too, where the network hesitates outside of it: at a part that is missing.
    Probabilities below 0.02 count as none. It is as good as the network's calibration, and worth little on a CT unlike
    those that it knows.

    Parameters
    ----------
    probability : np.ndarray
        0..1, of any shape.
    threshold : float
        Lowest probability of the segment; something has to reach it.
    """
    inside = probability[probability >= threshold]
    anywhere = probability[probability >= NEXT_TO_NOTHING].sum(dtype=float)
    return float(2 * inside.sum(dtype=float) / (inside.size + anywhere))


def phantom_only_warning(package: ModelPackage) -> str:
    """What to say before and after a phantom-only model runs on what is no phantom."""
    return (
        f'The model "{package.name}" knows only computer-made phantoms, and this is no such phantom: '
        "DO NOT USE THIS RESULT; choose a model that was made for CT."
    )


def reasons_to_distrust(found: FoundSegment, package: ModelPackage, quality: QualityReport) -> list[str]:
    """Reasons to distrust what a model for CT found on a CT, the gravest kind first; one sentence each."""
    reasons = []
    if not found.is_part:
        reasons += found.doubts() if found.doubts else field_of_view_doubts(found.ct)
    reasons += _emptiness(found, package)
    mask = found.probability >= package.threshold
    if mask.any():
        if not found.is_part:
            reasons += _cut_by_the_border(found, mask)
            reasons += _implausible_volume(found, package)
        reasons += _scattered(found, mask)
        reasons += _doubt_of_the_network(package, quality)
    return reasons


def _emptiness(found: FoundSegment, package: ModelPackage) -> Iterator[str]:
    if not found.volume_ml:
        yield f"No pancreas was found: nothing in the CT reaches the threshold {package.threshold:g}."


def _cut_by_the_border(found: FoundSegment, mask: np.ndarray) -> Iterator[str]:
    """Whether the segment goes on where the scan ends.

    Series may be padded with empty slices, so the first and the last slice are those that show more than air.
    """
    spacing = found.ct.GetSpacing()[::-1]
    shown = np.flatnonzero((sitk.GetArrayViewFromImage(found.ct) > -300).any(axis=(1, 2)))
    sides = ("lower end", "upper end"), ("front", "back"), ("right side", "left side")
    for axis, names in enumerate(sides):
        first, last = (shown[0], shown[-1]) if axis == 0 else (0, found.ct.GetSize()[2 - axis] - 1)
        voxel_mm2 = np.prod(spacing) / spacing[axis]
        for index, name in zip((first, last), names, strict=True):
            inside = index - found.box[axis].start
            if not 0 <= inside < mask.shape[axis]:
                continue
            if np.count_nonzero(np.take(mask, inside, axis)) * voxel_mm2 >= CUT_MM2:
                yield f"The segment reaches the {name} of the scan: a part of the pancreas may lie outside of it."


def _implausible_volume(found: FoundSegment, package: ModelPackage) -> Iterator[str]:
    if not SegmentLabel.of_manifest(package.labels[0]).is_pancreas or not found.volume_ml:
        return
    if not SMALLEST_ML <= found.volume_ml <= LARGEST_ML:
        kind = "small" if found.volume_ml < SMALLEST_ML else "large"
        yield (
            f"The volume of {found.volume_ml:.0f} mL is unusually {kind} for a pancreas "
            f"({SMALLEST_ML:g} to {LARGEST_ML:g} mL)."
        )


def _scattered(found: FoundSegment, mask: np.ndarray) -> Iterator[str]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), dtype=bool))
    if count < 2:
        return
    volumes = np.bincount(labels.ravel())[1:] * float(np.prod(found.ct.GetSpacing())) / 1000
    parts = np.count_nonzero((volumes >= COMPARABLE_PART * volumes.max()) & (volumes >= COMPARABLE_ML))
    if parts > 1:
        yield f"The segment consists of {parts} separate parts of comparable size; the pancreas is one organ."


def _doubt_of_the_network(package: ModelPackage, quality: QualityReport) -> Iterator[str]:
    """The spread, where there is one, and the probability inside and outside of the segment."""
    limits = package.quality_limits
    if quality.mean_spread is not None and quality.mean_spread > limits.spread:
        yield (
            f"Small changes of the CT change the result: the spread of the probability within the segment is "
            f"{quality.mean_spread:.2f} on average, above {limits.spread:g}."
        )
    dice, probability = quality.expected_dice, quality.mean_probability
    if limits.expected_dice is not None and dice is not None and dice < limits.expected_dice:
        yield (
            f"The network is unsure: it expects a Dice of {dice:.2f} of its own segment, below "
            f"{limits.expected_dice:.2f}; look for parts that are missing or too much."
        )
    if limits.mean_probability is not None and probability is not None and probability < limits.mean_probability:
        yield (
            f"The network is unsure: the probability within the segment is {probability:.2f} on average, "
            f"below {limits.mean_probability:g}."
        )
