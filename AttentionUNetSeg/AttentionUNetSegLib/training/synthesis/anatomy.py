"""Real label maps as part maps: what the synthesis warps and paints.

Whole-trunk maps (TotalSegmentator) know bones, bowel and vessels. Abdominal maps (the multi-organ reference of Gibson
et al. 2018) know eight organs drawn by hand and nothing around them: `completion` gives them surroundings.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import BadInput
from .parts import Part

GRID_MM = 2.0

# Values of the multi-organ reference; the data set's description gives the order.
MULTIORGAN_PARTS = {
    1: Part.SPLEEN, 2: Part.PANCREAS, 3: Part.LEFT_KIDNEY, 4: Part.GALLBLADDER, 5: Part.OESOPHAGUS, 6: Part.LIVER,
    7: Part.STOMACH, 8: Part.DUODENUM,
}  # fmt: skip

# First match wins. TotalSegmentator's structure names, versions 1 and 2.
_TOTALSEGMENTATOR_PARTS = (
    (r"pancreas", Part.PANCREAS),
    (r"duodenum", Part.DUODENUM),
    (r"stomach", Part.STOMACH),
    (r"small_bowel", Part.SMALL_BOWEL),
    (r"colon", Part.COLON),
    (r"liver", Part.LIVER),
    (r"spleen", Part.SPLEEN),
    (r"kidney(_cyst)?_left", Part.LEFT_KIDNEY),
    (r"kidney(_cyst)?_right", Part.RIGHT_KIDNEY),
    (r"gallbladder", Part.GALLBLADDER),
    (r"adrenal_gland", Part.ADRENAL),
    (r"portal_vein", Part.PORTAL_VEIN),
    (r"aorta", Part.AORTA),
    (r"(inferior|superior)_vena_cava|iliac_vena|brachiocephalic_vein", Part.VENA_CAVA),
    (r"iliac_artery|subclavian|carotid|brachiocephalic_trunk", Part.ARTERY),
    (r"esophagus", Part.OESOPHAGUS),
    (r"heart|atri|pulmonary", Part.HEART),
    (r"lung", Part.LUNG),
    (r"trachea", Part.LUNG),
    (r"bladder", Part.BLADDER),
    (r"spinal_cord", Part.SPINAL_CANAL),
    (r"vertebrae|rib_|hip|sacrum|sternum|costal|femur|humerus|scapula|clavicula|skull", Part.BONE),
    (r"gluteus|autochthon|iliopsoas", Part.MUSCLE),
)
# Arms lie in the field of view of some scans only, and their bones would stretch the body's outline.
_LEFT_OUT = re.compile(r"humerus|scapula|clavicula|skull|brain|face")


@dataclass(frozen=True)
class Anatomy:
    """One person's parts.

    Attributes
    ----------
    name : of the source.
    parts : uint8 image of `Part` values, axes along L, P, S, `GRID_MM` isotropic. Unlabelled places are FAT.
    wall_distance : float32 image on a 4 mm grid: distance in mm to the outline of everything that was labelled,
        negative inside; body wall and skin are drawn from it.
    licence, attribution : of the source.
    """

    name: str
    parts: sitk.Image
    wall_distance: sitk.Image
    licence: str
    attribution: str


def read_totalsegmentator_parts(labels: Path, names: Path) -> sitk.Image:
    """Part map of a TotalSegmentator label map and its table (value, name, ...).

    Raises
    ------
    BadInput : the table lacks the pancreas, or a file cannot be read.
    """
    with open(names, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if len(row) >= 2 and row[0].strip().isdigit()]
    lookup = np.full(256, Part.FAT, np.uint8)
    for row in rows:
        part = _part_of(row[1].strip())
        if part is not None:
            lookup[int(row[0])] = part
    if Part.PANCREAS not in lookup:
        raise BadInput(f"The table {names} names no pancreas.", "Give a table with the columns value and name.")
    return on_part_grid(sitk.ReadImage(str(labels)), lookup)


def read_multiorgan_parts(labels: Path) -> sitk.Image:
    """Part map of the eight organs of a multi-organ reference map; everything else is FAT."""
    lookup = np.full(256, Part.FAT, np.uint8)
    for value, part in MULTIORGAN_PARTS.items():
        lookup[value] = part
    return on_part_grid(sitk.ReadImage(str(labels)), lookup)


def on_part_grid(labels: sitk.Image, lookup: np.ndarray) -> sitk.Image:
    """`lookup` of `labels`, axes along L, P, S at `GRID_MM`; each voxel takes the label at its centre.

    Thick slices are smoothed along their normal first, structure by structure, so that the steps between them vanish.
    """
    upright = sitk.DICOMOrient(labels, "LPS")
    mapped = sitk.GetImageFromArray(lookup[sitk.GetArrayViewFromImage(upright)])
    mapped.SetSpacing(upright.GetSpacing())
    size = [max(8, round(n * s / GRID_MM)) for n, s in zip(mapped.GetSize(), mapped.GetSpacing(), strict=True)]
    reference = sitk.Image(size, sitk.sitkUInt8)
    reference.SetSpacing((GRID_MM,) * 3)
    if mapped.GetSpacing()[2] <= GRID_MM:
        return sitk.Resample(mapped, reference, sitk.Transform(), sitk.sitkNearestNeighbor, float(Part.FAT))
    best = np.full(size[::-1], 0.5, np.float32)
    result = np.full(size[::-1], Part.FAT, np.uint8)
    for value in np.unique(lookup[1:]):
        if value == Part.FAT:
            continue
        mask = sitk.Cast(sitk.Equal(mapped, float(value)), sitk.sitkFloat32)
        share = sitk.GetArrayFromImage(sitk.Resample(mask, reference, sitk.Transform(), sitk.sitkLinear))
        reached = share >= best
        result[reached] = value
        best = np.maximum(best, share)
    image = sitk.GetImageFromArray(result)
    image.CopyInformation(reference)
    return image


def wall_distance(parts: sitk.Image, bridge_mm: float = 64.0) -> sitk.Image:
    """Distance in mm to the smooth outline of all labelled parts (see `Anatomy.wall_distance`), on a 4 mm grid.

    Gaps narrower than `bridge_mm` between labelled parts belong to the inside: it is a morphological closing by
    distance, slice by slice padded at both ends so that the trunk stays open there.
    """
    coarse = sitk.Resample(
        sitk.NotEqual(parts, int(Part.FAT)), [max(1, n // 2) for n in parts.GetSize()], sitk.Transform(),
        sitk.sitkNearestNeighbor, parts.GetOrigin(), [2 * s for s in parts.GetSpacing()], parts.GetDirection(),
    )  # fmt: skip
    margin = int(bridge_mm / coarse.GetSpacing()[0]) + 12
    padded = np.pad(sitk.GetArrayFromImage(coarse), ((margin, margin), (0, 0), (0, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (margin, margin), (margin, margin)))
    image = sitk.GetImageFromArray(padded.astype(np.uint8))
    image.SetSpacing(coarse.GetSpacing())
    grown = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True) <= bridge_mm / 2
    shrunk = sitk.SignedMaurerDistanceMap(grown, squaredDistance=False, useImageSpacing=True) + bridge_mm / 2 <= 0
    filled = sitk.JoinSeries([sitk.BinaryFillhole(shrunk[:, :, k]) for k in range(shrunk.GetSize()[2])])
    filled.CopyInformation(shrunk)
    closed = sitk.SignedMaurerDistanceMap(filled, squaredDistance=False, useImageSpacing=True)
    array = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(closed, 5.0))[margin:-margin]
    result = sitk.GetImageFromArray(array.astype(np.float32))
    result.SetSpacing(coarse.GetSpacing())
    origin = coarse.GetOrigin()
    result.SetOrigin([origin[0] - margin * 4.0, origin[1] - margin * 4.0, origin[2]])
    return result


def centre_of(parts: sitk.Image, members: Iterable[Part]) -> np.ndarray:
    """Centre of mass (x, y, z) in mm of the `members`' voxels; NaN where there are none."""
    found = np.argwhere(np.isin(sitk.GetArrayViewFromImage(parts), [int(member) for member in members]))
    if not len(found):
        return np.full(3, np.nan)
    return np.array(parts.TransformContinuousIndexToPhysicalPoint(found.mean(axis=0)[::-1].tolist()))


def _part_of(name: str) -> Part | None:
    if _LEFT_OUT.search(name):
        return None
    for pattern, part in _TOTALSEGMENTATOR_PARTS:
        if re.match(pattern, name) or (part is Part.BONE and re.search(pattern, name)):
            return part
    return Part.SOFT_TISSUE
