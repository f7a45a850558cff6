"""A segment whose truth is known voxel by voxel, for the tests that write it as DICOM."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def probability_on(image: sitk.Image, seed: int = 3) -> sitk.Image:
    """A probability 0..255, cropped as the network's are, with every value there is and not symmetric in any way."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 256, (5, 7, 9), dtype=np.uint8)
    values[0, 0, 0] = values[-1, -1, -1] = 200
    cropped = image[4:13, 2:9, 3:8]
    field = sitk.GetImageFromArray(values)
    field.CopyInformation(cropped)
    return field


def on_whole_grid(field: sitk.Image, image: sitk.Image) -> np.ndarray:
    """The field's voxels (KJI) on the grid of the CT, 0 outside, placed by index arithmetic alone."""
    whole = np.zeros(image.GetSize()[::-1], sitk.GetArrayFromImage(field).dtype)
    start = image.TransformPhysicalPointToIndex(field.GetOrigin())
    i, j, k = (slice(a, a + n) for a, n in zip(start, field.GetSize(), strict=True))
    whole[k, j, i] = sitk.GetArrayFromImage(field)
    return whole
