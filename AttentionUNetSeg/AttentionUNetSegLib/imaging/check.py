"""Is this a CT that can be segmented? Refusals and warnings in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from .geometry import Geometry

FEWEST_SLICES = 8
PLAUSIBLE_HU = (-1100.0, 3100.0)
# Largest deviation of direction^T direction from the identity: 0.06 degrees, 0.5 mm over a trunk.
LARGEST_SHEAR = 1e-3
THICK_SLICE_MM = 6.0
SPACING_MM = (0.05, 20.0)
SHORT_FIELD_MM = 80.0
SLAB_VOXELS = 2**23
# Shares of an image for `_rescaling_doubt`, and how many voxels it looks at.
_NEXT_TO_NOTHING, _MUCH = 0.002, 0.05
_VOXELS_LOOKED_AT = 500_000


# Of the voxels of a label map that are not 0, at least so many have the value of the next one in their row.
_HIGHEST_LABEL, _EVEN = 1000, 0.6


def check_ct(image: sitk.Image, any_intensity: bool = False) -> tuple[str, ...]:
    """Refuse what is not a CT volume in Hounsfield units; say what is doubtful about one that is.

    Parameters
    ----------
    image : sitk.Image
        The volume; it is not changed.
    any_intensity : bool
        Warn of values that are not Hounsfield units instead of refusing them: a person insisted.

    Returns
    -------
    Warnings, one sentence each; none for an ordinary abdominal CT.

    Raises
    ------
    BadInput
        Not 3D, several components, empty, fewer than 8 voxels along an axis, sheared or broken geometry, NaN or
        infinite values, constant, or not in Hounsfield units.
    """
    check_shape(image.GetSize(), image.GetNumberOfComponentsPerPixel())
    check_geometry(Geometry.of(image))
    if image.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise BadInput("The image holds complex numbers, not Hounsfield units.", "Give a CT volume.")
    doubts = intensity_doubts(sitk.GetArrayViewFromImage(image), any_intensity)
    return (*doubts, *_field_warnings(Geometry.of(image)))


def intensity_doubts(voxels: np.ndarray, any_intensity: bool = False) -> tuple[str, ...]:
    """Say what is doubtful about values that should be Hounsfield units (any 3D array of them).

    Parameters
    ----------
    voxels : np.ndarray
        3D, of any scalar type.
    any_intensity : bool
        As in `check_ct`.

    Raises
    ------
    BadInput
        NaN or infinite values, constant, or, unless `any_intensity`, not in Hounsfield units.
    """
    lowest, highest, plausible = _summarise(voxels)
    span = f"values from {lowest:g} to {highest:g}"
    if lowest == highest:
        raise BadInput(f"The image is constant: every voxel is {lowest:g}.", "Give a CT volume.")
    refusal = _not_hounsfield(lowest, highest, plausible, np.issubdtype(voxels.dtype, np.floating))
    if lowest == 0 and highest <= _HIGHEST_LABEL and _looks_like_labels(voxels):
        refusal = "it looks like a label map, whole numbers in even areas", "Give the CT that it was made on."
    shift = _rescaling_doubt(voxels)
    if shift < 0:
        refusal = refusal or (
            "next to nothing in it has the values of soft tissue, and much lies about 1024 below them, as if the "
            "rescale intercept had been applied twice",
            "Load the original series again.",
        )
    if refusal and not any_intensity:
        raise BadInput(f"The image is not in Hounsfield units: {refusal[0]} ({span}).", refusal[1])
    if refusal:
        return (f"The image is not in Hounsfield units: {refusal[0]} ({span}); the result may mean nothing.",)
    if shift > 0 or (lowest >= 0 and highest > 2000):
        return (
            f"The {span} look like stored values without the rescale intercept (usually -1024); "
            "if so, the result will be wrong.",
        )
    if lowest >= -200:
        return (f"Nothing in the image is below -200 HU ({span}): a CT shows air, so check that this is one in HU.",)
    return ()


def check_shape(size: tuple[int, ...], components: int) -> None:
    """Raise BadInput unless size and number of components are those of one 3D grey-value volume."""
    if components > 1:
        raise BadInput(
            f"The image has {components} values per voxel (a colour or vector image), not one CT value.",
            "Give a CT volume with one value per voxel.",
        )
    extra = [n for n in size[3:] if n > 1]
    if len(size) < 3:
        raise BadInput(f"The image is {len(size)}D, not 3D.", "Give a CT volume, not a single slice.")
    if extra:
        raise BadInput(
            f"The image is {len(size)}D with {int(np.prod(extra))} volumes, not one 3D volume.",
            "Extract one time point or phase first.",
        )
    if min(size) == 0:
        raise BadInput("The image is empty: it has no voxels.")
    if min(size[:3]) < FEWEST_SLICES:
        what = "slices" if size[2] < FEWEST_SLICES else "rows or columns"
        raise BadInput(
            f"The image has fewer than {FEWEST_SLICES} {what}: it is {size[0]} x {size[1]} x {size[2]} voxels.",
            "Give a whole abdominal CT volume.",
        )


def check_geometry(grid: Geometry) -> None:
    """Raise BadInput for a spacing, origin or direction that cannot be one of a scan."""
    numbers = (*grid.spacing, *grid.origin, *grid.direction)
    if not np.all(np.isfinite(numbers)) or min(grid.spacing) <= 0:
        spacing = " x ".join(f"{s:g}" for s in grid.spacing)
        raise BadInput(
            f"The image's geometry is broken: its spacing is {spacing} mm, its origin {_listed(grid.origin)}.",
            "Export it again.",
        )
    if min(grid.spacing) < SPACING_MM[0] or max(grid.spacing) > SPACING_MM[1]:
        spacing = " x ".join(f"{s:.4g}" for s in grid.spacing)
        raise BadInput(
            f"The image's voxels measure {spacing} mm, and those of a CT {SPACING_MM[0]:g} to {SPACING_MM[1]:g} mm: "
            "its geometry seems to be in another unit.",
            "Export it again with its spacing in mm.",
        )
    shear = np.abs(grid.axes.T @ grid.axes - np.eye(3)).max()
    if shear > LARGEST_SHEAR:
        degrees = np.degrees(np.arcsin(min(1.0, shear)))
        raise BadInput(
            f"The image's axes are not perpendicular to each other ({degrees:.1f} degrees off, often a gantry tilt).",
            "Resample it to a grid with perpendicular axes first, for example in 3D Slicer.",
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _not_hounsfield(lowest: float, highest: float, plausible: bool, is_floating: bool) -> tuple[str, str] | None:
    """Return why the values cannot be Hounsfield units and what to do, or None."""
    if not plausible:
        return "no value lies between -1100 and 3100", "Give the CT with its rescale slope and intercept applied."
    if lowest >= -1.01 and highest <= 1.01:
        return "it looks scaled to 0 to 1, or to -1 to 1", "Give the original CT values."
    if highest - lowest <= 20 and is_floating:
        return "it looks scaled to a mean of 0 and a deviation of 1", "Give the original CT values."
    return None


def _looks_like_labels(voxels: np.ndarray) -> bool:
    """Whether all values are whole numbers, and most that are not 0 are their neighbours' too: a CT has noise."""
    some = voxels[:, :: max(1, voxels.size // _VOXELS_LOOKED_AT)]
    if np.any(some != np.rint(some)):
        return False
    first, second = some[..., :-1], some[..., 1:]
    labelled = np.count_nonzero(first)
    return bool(labelled > 0 and np.count_nonzero((first != 0) & (first == second)) >= _EVEN * labelled)


def _rescaling_doubt(voxels: np.ndarray) -> int:
    """Return -1 where soft tissue and air lie 1024 too low (intercept applied twice), 1 where too high (not at all).

    In a CT in HU some tissue lies around 0 and air around -1000. Padding outside the field of view proves nothing.
    """
    step = max(1, round((voxels.size / _VOXELS_LOOKED_AT) ** (1 / 3)))
    some = voxels[::step, ::step, ::step]

    def share(low: float, high: float) -> float:
        return float(np.count_nonzero((some > low) & (some < high))) / some.size

    if share(-250, 500) < _NEXT_TO_NOTHING and share(-1174, -824) > _MUCH and share(-2150, -1550) > _MUCH:
        return -1
    if share(-1250, -250) < _NEXT_TO_NOTHING and share(850, 1250) > _MUCH:
        return 1
    return 0


def _field_warnings(grid: Geometry) -> Iterator[str]:
    head_foot = int(np.argmax(np.abs(grid.axes[2])))
    thickest = max(grid.spacing)
    if thickest > THICK_SLICE_MM:
        yield f"The slices are {thickest:.1f} mm apart: small parts of the pancreas may be missed between them."
    height = grid.size[head_foot] * grid.spacing[head_foot]
    if height < SHORT_FIELD_MM:
        yield f"The field of view is only {height:.0f} mm high (head to foot): the pancreas may be cut off."


def _summarise(voxels: np.ndarray) -> tuple[float, float, bool]:
    """Return minimum, maximum and whether any value is plausible as HU; raise BadInput for NaN or infinity."""
    lowest, highest, plausible, not_finite = np.inf, -np.inf, False, 0
    thickness = max(1, SLAB_VOXELS // (voxels.shape[1] * voxels.shape[2]))
    for start in range(0, len(voxels), thickness):
        slab = voxels[start : start + thickness]
        if np.issubdtype(slab.dtype, np.floating):
            not_finite += slab.size - int(np.count_nonzero(np.isfinite(slab)))
        lowest, highest = min(lowest, float(slab.min())), max(highest, float(slab.max()))
        if not plausible:
            plausible = bool(np.any((slab >= PLAUSIBLE_HU[0]) & (slab <= PLAUSIBLE_HU[1])))
    if not_finite:
        raise BadInput(
            f"The image holds NaN or infinite values ({not_finite} of {voxels.size} voxels).",
            "Replace them, for example by -1024 (air).",
        )
    return lowest, highest, plausible
