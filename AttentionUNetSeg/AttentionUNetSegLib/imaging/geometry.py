"""The grid of an image: where each voxel lies in the patient (LPS, millimetres, as SimpleITK has it)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..errors import BadInput

Triple = tuple[float, float, float]
# What numbers of six digits or 32 bits leave; up to the second a shear is mended.
UNNOTICED_SHEAR_DEGREES, LARGEST_MENDED_SHEAR_DEGREES = 0.005, 0.5


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in LPS patient coordinates.

    Attributes
    ----------
    size : tuple[int, int, int]
        Voxels along I, J, K.
    spacing : Triple
        Distance of neighbouring voxel centres along I, J, K in mm.
    origin : Triple
        LPS position in mm of the centre of voxel (0, 0, 0).
    direction : tuple[float, ...]
        3x3 matrix, row by row; its columns are the unit vectors of I, J, K.
    """

    size: tuple[int, int, int]
    spacing: Triple
    origin: Triple
    direction: tuple[float, ...]

    def __post_init__(self) -> None:
        # ITK's matrix inversion fails on entries such as 1e-162; 1e-12 moves nothing by a millionth of a millimetre.
        clean = tuple(0.0 if abs(entry) < 1e-12 else float(entry) for entry in self.direction)
        object.__setattr__(self, "direction", clean)

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """Return the grid of a 3D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def axes(self) -> np.ndarray:
        """The direction as a 3x3 array; column a is the unit vector of axis a."""
        return np.asarray(self.direction, dtype=float).reshape(3, 3)

    @property
    def index_to_physical(self) -> np.ndarray:
        """3x3 array that takes a difference of IJK indices to a difference of LPS positions in mm."""
        return np.asarray(self.axes * np.asarray(self.spacing))

    def physical(self, ijk: npt.ArrayLike) -> np.ndarray:
        """Return the LPS positions (..., 3) in mm of continuous IJK indices (..., 3)."""
        return np.asarray(np.asarray(ijk, dtype=float) @ self.index_to_physical.T + np.asarray(self.origin))

    def index(self, points: npt.ArrayLike) -> np.ndarray:
        """Return the continuous IJK indices (..., 3) of LPS positions (..., 3) in mm."""
        from_origin = np.asarray(points, dtype=float) - np.asarray(self.origin)
        return np.asarray(from_origin @ np.linalg.inv(self.index_to_physical).T)

    def centre(self) -> np.ndarray:
        """Return the LPS position in mm of the middle of the grid."""
        return self.physical((np.asarray(self.size) - 1) / 2)

    def corners(self, start: np.ndarray | None = None, stop: np.ndarray | None = None) -> np.ndarray:
        """Return the LPS positions (8, 3) of the outer corners of voxels start..stop-1 (IJK; default: all)."""
        low = np.zeros(3) if start is None else np.asarray(start, dtype=float)
        high = np.asarray(self.size, dtype=float) if stop is None else np.asarray(stop, dtype=float)
        unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
        return self.physical(low + unit * (high - low) - 0.5)

    def cropped(self, start: Sequence[int] | np.ndarray, size: Sequence[int] | np.ndarray) -> Geometry:
        """Return the part of this grid that begins at voxel `start` (IJK) and has `size` voxels."""
        return replace(self, size=whole_numbers_of(size), origin=triple_of(self.physical(start)))

    def resampled(self, spacing: Triple) -> Geometry:
        """Return the smallest grid of this spacing with the same axes and centre that covers this one.

        The field of view reaches from the outer face of the first voxel to the outer face of the last one.
        Sizes a rounding error above a whole number of voxels do not get a voxel more.
        """
        extent = np.asarray(self.size) * np.asarray(self.spacing)
        size = np.maximum(1, np.ceil(extent / np.asarray(spacing) - 1e-4)).astype(int)
        first = self.axes @ ((1 - size) / 2 * np.asarray(spacing))
        return Geometry(
            whole_numbers_of(size),
            triple_of(spacing),
            triple_of(self.centre() + first),
            self.direction,
        )


def triple_of(values: Iterable[float]) -> Triple:
    """Return three numbers, of an array as well, as a tuple of Python's floats."""
    first, second, third = (float(value) for value in values)
    return first, second, third


def whole_numbers_of(values: Iterable[int]) -> tuple[int, int, int]:
    """Return three whole numbers, of an array as well, as a tuple of Python's integers."""
    first, second, third = (int(value) for value in values)
    return first, second, third


def grid_of_steps(
    steps: np.ndarray, origin: np.ndarray, size: tuple[int, ...], name: str
) -> tuple[Geometry, list[str]]:
    """Return the grid of an image whose header gives the steps along its axes, and warnings.

    Axes that are not quite perpendicular (direction cosines rounded to three digits) become the nearest perpendicular
    ones, with the middle of the image where it was.

    Parameters
    ----------
    steps : np.ndarray
        3x3, column a is the step (LPS, mm) from a voxel to the next along axis a.
    origin : np.ndarray
        LPS position in mm of the centre of the first voxel.
    name : str
        The image's, for sentences.

    Raises
    ------
    BadInput
        Numbers that are none, an axis without length, or axes that are more than 0.5 degrees off or would move a voxel
        by more than half a voxel.
    """
    spacing = np.linalg.norm(steps, axis=0)
    if not (np.all(np.isfinite(steps)) and np.all(np.isfinite(origin)) and spacing.min() > 0):
        raise BadInput(f"{name} has a broken geometry: a spacing is zero or not a number.", "Export it again.")
    left, _, right = np.linalg.svd(steps / spacing)
    axes = left @ right
    middle = (np.asarray(size[:3]) - 1) / 2
    grid = Geometry(
        whole_numbers_of(size[:3]),
        triple_of(spacing),
        triple_of(origin + (steps - axes * spacing) @ middle),
        tuple(axes.ravel().tolist()),
    )
    degrees = shear_degrees(steps)
    if degrees <= UNNOTICED_SHEAR_DEGREES:
        return replace(grid, origin=triple_of(origin)), []
    shear = np.linalg.inv(axes * spacing) @ steps - np.eye(3)
    moved = float((np.abs(shear) @ (middle + 0.5)).max())
    if degrees > LARGEST_MENDED_SHEAR_DEGREES or moved > 0.5:
        raise BadInput(
            f"{name} has a sheared orientation: its axes are not perpendicular to each other ({degrees:.2g} degrees "
            f"off, {moved:.1f} voxels at the border; often a gantry tilt).",
            "Resample it to a grid with perpendicular axes first, for example in 3D Slicer.",
        )
    return grid, [
        f"The axes of {name} are {degrees:.2g} degrees off perpendicular, as after rounding; the nearest perpendicular "
        f"ones were taken, which moves no voxel by more than {moved:.2g} of a voxel."
    ]


def shear_degrees(steps: np.ndarray) -> float:
    """Return how far (degrees) the columns of a 3x3 matrix are from perpendicular; 90 where one has no length."""
    lengths = np.linalg.norm(steps, axis=0)
    if not np.all(np.isfinite(lengths)) or lengths.min() == 0:
        return 90.0
    axes = steps / lengths
    return float(np.degrees(np.arcsin(min(1.0, np.abs(axes.T @ axes - np.eye(3)).max()))))


def coarser_grid(grid: sitk.Image | Geometry, level: int) -> Geometry:
    """Return the grid whose voxel i covers voxels i * 2^level .. (i + 1) * 2^level - 1 of `grid` along every axis.

    That is the grid of feature maps after `level` poolings by two. Its first voxel lies (2^level - 1) / 2 fine voxels
    further in; its size is rounded up, so that it covers the whole of `grid`.

    Parameters
    ----------
    grid : sitk.Image | Geometry
        The fine grid, or an image on it.
    level : int
        How many times it is halved; 0 returns the grid itself.
    """
    fine = grid if isinstance(grid, Geometry) else Geometry.of(grid)
    factor = 2**level
    return Geometry(
        whole_numbers_of(-(-n // factor) for n in fine.size),
        triple_of(s * factor for s in fine.spacing),
        triple_of(fine.physical(np.full(3, (factor - 1) / 2))),
        fine.direction,
    )


def image_on_grid(array: np.ndarray, grid: sitk.Image | Geometry) -> sitk.Image:
    """Return an image of a KJI array (or KJI and values) whose voxel (0, 0, 0) is the first voxel of `grid`.

    The array may have more or fewer voxels than the grid (feature maps of a padded input do): only origin, spacing and
    direction are taken from it.

    Parameters
    ----------
    array : np.ndarray
        KJI, or KJI and values; it is copied.
    grid : sitk.Image | Geometry
        The grid (LPS, mm), or an image on it.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=array.ndim == 4)
    geometry = grid if isinstance(grid, Geometry) else Geometry.of(grid)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return image


def closest_patient_axes(direction: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return which image axis runs along each of L, P, S most closely, and whether it has to be flipped to do so.

    Parameters
    ----------
    direction : np.ndarray
        3x3, column a is the unit vector of image axis a in LPS.

    Returns
    -------
    order : order[p] is the image axis (0 = I, 1 = J, 2 = K) closest to patient axis p.
    flipped : flipped[p] is True where that image axis points against patient axis p.
    """

    def agreement(axes: tuple[int, ...]) -> float:
        return sum(float(abs(direction[p, axes[p]])) for p in range(3))

    orders = [whole_numbers_of(axes) for axes in permutations(range(3))]
    order = max(orders, key=agreement)
    left, posterior, superior = (bool(direction[p, order[p]] < 0) for p in range(3))
    return order, (left, posterior, superior)


def obliqueness_degrees(direction: np.ndarray) -> float:
    """Return the largest angle in degrees between an image axis and the patient axis closest to it."""
    order, _ = closest_patient_axes(direction)
    cosines = [min(1.0, abs(direction[p, order[p]])) for p in range(3)]
    return float(np.degrees(np.arccos(min(cosines))))
