"""Whether a CT shows the upper abdomen of a patient, told from coarse voxels within a fraction of a second.

The sign of the upper abdomen is the liver: no other soft tissue is as thick where there is neither much lung around it
(as around the heart) nor much bone (as around the brain). Made and tried on the scans and crops of
Testing/imaging/test_field_of_view.py; a doubt is a reason to look, never a reason to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .components import body_box, body_mask

SEARCH_MM = 5.0
AIR_INSIDE_HU, BONE_HU = -500.0, 250.0
# CTs that went through 8-bit pictures end at 255 HU; unclipped, bone and contrast medium reach far beyond.
CLIPPED_AT_HU = (240.0, 320.0)
FAT_HU = (-150.0, -30.0)
# Wide enough for a fatty liver without contrast and for one in the portal venous phase.
SOFT_TISSUE_HU = (-10.0, 220.0)

# Of all voxels more than 8 mm below the skin. In seven scans of patients fat made up 15 to 55 %, bone 1.2 to 16 %.
LEAST_FAT, LEAST_BONE = 0.01, 0.002
LEAST_BODY_ML = 1000.0
# A head has 200 to 250 cm2; slices through an adult abdomen 300 to 1000.
LEAST_ABDOMEN_CM2 = 250.0
MOST_BONE_IN_ABDOMEN = 0.10
MOST_LUNG_BESIDE_LIVER, MOST_LUNG_BELOW_LUNGS = 0.10, 0.05
# Soft tissue this far from everything else, in one piece of a slice. Livers had 83 to 141 cm2 (six patients) and 71 to
# 81 cm2 (four phantoms), everything else in slices without much lung at most 29 cm2.
DEPTH_MM, LEAST_LIVER_CM2 = 20.0, 45.0
# Six scans that show (most of) the pancreas had 76 mm and more without lung up to the top of the liver.
LEAST_BELOW_LUNGS_MM = 60.0


def field_of_view_doubts(image: sitk.Image) -> list[str]:
    """Reasons to doubt that a CT shows where the pancreas lies, one sentence each; none for an abdominal CT.

    Parameters
    ----------
    image : sitk.Image
        3D CT in HU with axes along L, P, S, such as `to_model_grid` returns; spacing of 6 mm or less.

    Returns
    -------
    At most one sentence: no patient at all, a test object, no upper abdomen, or an end too soon below the lungs.
    """
    coarse = _coarse(image)
    body = body_mask(coarse.hu)
    millilitres = float(np.prod(coarse.spacing)) / 1000
    if np.count_nonzero(body) * millilitres < LEAST_BODY_ML:
        return ["The scan holds next to nothing but air: no patient was recognised in it."]
    if not _is_tissue(coarse, body):
        return ["The scan shows no bone or no fat as every patient has: it seems to be one of a test object."]
    slices = _slices(coarse, body)
    abdomen = (slices.body_cm2 >= LEAST_ABDOMEN_CM2) & (slices.bone < MOST_BONE_IN_ABDOMEN)
    liver = abdomen & (slices.lung < MOST_LUNG_BESIDE_LIVER) & (slices.thick_cm2 >= LEAST_LIVER_CM2)
    if not liver.any():
        return [
            "The scan does not seem to show the upper abdomen, where the pancreas lies: nothing in it looks like a "
            "liver below the lungs."
        ]
    # Slices count from the feet up; above the liver, shoulders and neck are without lung again.
    free = (abdomen & (slices.lung < MOST_LUNG_BELOW_LUNGS))[: np.flatnonzero(liver)[-1] + 1]
    below_lungs_mm = np.count_nonzero(free) * coarse.spacing[0]
    if below_lungs_mm < LEAST_BELOW_LUNGS_MM:
        shown = f"only about {below_lungs_mm:.0f} mm" if below_lungs_mm >= 10 else "next to nothing"
        return [f"The scan shows {shown} of the body below the lungs: a part of the pancreas may lie outside of it."]
    return []


@dataclass(frozen=True)
class _Coarse:
    """Voxels (K, J, I) in HU around the body, their spacing along K, J, I in mm, and from where on they are bone."""

    hu: np.ndarray
    spacing: tuple[float, float, float]
    bone_hu: float = BONE_HU


@dataclass(frozen=True)
class _Slices:
    """Per axial slice: area of the body, the parts of it that are lung (or other air) and bone, and what may be liver.

    `thick_cm2` is the largest piece of soft tissue that lies `DEPTH_MM` away from everything else.
    """

    body_cm2: np.ndarray
    lung: np.ndarray
    bone: np.ndarray
    thick_cm2: np.ndarray


def _coarse(image: sitk.Image) -> _Coarse:
    factors = [max(1, min(round(SEARCH_MM / mm), n)) for mm, n in zip(image.GetSpacing(), image.GetSize(), strict=True)]
    shrunk = sitk.BinShrink(image, factors) if max(factors) > 1 else image
    hu = sitk.GetArrayFromImage(shrunk)[body_box(shrunk)].astype(np.float32)
    highest = float(sitk.GetArrayViewFromImage(image).max())
    # Merged with what lies about it, clipped bone hardly reaches the value that it was clipped to.
    lowest_of_clip, highest_of_clip = CLIPPED_AT_HU
    bone_hu = 0.6 * highest if lowest_of_clip <= highest <= highest_of_clip else BONE_HU
    return _Coarse(hu, shrunk.GetSpacing()[::-1], bone_hu)


def _is_tissue(coarse: _Coarse, body: np.ndarray) -> bool:
    # Not at the surface: there every object has voxels between its own value and air's.
    inside = coarse.hu[ndimage.binary_erosion(body, iterations=max(1, round(8 / coarse.spacing[1])), border_value=1)]
    low, high = FAT_HU
    return bool(
        inside.size > 0
        and np.mean((inside > low) & (inside < high)) >= LEAST_FAT
        and np.mean(inside > coarse.bone_hu) >= LEAST_BONE
    )


def _slices(coarse: _Coarse, body: np.ndarray) -> _Slices:
    voxels = np.maximum(np.count_nonzero(body, axis=(1, 2)), 1)
    square_cm = coarse.spacing[1] * coarse.spacing[2] / 100
    smooth = ndimage.gaussian_filter(coarse.hu, [4.0 / mm for mm in coarse.spacing])
    low, high = SOFT_TISSUE_HU
    depth = ndimage.distance_transform_edt((smooth > low) & (smooth < high) & body, sampling=coarse.spacing)
    thick = [_largest_piece(each > DEPTH_MM) for each in depth]
    return _Slices(
        np.count_nonzero(body, axis=(1, 2)) * square_cm,
        np.count_nonzero(body & (coarse.hu < AIR_INSIDE_HU), axis=(1, 2)) / voxels,
        np.count_nonzero(body & (coarse.hu > coarse.bone_hu), axis=(1, 2)) / voxels,
        np.array(thick) * square_cm,
    )


def _largest_piece(mask: np.ndarray) -> int:
    labels, count = ndimage.label(mask)
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0
