"""One labelled synthetic CT from one seed: an anatomy, deformed, painted and scanned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt

from ...imaging import image_on_grid
from ...imaging.geometry import Geometry
from ..labelled_scan import STRUCTURES
from .acquisition import acquire, lay_on_couch
from .anatomy import GRID_MM, Anatomy, centre_of
from .beside_the_gland import add_neighbours
from .deformation import random_deformation
from .mesenteric_vessels import add_mesenteric_vessels, add_splenic_vein, widen_veins
from .painting import Painter
from .parts import PHASES, Part, draw_attenuation
from .random_fields import smooth_field

# How often each phase is drawn: abdominal CT for the pancreas is mostly enhanced.
PHASE_SHARES = {"portal_venous": 0.38, "pancreatic": 0.2, "delayed": 0.1, "non_contrast": 0.24, "implausible": 0.08}
assert set(PHASE_SHARES) == {*PHASES, "implausible"}

# The others keep what the label map shows of it.
SPLENIC_VEIN_SHARE = 0.85

WHOLE_TRUNK_MM = 800.0
WIDTH_MM = (440.0, 340.0)  # along L and P, before air around the body is cut away
# The part that each of `STRUCTURES` is, and its value in the label maps.
_PARTS = {
    "pancreas": Part.PANCREAS,
    "duodenum": Part.DUODENUM,
    "stomach": Part.STOMACH,
    "spleen": Part.SPLEEN,
    "left_kidney": Part.LEFT_KIDNEY,
    "liver": Part.LIVER,
    "gallbladder": Part.GALLBLADDER,
    "portal_and_splenic_vein": Part.PORTAL_VEIN,
}
LABELS = {structure: (value, _PARTS[structure]) for value, structure in enumerate(STRUCTURES, start=1)}


@dataclass(frozen=True)
class SyntheticCT:
    """A synthetic CT and its truth, on one grid along L, P, S.

    ct : int16 HU.
    labels : uint8, values of `LABELS`.
    phase : one of `PHASES`, or "implausible".
    anatomy : name of the label map it was made from.
    """

    ct: sitk.Image
    labels: sitk.Image
    phase: str
    anatomy: str


@dataclass(frozen=True)
class Variety:
    """How often what label maps of the healthy show too rarely is drawn, each 0..1.

    Attributes
    ----------
    atrophy : a pancreas that has shrunk, as in the old and in chronic pancreatitis.
    fatty_gland : fat within the pancreas, down to the HU of water without contrast medium.
    wide_veins : a superior mesenteric, portal and splenic vein as wide as in portal hypertension, which is rounder
        and brighter than a shrunken gland and is then taken for it.
    non_contrast : CTs without contrast medium; the other phases share the rest.
    """

    atrophy: float = 0.3
    fatty_gland: float = 0.2
    wide_veins: float = 0.2
    non_contrast: float = PHASE_SHARES["non_contrast"]


def synthesize(seed: int, anatomies: Sequence[Anatomy], variety: Variety | None = None) -> SyntheticCT:
    """Make the synthetic CT of `seed`; the same seed, anatomies and variety give the same voxels."""
    body = draw_body(seed, anatomies, variety)
    rng, parts, grid = body.rng, body.parts, body.grid
    attenuation = draw_attenuation(rng, body.phase)
    if body.infiltrating.random() < (variety or Variety()).fatty_gland:
        share = body.infiltrating.uniform(0.05, 0.45)
        attenuation[Part.PANCREAS] += share * (attenuation[Part.FAT] - attenuation[Part.PANCREAS])
    spacing = (GRID_MM,) * 3
    hu = Painter(rng, parts, spacing, attenuation).paint(body.wall < -12.0)
    if rng.random() < 0.7:
        lay_on_couch(rng, hu, parts != Part.AIR, spacing)
    slice_mm = float(rng.choice((2.0, 2.5, 3.0, 4.0, 5.0), p=(0.35, 0.15, 0.2, 0.1, 0.2)))
    ct = acquire(rng, hu, grid, slice_mm)
    return SyntheticCT(ct, _labels_on(parts, grid, ct), body.phase, body.anatomy)


@dataclass(frozen=True)
class Body:
    """One deformed anatomy, not painted yet.

    Attributes
    ----------
    parts : uint8 (K, J, I) of `Part`.
    wall : float32 (K, J, I), distance to the cavity's outline in mm, negative inside.
    grid : where these voxels lie, along L, P, S.
    phase, anatomy : as in `SyntheticCT`.
    rng, infiltrating : what is drawn after this goes on with them.
    """

    parts: np.ndarray
    wall: np.ndarray
    grid: Geometry
    phase: str
    anatomy: str
    rng: np.random.Generator
    infiltrating: np.random.Generator


def draw_body(
    seed: int, anatomies: Sequence[Anatomy], variety: Variety | None = None, whole_trunk: bool = False
) -> Body:
    """Draw the anatomy of `seed`: deformed, with body wall, vessels and what lies against the gland.

    Parameters
    ----------
    whole_trunk : the field of view takes in all that the anatomy has from pelvis to chest, not just the upper abdomen.
    """
    variety = variety or Variety()
    rng = np.random.default_rng([seed, 20261123])
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    phase = str(rng.choice(list(PHASE_SHARES), p=_phase_probabilities(variety.non_contrast)))
    grid = _field_of_view(rng, whole_trunk)
    source_centre = centre_of(anatomy.parts, (Part.PANCREAS,))
    transform = random_deformation(rng, grid, np.zeros(3), source_centre)

    parts = sitk.GetArrayFromImage(
        sitk.Resample(anatomy.parts, grid, transform, sitk.sitkNearestNeighbor, float(Part.FAT))
    )
    wall = sitk.GetArrayFromImage(sitk.Resample(anatomy.wall_distance, grid, transform, sitk.sitkLinear, 200.0))
    covered = _covered(anatomy.parts, grid, transform)
    spacing = (GRID_MM,) * 3
    _add_body_wall(rng, parts, wall, spacing)
    box = _about_the_body(rng, parts, covered)
    parts, wall = np.ascontiguousarray(parts[box]), wall[box]
    add_mesenteric_vessels(rng, parts, spacing)
    # Numbers of their own: a share of 0 changes nothing else.
    shrinking, widening, infiltrating, beside = (np.random.default_rng([seed, number]) for number in (11, 13, 17, 19))
    if shrinking.random() < variety.atrophy:
        shrink_pancreas(shrinking, parts, spacing)
    if shrinking.random() < SPLENIC_VEIN_SHARE:
        add_splenic_vein(shrinking, parts, spacing)
    add_neighbours(beside, parts, spacing)
    if widening.random() < variety.wide_veins:
        widen_veins(widening, parts, spacing)
    own = Geometry.of(grid).cropped([part.start for part in reversed(box)], parts.shape[::-1])
    return Body(parts, wall, own, phase, anatomy.name, rng, infiltrating)


def shrink_pancreas(rng: np.random.Generator, parts: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Turn the outermost 1 to 4 mm of the gland, unevenly, into fat; a third of it is always left."""
    pancreas = parts == Part.PANCREAS
    if not pancreas.any():
        return
    depth = distance_transform_edt(pancreas, spacing)
    lost = rng.uniform(1.0, 4.0) * np.clip(1 + 0.5 * smooth_field(rng, parts.shape, spacing, 25.0), 0.2, 2.0)
    parts[pancreas & (depth <= np.minimum(lost, np.quantile(depth[pancreas], 0.67)))] = Part.FAT


def _phase_probabilities(non_contrast: float) -> list[float]:
    rest = (1 - non_contrast) / (1 - PHASE_SHARES["non_contrast"])
    return [non_contrast if phase == "non_contrast" else rest * share for phase, share in PHASE_SHARES.items()]


def _field_of_view(rng: np.random.Generator, whole_trunk: bool) -> sitk.Image:
    """An empty grid about the place of the pancreas, which is (0, 0, 0); it lies high or low in the stack of slices."""
    length = rng.uniform(170, 340)
    share_below = np.clip(rng.normal(0.5, 0.15), 0.15, 0.85)
    if whole_trunk:
        length, share_below = WHOLE_TRUNK_MM, 0.5
    size = [round(WIDTH_MM[0] / GRID_MM), round(WIDTH_MM[1] / GRID_MM), round(length / GRID_MM)]
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing((GRID_MM,) * 3)
    grid.SetOrigin([-WIDTH_MM[0] / 2, -WIDTH_MM[1] * 0.5, -length * share_below])
    return grid


def _covered(source: sitk.Image, grid: sitk.Image, transform: sitk.Transform) -> np.ndarray:
    """Slices (K) of `grid` that lie within the source, whose ends would look like a patient cut in two."""
    ones = sitk.Image(source.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(source)
    inside = sitk.GetArrayFromImage(sitk.Resample(ones, grid, transform, sitk.sitkNearestNeighbor, 0))
    middle = inside[:, inside.shape[1] // 3 : -inside.shape[1] // 3, inside.shape[2] // 3 : -inside.shape[2] // 3]
    return middle.mean(axis=(1, 2)) > 0.97


def _add_body_wall(
    rng: np.random.Generator, parts: np.ndarray, wall: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    """Muscle about the cavity, fat under the skin, skin, and air outside; thin people and stout ones."""
    muscle_mm = rng.uniform(4, 12) * (1 + 0.3 * smooth_field(rng, wall.shape, spacing, 60.0))
    fat_mm = rng.gamma(2.2, 8.0) * np.clip(1 + 0.35 * smooth_field(rng, wall.shape, spacing, 120.0), 0.2, 2)
    free = parts == Part.FAT
    parts[free & (wall > -6.0) & (wall <= muscle_mm)] = Part.MUSCLE
    outside = wall - muscle_mm - fat_mm
    parts[free & (outside > -1.0) & (outside <= 2.0) & (wall > muscle_mm)] = Part.SKIN
    parts[outside > 2.0] = Part.AIR


def _about_the_body(rng: np.random.Generator, parts: np.ndarray, covered: np.ndarray) -> tuple[slice, ...]:
    """The covered slices, and the body in the plane with a random margin of air."""
    slices = np.flatnonzero(covered) if covered.sum() >= 40 else np.arange(len(parts))
    body = parts[slices] != Part.AIR
    margin = int(rng.uniform(2, 25))
    box = [slice(int(slices[0]), int(slices[-1]) + 1)]
    for axes in ((0, 2), (0, 1)):
        found = np.flatnonzero(body.any(axis=axes))
        size = body.shape[1 if axes == (0, 2) else 2]
        box.append(slice(max(0, int(found[0]) - margin), min(size, int(found[-1]) + margin + 1)))
    return tuple(box)


def _labels_on(parts: np.ndarray, grid: Geometry, ct: sitk.Image) -> sitk.Image:
    """The label map on the CT's slices: what lies at each voxel's centre."""
    lookup = np.zeros(256, np.uint8)
    for value, part in LABELS.values():
        lookup[part] = value
    return sitk.Resample(image_on_grid(lookup[parts], grid), ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
