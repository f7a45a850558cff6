"""How well one segmentation matches one label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .cropped_case import CroppedCase
from .surface_distance import hausdorff_95_mm, normalised_surface_dice

TOLERANCE_MM = 2.0
FAILURE_DICE = 0.3
_NEIGHBOURS_26 = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class CaseMetrics:
    """The measurements on one case; None where one is not defined (`remarks` says why).

    Attributes
    ----------
    dice : 2 |P ∩ L| / (|P| + |L|), P the segment and L the label. None where both are empty.
    hd95_mm : 95th percentile Hausdorff distance. None where one of them is empty.
    nsd : normalised surface Dice at 2 mm. None where both are empty.
    recall : |P ∩ L| / |L|. None where the label is empty.
    precision : |P ∩ L| / |P|. None where the segment is empty.
    predicted_ml, labelled_ml : volumes.
    volume_error_ml : predicted less labelled.
    volume_error_percent : of the labelled volume. None where the label is empty.
    largest_false_positive_ml : the largest connected part (26 neighbours) of the segment without any voxel of the
        label. A part that reaches into the ignored region is not one: it may be pancreas there.
    remarks : one sentence each, on what is not defined or was left out.
    """

    dice: float | None
    hd95_mm: float | None
    nsd: float | None
    recall: float | None
    precision: float | None
    predicted_ml: float
    labelled_ml: float
    volume_error_ml: float
    volume_error_percent: float | None
    largest_false_positive_ml: float
    remarks: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether the Dice is below 0.3."""
        return self.dice is not None and self.dice < FAILURE_DICE


def compare(case: CroppedCase) -> CaseMetrics:
    """Measure one case on its own voxels, without the ignored region."""
    predicted, label = case.predicted, case.label
    both, found, true = (int(np.count_nonzero(mask)) for mask in (predicted & label, predicted, label))
    predicted_ml, labelled_ml = found * case.voxel_ml, true * case.voxel_ml
    return CaseMetrics(
        dice=_ratio(2 * both, found + true),
        hd95_mm=hausdorff_95_mm(predicted, label, case.spacing_mm),
        nsd=normalised_surface_dice(predicted, label, case.spacing_mm, TOLERANCE_MM),
        recall=_ratio(both, true),
        precision=_ratio(both, found),
        predicted_ml=predicted_ml,
        labelled_ml=labelled_ml,
        volume_error_ml=predicted_ml - labelled_ml,
        volume_error_percent=_ratio(100 * (found - true), true),
        largest_false_positive_ml=_largest_false_positive(case) * case.voxel_ml,
        remarks=tuple(_remarks(case, found, true)),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _largest_false_positive(case: CroppedCase) -> int:
    """Voxels of the largest part of the segment that touches neither the label nor the ignored region."""
    parts, count = ndimage.label(case.predicted_before_ignore, structure=_NEIGHBOURS_26)
    if not count:
        return 0
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    sizes[parts[case.label]] = 0
    if case.ignore is not None:
        sizes[parts[case.ignore]] = 0
    return int(sizes.max())


def _remarks(case: CroppedCase, found: int, true: int) -> list[str]:
    remarks = []
    if not found and not true:
        remarks.append("Label and segment are both empty: right, but nothing to measure.")
    elif not found:
        remarks.append("Nothing was found: HD95 and precision are not defined.")
    elif not true:
        remarks.append("The label is empty and something was found: HD95, recall and the volume error in % are not "
                       "defined.")  # fmt: skip
    if case.ignore is not None and case.ignore.any():
        ignored = np.count_nonzero(case.ignore & case.predicted_before_ignore) * case.voxel_ml
        remarks.append(f"The label is partial: {ignored:.1f} mL of the segment lie where it says nothing and were "
                       "left out.")  # fmt: skip
    return remarks
