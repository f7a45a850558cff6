"""The CT around the gland, along the patient's axes: where spine, great vessels and the gland's own veins lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..imaging import Geometry, image_on_grid

Box = tuple[slice, slice, slice]

# Sampled at, and reaching from the gland's box towards right and left, front and back, feet and head. LPS, mm.
STEP_MM = 2.0, 2.0, 3.0
_REACH_MM = np.array([[-45.0, -10.0, -20.0], [45.0, 110.0, 20.0]])
# The CT is sampled this often within a step along the body, and averaged: thin slices are noisy.
_SAMPLES = 2
OUTSIDE_HU = -2000.0


@dataclass(frozen=True)
class Surroundings:
    """The CT and the gland, sampled along S, P, L (up, back, left) at 3, 2 and 2 mm.

    Attributes
    ----------
    hu : float32; `OUTSIDE_HU` where the CT has no voxels.
    gland : boolean.
    """

    hu: np.ndarray
    gland: np.ndarray


def box_with_surroundings(grid: Geometry, box: Box) -> Box:
    """Return the box of a CT's voxels (KJI) that `surroundings` looks at, for a gland within `box`."""
    start, stop = (np.array([getattr(side, end) for side in reversed(box)]) for end in ("start", "stop"))
    corners = grid.corners(start, stop)
    low, high = corners.min(axis=0) + _REACH_MM[0], corners.max(axis=0) + _REACH_MM[1]
    wanted = grid.index(np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T)
    first = np.clip(np.floor(wanted.min(axis=0)), 0, start).astype(int)
    last = np.clip(np.ceil(wanted.max(axis=0)) + 1, stop, grid.size).astype(int)
    (i0, j0, k0), (i1, j1, k1) = first.tolist(), last.tolist()
    return slice(k0, k1), slice(j0, j1), slice(i0, i1)


def surroundings(ct: sitk.Image, mask: np.ndarray, grid: Geometry) -> Surroundings:
    """Sample the CT around a gland.

    Parameters
    ----------
    ct : HU; what it does not cover counts as outside.
    mask : boolean (KJI), not empty.
    grid : where the mask's voxels lie.
    """
    corners = grid.corners()
    low, high = corners.min(axis=0) + _REACH_MM[0], corners.max(axis=0) + _REACH_MM[1]
    size = np.ceil((high - low) / STEP_MM).astype(int)
    fine = sitk.Image([int(size[0]), int(size[1]), int(size[2]) * _SAMPLES], sitk.sitkUInt8)
    fine.SetSpacing((STEP_MM[0], STEP_MM[1], STEP_MM[2] / _SAMPLES))
    fine.SetOrigin(low.tolist())
    values = sitk.Resample(ct, fine, sitk.Transform(), sitk.sitkLinear, OUTSIDE_HU, sitk.sitkFloat32)
    hu = sitk.GetArrayViewFromImage(values).reshape(-1, _SAMPLES, *size[1::-1]).mean(axis=1)
    gland = sitk.Resample(
        image_on_grid(mask.astype(np.uint8), grid), fine, sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )
    inside = sitk.GetArrayViewFromImage(gland).reshape(-1, _SAMPLES, *size[1::-1]).max(axis=1) > 0
    return Surroundings(hu, inside)
