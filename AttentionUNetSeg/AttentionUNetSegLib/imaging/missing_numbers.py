"""Voxels without a number (NaN, infinite): air where no patient can be, a refusal anywhere else."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import BadInput
from .components import BODY_HU

AIR_HU = -1024.0
# Where so much of the border of what is missing lies against tissue, a part of the patient is missing.
_MOST_AGAINST_TISSUE = 0.3


def without_missing_numbers(image: sitk.Image, name: str) -> tuple[sitk.Image, list[str]]:
    """Return the image with air (-1024 HU) for voxels without a number outside the patient, and a warning of them.

    Scanners reconstruct a round field of view, and some programs mark what lies outside of it by NaN.

    Raises
    ------
    BadInput
        Such voxels lie inside the patient, or no voxel holds a number.
    """
    if image.GetPixelID() not in (sitk.sitkFloat32, sitk.sitkFloat64):
        return image, []
    voxels = sitk.GetArrayViewFromImage(image)
    missing = ~np.isfinite(voxels)
    count = int(np.count_nonzero(missing))
    if not count:
        return image, []
    share = f"{count} of {voxels.size} voxels"
    if count == voxels.size:
        raise BadInput(f"{name} holds no number at all: all voxels are NaN or infinite.", "Give the original CT.")
    filled = np.where(missing, voxels.dtype.type(AIR_HU), voxels)
    if _is_in_patient(filled > BODY_HU, missing):
        raise BadInput(
            f"{name} holds NaN or infinite values inside the patient ({share} in all).", "Give the original CT values."
        )
    mended = sitk.GetImageFromArray(filled)
    mended.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        mended.SetMetaData(key, image.GetMetaData(key))
    return mended, [f"{name} holds NaN or infinite values outside the patient ({share}); they were taken as air."]


def _is_in_patient(dense: np.ndarray, missing: np.ndarray) -> bool:
    # Whole slices may be missing: what lies on both sides of them is one patient.
    labels, count = ndimage.label(dense | missing)
    patient = np.bincount(labels[dense], minlength=count + 1).argmax()
    dense = dense & (labels == patient)
    # Surrounded by the patient: along a row and along a column, or from one slice to another.
    if np.any(_is_between(dense, 1) & _is_between(dense, 2) & missing) or np.any(_is_between(dense, 0) & missing):
        return True
    border = ndimage.binary_dilation(missing) & ~missing
    return int(np.count_nonzero(border & dense)) > _MOST_AGAINST_TISSUE * max(1, int(np.count_nonzero(border)))


def _is_between(mask: np.ndarray, axis: int) -> np.ndarray:
    """Tell which voxels have some of the mask on both sides along an axis."""
    before = np.maximum.accumulate(mask, axis=axis)
    after = np.flip(np.maximum.accumulate(np.flip(mask, axis), axis=axis), axis)
    return before & after
