"""Surroundings for a label map that knows eight organs only: those of a whole-trunk map, bent to fit.

The whole trunk (host) is brought onto the organs (guest) by an affine map through the organs' centres and extents and
then by demons on their smoothed, coded label maps (J. Thirion, MedIA 1998; SimpleITK's fast symmetric variant). The
guest's organs stay as they were drawn by hand; bones, muscles, bowel and vessels come from the host.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .anatomy import GRID_MM, Anatomy, wall_distance
from .parts import ORGANS, Part

REGISTRATION_MM = 4.0
# Codes far apart for neighbours, so that demons see the borders between them.
_CODES = {
    Part.LIVER: 1.0, Part.SPLEEN: 0.8, Part.LEFT_KIDNEY: 0.55, Part.PANCREAS: 0.9, Part.DUODENUM: 0.5,
    Part.STOMACH: 0.65, Part.GALLBLADDER: 0.4, Part.OESOPHAGUS: 0.6,
}  # fmt: skip
_ITERATIONS = 60
_SMOOTHING_VOXELS = 2.5  # of the demons' field: a stiff field keeps bones bones


def complete(guest: sitk.Image, host: Anatomy, name: str, licence: str, attribution: str) -> Anatomy:
    """Return `guest`'s organs within `host`'s surroundings.

    Parameters
    ----------
    guest : part map of organs only (see `anatomy.read_multiorgan_parts`).
    """
    grid = _grid_about(guest)
    transform = _affine(guest, host.parts)
    moving = sitk.Resample(_coded(host.parts), grid, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    fixed = sitk.Resample(_coded(guest), grid, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(_ITERATIONS)
    demons.SmoothDisplacementFieldOn()
    demons.SetStandardDeviations(_SMOOTHING_VOXELS)
    field = demons.Execute(fixed, moving)
    # Points of the guest first move by the field, then by the affine map: the last one added acts first.
    both = sitk.CompositeTransform(
        [transform, sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))]
    )
    reference = _finer(grid, GRID_MM)
    parts = sitk.Resample(host.parts, reference, both, sitk.sitkNearestNeighbor, float(Part.FAT), sitk.sitkUInt8)
    array = sitk.GetArrayFromImage(parts)
    # What is left of the host's own organs is nobody's: the guest's are elsewhere.
    array[np.isin(array, [int(part) for part in ORGANS])] = Part.FAT
    organs = sitk.GetArrayFromImage(
        sitk.Resample(guest, reference, sitk.Transform(), sitk.sitkNearestNeighbor, float(Part.FAT))
    )
    array = np.where(organs != Part.FAT, organs, array)
    completed = sitk.GetImageFromArray(array.astype(np.uint8))
    completed.CopyInformation(reference)
    completed = _cropped(completed)
    return Anatomy(name, completed, wall_distance(completed), licence, attribution)


def _affine(guest: sitk.Image, host: sitk.Image) -> sitk.AffineTransform:
    """Map from guest to host points: scales per axis and a shift, through corresponding organs.

    Of each organ its centre and its 5th and 95th percentile along each axis take part.
    """
    sources, targets = [], []
    for part in ORGANS:
        ends = _landmarks(guest, part), _landmarks(host, part)
        if ends[0] is not None and ends[1] is not None and part is not Part.OESOPHAGUS:
            sources.append(ends[0])
            targets.append(ends[1])
    source, target = np.concatenate(sources), np.concatenate(targets)
    transform = sitk.AffineTransform(3)
    matrix, shift = np.eye(3), np.zeros(3)
    for axis in range(3):
        slope = np.polyfit(source[:, axis], target[:, axis], 1)[0]
        slope = float(np.clip(slope, 0.7, 1.4))
        matrix[axis, axis] = slope
        shift[axis] = target[:, axis].mean() - slope * source[:, axis].mean()
    transform.SetMatrix(matrix.ravel().tolist())
    transform.SetTranslation(shift.tolist())
    return transform


def _landmarks(parts: sitk.Image, part: Part) -> np.ndarray | None:
    voxels = np.argwhere(sitk.GetArrayViewFromImage(parts) == part)[:, ::-1]
    if len(voxels) < 50:
        return None
    corners = np.percentile(voxels, (5, 50, 95), axis=0)
    return corners * np.array(parts.GetSpacing()) + np.array(parts.GetOrigin())


def _coded(parts: sitk.Image) -> sitk.Image:
    lookup = np.zeros(256, np.float32)
    for part, code in _CODES.items():
        lookup[part] = code
    image = sitk.GetImageFromArray(lookup[sitk.GetArrayViewFromImage(parts)])
    image.CopyInformation(parts)
    return sitk.SmoothingRecursiveGaussian(image, 3.0)


def _grid_about(guest: sitk.Image, margin_mm: tuple[float, float, float] = (60.0, 60.0, 70.0)) -> sitk.Image:
    """An empty grid of `REGISTRATION_MM` about the guest's organs, as far as the surroundings may reach."""
    voxels = np.argwhere(sitk.GetArrayViewFromImage(guest) != Part.FAT)[:, ::-1]
    low = voxels.min(axis=0) * GRID_MM + np.array(guest.GetOrigin()) - margin_mm
    high = voxels.max(axis=0) * GRID_MM + np.array(guest.GetOrigin()) + margin_mm
    low[2] -= 60.0  # below the organs lie the loops of small bowel that the jejunum is one of
    grid = sitk.Image(np.ceil((high - low) / REGISTRATION_MM).astype(int).tolist(), sitk.sitkUInt8)
    grid.SetSpacing((REGISTRATION_MM,) * 3)
    grid.SetOrigin(low.tolist())
    return grid


def _finer(grid: sitk.Image, spacing: float) -> sitk.Image:
    factor = grid.GetSpacing()[0] / spacing
    finer = sitk.Image([int(n * factor) for n in grid.GetSize()], sitk.sitkUInt8)
    finer.SetSpacing((spacing,) * 3)
    finer.SetOrigin(grid.GetOrigin())
    return finer


def _cropped(parts: sitk.Image) -> sitk.Image:
    """Without the slices at both ends that hold next to nothing: the host did not reach there."""
    filled = (sitk.GetArrayViewFromImage(parts) != Part.FAT).mean(axis=(1, 2))
    kept = np.flatnonzero(filled > 0.25 * filled.max())
    return parts[:, :, int(kept[0]) : int(kept[-1]) + 1]
