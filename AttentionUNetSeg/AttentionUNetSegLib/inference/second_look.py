"""A finer network looks once more at the surroundings of what the first look found.

From coarse to fine (Zhou et al. 2017, "A fixed-point model for pancreas segmentation in abdominal CT scans", MICCAI):
the first look finds the gland in the whole abdomen, the second sees what is next to it in smaller voxels. Both have a
say in the probability. Attention coefficients are those of the first look, of the whole abdomen.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..imaging import Geometry, bounding_box, image_on_grid, linearly_on, to_model_grid
from ..imaging.geometry import whole_numbers_of
from ..models.package import SecondLook
from .augmentation import Pass
from .device_grids import DeviceGrids
from .look import Look
from .mirrored_surroundings import Mirrored
from .observer import Observer, StageProgress

# What the first look gives at least this chance is looked at again, with the margin around its box.
LEAST_CHANCE = 0.1
# Over so many mm at the borders of what the second look sees, its say grows from nothing: there it lacks context.
BLENDED_MM = 10.0


class FinerLook:
    """The second look of a model.

    Parameters
    ----------
    look : Look
        The finer network.
    settings : SecondLook
        Its spacing, margin and share.
    grids : DeviceGrids | None
        Resamples on the device; None: on the host.
    """

    def __init__(self, look: Look, settings: SecondLook, grids: DeviceGrids | None = None) -> None:
        self.look, self.settings, self.grids = look, settings, grids

    def improved(
        self,
        ct: sitk.Image,
        first: sitk.Image,
        whole: Geometry,
        passes: tuple[Pass, ...],
        observer: Observer,
        progress: StageProgress,
    ) -> sitk.Image:
        """The probability after both looks, on the finer grid around what the first one found.

        Parameters
        ----------
        ct : sitk.Image
            The scan, in HU.
        first : sitk.Image
            Float image, 0..1: the probability after the first look, on the model's grid.
        whole : Geometry
            The model's grid over the whole scan.
        passes : tuple[Pass, ...]
            Of the second look, averaged.
        observer : Observer
            Hears the warnings.
        progress : StageProgress
            The second look's share of the progress.

        Returns
        -------
        Float image, 0..1; 0 is what lies outside of it. `first` where the first look found nothing.

        Raises
        ------
        Cancelled
            The observer asked for it.
        OutOfMemory
            Not even the smallest tile fits into main memory.
        """
        found = bounding_box(sitk.GetArrayViewFromImage(first) >= LEAST_CHANCE)
        if found is None:
            return first
        fine = self._around(ct, first, found)
        grid = Geometry.of(fine)
        ends = _ends_with_the_scan(grid, whole)
        surroundings = _mirrored_at(ends, grid, self.look.network.stride)
        hu = surroundings.padded(sitk.GetArrayViewFromImage(fine))
        second = surroundings.cropped(self.look.at(hu, passes, False, observer, progress).probability)
        probability = linearly_on(first, grid)
        probability += self.settings.share * _say(grid, ends) * (second - probability)
        return image_on_grid(probability, grid)

    def _around(self, ct: sitk.Image, first: sitk.Image, found: tuple[slice, slice, slice]) -> sitk.Image:
        """The CT on the finer grid: the box of what was found, with the margin, as far as the scan reaches."""
        grid = Geometry.of(first)
        margin = self.settings.margin_mm / np.asarray(grid.spacing)
        low = np.array([side.start for side in reversed(found)]) - margin
        high = np.array([side.stop for side in reversed(found)]) + margin
        corners = grid.corners(low, high)
        start, size = _voxels(Geometry.of(ct), corners)
        part = sitk.RegionOfInterest(ct, size, start)
        fine = to_model_grid(part, self.settings.spacing_mm, self.grids.resampled if self.grids else None)
        # Of a scan that is turned, the box along the patient's axes was cut out with its surroundings.
        start, size = _voxels(Geometry.of(fine), corners)
        return sitk.RegionOfInterest(fine, size, start)


def _voxels(grid: Geometry, corners: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The first voxel and the size (IJK) of the part of a grid that covers a box with these corners (LPS, mm)."""
    indices = grid.index(corners)
    start = np.clip(np.floor(indices.min(axis=0) + 0.5).astype(int), 0, np.asarray(grid.size) - 1)
    stop = np.clip(np.ceil(indices.max(axis=0) + 0.5).astype(int), start + 1, grid.size)
    return whole_numbers_of(start), whole_numbers_of(stop - start)


def _ends_with_the_scan(grid: Geometry, whole: Geometry) -> np.ndarray:
    """(3, 2) bool, axes KJI: whether the grid's first and last voxel are the scan's, too."""
    faces = whole.index(grid.corners())
    tolerance = np.asarray(grid.spacing) / np.asarray(whole.spacing)
    first = faces.min(axis=0) < -0.5 + tolerance
    last = faces.max(axis=0) > np.asarray(whole.size) - 0.5 - tolerance
    return np.stack((first, last), axis=1)[::-1]


def _mirrored_at(ends: np.ndarray, grid: Geometry, stride: int) -> Mirrored:
    """The mirror image of the scan beyond its ends; where the grid merely ends within it, nothing is made up."""
    size = grid.size[::-1]
    # `Mirrored.about` mirrors on the sides where a box ends with its scan.
    box = [slice(int(not first), n + int(not first)) for (first, _), n in zip(ends, size, strict=True)]
    shape = [side.stop + int(not last) for (_, last), side in zip(ends, box, strict=True)]
    return Mirrored.about(box, shape, grid.spacing, stride)


def _say(grid: Geometry, ends: np.ndarray) -> np.ndarray:
    """How much the second look counts, 0..1 (K, J, I): fully inside and where the scan itself ends."""
    say = np.ones(grid.size[::-1], np.float32)
    for axis, (length, spacing) in enumerate(zip(grid.size[::-1], grid.spacing[::-1], strict=True)):
        from_first = (np.arange(length) + 0.5) * spacing / BLENDED_MM
        ramp = np.ones(length)
        for is_end, distance in zip(ends[axis], (from_first, from_first[::-1]), strict=True):
            if not is_end:
                ramp = np.minimum(ramp, distance)
        say *= np.expand_dims(np.minimum(ramp, 1), [other for other in range(3) if other != axis]).astype(np.float32)
    return say
