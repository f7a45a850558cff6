"""A procedural abdominal CT with ground truth, for the tests, the demo and the phantom-only model.

The anatomy (`anatomy`, `pancreas`, `gut`) is drawn from the seed alone and painted, with
partial volume, on any grid; texture and noise imitate a reconstruction with a soft kernel. A phantom is not a patient:
it carries a mark in its meta data that every reader of this package recognises.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter1d

from ..errors import BadInput
from ..imaging import PHANTOM_KEY, write_image
from .anatomy import Frame, Layer, skeleton, solid_organs, trunk
from .gut import bowel, stomach
from .pancreas import gland, great_vessels
from .shapes import Solid, coverage
from .tissues import PHASES, TISSUES, Label, Phase, draw_attenuation

DEFAULT_SPACING_MM = (1.0, 1.0, 2.0)
DEFAULT_EXTENT_MM = (352.0, 288.0, 220.0)

# Margin around a solid's bounds in which its soft edge can still show.
_EDGE_VOXELS = 2


@dataclass(frozen=True)
class Phantom:
    """A synthetic CT and its ground truth, on one grid.

    ct : int16 HU, LPS geometry (identity direction).
    labels : uint8 label map, values of `tissues.Label`.
    phase : "non_contrast" or "portal_venous".
    seed : what it was drawn from.
    """

    ct: sitk.Image
    labels: sitk.Image
    phase: Phase
    seed: int

    @property
    def pancreas(self) -> sitk.Image:
        """uint8 mask of the pancreas, 1 inside."""
        return sitk.Cast(sitk.Equal(self.labels, int(Label.PANCREAS)), sitk.sitkUInt8)


def make_phantom(
    seed: int,
    spacing_mm: tuple[float, float, float] = DEFAULT_SPACING_MM,
    phase: Phase | None = None,
    extent_mm: tuple[float, float, float] = DEFAULT_EXTENT_MM,
    noise_hu: float | None = None,
) -> Phantom:
    """Draw the phantom of `seed`: the same anatomy and attenuation at every spacing, the same voxels at the same one.

    Parameters
    ----------
    seed : int
        Non-negative integer.
    spacing_mm : tuple[float, float, float]
        Voxel size (x, y, z), 0.3 to 10 mm each.
    phase : Phase | None
        Contrast phase; None draws one.
    extent_mm : tuple[float, float, float]
        Field of view (x, y, z) about the pancreas; the default holds the whole width of every phantom.
    noise_hu : float | None
        Standard deviation of the noise in 2 mm slices; None draws 7..16 HU. Thicker slices have less.

    Raises
    ------
    BadInput
        A spacing, extent, phase or seed that makes no image.
    """
    if phase is not None and phase not in PHASES:
        raise BadInput(f"The phase {phase!r} is not one of {', '.join(PHASES)}.", "Choose one of these.")
    if seed < 0:
        raise BadInput(f"The phantom seed {seed} is negative.", "Use 0 or a positive whole number.")
    canvas = _Canvas(spacing_mm, extent_mm)
    anatomy_seed, tissue_seed, texture_seed, noise_seed = np.random.SeedSequence(seed).spawn(4)
    tissue_rng = np.random.default_rng(tissue_seed)
    drawn_phase: Phase = PHASES[int(tissue_rng.random() < 0.6)]
    attenuation = draw_attenuation(tissue_rng, phase or drawn_phase)
    drawn_noise = tissue_rng.uniform(7, 16)
    canvas.add_texture(np.random.default_rng(texture_seed))
    for layer in draw_anatomy(np.random.default_rng(anatomy_seed)):
        canvas.paint(layer, attenuation[layer.tissue])
    canvas.expose(np.random.default_rng(noise_seed), drawn_noise if noise_hu is None else noise_hu)
    return Phantom(
        canvas.image(np.clip(np.rint(canvas.hu), -1024, 3071).astype(np.int16)),
        canvas.image(canvas.labels),
        phase or drawn_phase,
        seed,
    )


def draw_anatomy(rng: np.random.Generator) -> list[Layer]:
    """All layers of one random abdomen, in painting order."""
    frame = Frame(rng)
    walls = trunk(frame)
    pancreas = gland(frame)
    return [
        *walls.layers,
        *bowel(frame, walls),
        *solid_organs(frame, walls),
        *great_vessels(frame),
        *pancreas.before[:1],
        *stomach(frame, walls, pancreas.solid),
        *pancreas.before[1:],
        *pancreas.layers,
        *skeleton(frame, walls),
    ]


def write_phantom(phantom: Phantom, path: str | Path, label_path: str | Path | None = None) -> None:
    """Write the CT (and the label map) with the phantom mark; the file type follows the suffix.

    NRRD and MetaImage carry the mark as the key `AttentionUNetSeg_phantom`, NIfTI in `descrip`.

    Parameters
    ----------
    phantom : Phantom
        What `make_phantom` returned.
    path : str | Path
        The file for the CT: .nrrd, .mha, .nii or .nii.gz.
    label_path : str | Path | None
        The file for the label map; None: it is not written.

    Raises
    ------
    BadInput
        An unknown suffix or a folder that does not exist.
    InternalError
        The file could not be written.
    """
    for image, target in ((phantom.ct, path), (phantom.labels, label_path)):
        if target is not None:
            marked = sitk.Image(image)
            marked.SetMetaData(PHANTOM_KEY, "1")
            write_image(marked, target)


class _Canvas:
    """The grid that is painted on: HU (float32) and labels (uint8), both KJI."""

    def __init__(self, spacing_mm: tuple[float, float, float], extent_mm: tuple[float, float, float]) -> None:
        if not all(0.3 <= s <= 10 for s in spacing_mm):
            raise BadInput(f"A phantom cannot have a spacing of {spacing_mm} mm.", "Use 0.3 to 10 mm along each axis.")
        sizes = [round(extent / spacing) for extent, spacing in zip(extent_mm, spacing_mm, strict=True)]
        if min(sizes) < 8:
            raise BadInput(
                f"A phantom of {extent_mm} mm at {spacing_mm} mm has fewer than 8 voxels along an axis.",
                "Use a larger extent or a smaller spacing.",
            )
        x, y, z = spacing_mm
        self.spacing = (float(x), float(y), float(z))
        self.axes = tuple((np.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(sizes, self.spacing, strict=True))
        self.hu = np.full(sizes[::-1], -1000, np.float32)
        self.labels = np.zeros(sizes[::-1], np.uint8)
        self._texture = (np.zeros_like(self.hu), np.zeros_like(self.hu))  # none yet

    def image(self, array: np.ndarray) -> sitk.Image:
        """`array` (KJI) with this grid's geometry."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin([float(axis[0]) for axis in self.axes])
        return image

    def add_texture(self, rng: np.random.Generator) -> None:
        """Prepare the fine and the coarse random field of tissue texture, unit variance, fixed in space."""
        self._texture = self._random_field(rng, 3.0), self._random_field(rng, 12.0)

    def paint(self, layer: Layer, hu: float) -> None:
        """Blend a layer in: its edge voxels in proportion to the part covered; its label where more than half is."""
        box = self._box(layer.solid)
        if box is None:
            return
        x, y, z = (axis[part] for axis, part in zip(self.axes, box[::-1], strict=True))
        part = coverage(layer.solid.distance(x, y, z), self.spacing)
        tissue = TISSUES[layer.tissue]
        fine, coarse = self._texture
        target = tissue.fine * fine[box] + tissue.coarse * coarse[box] + np.float32(hu)
        target -= self.hu[box]
        target *= part
        self.hu[box] += target
        self.labels[box][part > 0.5] = layer.label

    def expose(self, rng: np.random.Generator, noise_hu: float) -> None:
        """Blur in the plane as a soft reconstruction kernel does and add its correlated noise."""
        noise = rng.standard_normal(self.hu.shape, np.float32)
        for axis, spacing in ((1, self.spacing[1]), (2, self.spacing[0])):
            self.hu = gaussian_filter1d(self.hu, 0.45 / spacing, axis=axis, mode="nearest", truncate=3)
            noise = gaussian_filter1d(noise, 0.7 / spacing, axis=axis, mode="wrap", truncate=3)
        noise *= noise_hu * np.clip(np.sqrt(2.0 / self.spacing[2]), 0.6, 1.4) / noise.std()
        self.hu += noise

    def _box(self, solid: Solid) -> tuple[slice, slice, slice] | None:
        parts = []
        for axis, spacing, low, high in zip(self.axes, self.spacing, *solid.bounds(), strict=True):
            start = max(int(np.searchsorted(axis, low - _EDGE_VOXELS * spacing)), 0)
            stop = min(int(np.searchsorted(axis, high + _EDGE_VOXELS * spacing)), len(axis))
            if stop - start < 3:
                return None
            parts.append(slice(start, stop))
        i, j, k = parts
        return k, j, i

    def _random_field(self, rng: np.random.Generator, cell_mm: float) -> np.ndarray:
        """White noise on a lattice of `cell_mm`, interpolated to the grid; the lattice is fixed in space."""
        half = 216.0  # mm; a fixed size, so that the same seed gives the same lattice for every extent
        count = int(2 * half / cell_mm) + 1
        lattice = sitk.GetImageFromArray(rng.standard_normal((count,) * 3, np.float32))
        lattice.SetSpacing((cell_mm,) * 3)
        lattice.SetOrigin((-half,) * 3)
        reference = self.image(self.labels)
        field = sitk.GetArrayFromImage(sitk.Resample(lattice, reference, sitk.Transform(), sitk.sitkLinear))
        return field * np.float32(1.5**1.5)  # linear interpolation keeps (2/3)^3 of the variance
