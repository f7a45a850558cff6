"""Where the robot user starts: CTs with a label, and predictions that are wrong in the ways networks are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from AttentionUNetSegLib.imaging import bounding_box
from scipy import ndimage

# What is kept around the pancreas; nothing acts further away than three reaches.
MARGIN_MM = 50.0
PHANTOM_SPACING_MM = (1.0, 1.0, 2.0)
REAL = {
    "crlm_1006": "teacher_pancreas",
    "totalsegmentator_example": "totalsegmentator_pancreas",
    "cptac_c3l00189": "teacher_pancreas",
}
# The real CTs on which constants were chosen; results on them stand apart.
TUNED_ON = ("crlm_1006", "totalsegmentator_example")
# Labels in which the head is missing, and how far (mm) from their right end to the patient's left nothing counts.
HEADLESS = {"cptac_c3l00189": 15.0}


@dataclass(frozen=True)
class Case:
    """One CT around the pancreas; arrays KJI, spacing in mm along K, J, I.

    Where `ignored`, nobody knows the truth: it is no error and counts in no Dice.
    """

    name: str
    ct: np.ndarray
    truth: np.ndarray
    spacing: tuple[float, float, float]
    ignored: np.ndarray

    def counted(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask without what is ignored."""
        return mask & ~self.ignored


def phantoms(seeds: tuple[int, ...]) -> Iterator[Case]:
    """Yield phantoms in which no error can be the label's."""
    from AttentionUNetSegLib.phantom import make_phantom

    for seed in seeds:
        phantom = make_phantom(seed, PHANTOM_SPACING_MM)
        yield _cropped(f"phantom {seed} ({phantom.phase})", phantom.ct, phantom.pancreas)


def real_cases(folder: Path) -> Iterator[Case]:
    """Yield the real CTs with a label, which is another network's, not manual; part of one is ignored."""
    import SimpleITK as sitk

    for name, label in REAL.items():
        ct = sitk.ReadImage(str(folder / "ct" / name / "ct.nii.gz"))
        mask = sitk.ReadImage(str(folder / "ct" / name / f"{label}.nii.gz"))
        yield _cropped(name, ct, mask)


def _cropped(name: str, ct, mask) -> Case:
    import SimpleITK as sitk

    voxels, truth = sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(mask) > 0
    spacing = ct.GetSpacing()[::-1]
    box = box_around(truth, spacing)
    truth = truth[box].copy()
    return Case(name, np.ascontiguousarray(voxels[box]), truth, spacing, _ignored(name, truth, spacing))


def box_around(truth: np.ndarray, spacing: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Return the box of a mask with `MARGIN_MM` around it; KJI."""
    margins = [int(MARGIN_MM / size) for size in spacing]
    return tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(bounding_box(truth), margins, strict=True)
    )


def _ignored(name: str, truth: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return where a label leaves out the head: all that is not labelled and right of the label's right end."""
    ignored = np.zeros(truth.shape, bool)
    if name in HEADLESS:  # columns count from the patient's right to the left
        right_end = np.flatnonzero(truth.any(axis=(0, 1)))[0]
        ignored[:, :, : right_end + round(HEADLESS[name] / spacing[2])] = True
    return ignored & ~truth


def predictions(case: Case) -> dict[str, np.ndarray]:
    """Return the wrong predictions to start from, uint8 0..255, by name. The same for the same case, always."""
    rng = np.random.default_rng(len(case.name) + int(case.truth.sum()))
    depth = _signed_depth(case.truth, case.spacing)
    wobble = _smooth_noise(depth.shape, case.spacing, 8.0, rng) * 1.0
    sound = _probability(depth + wobble)
    along = _along_the_gland(case)
    scenarios: dict[str, Callable[[], np.ndarray]] = {
        "missing tail": lambda: sound * _ramp(along, 0.70, falling=True),
        "leak into bowel": lambda: np.maximum(sound, 0.92 * _leak(case, depth, rng)),
        "wrong threshold": lambda: _probability(depth + wobble - 2.5),
        "half the organ": lambda: sound * _ramp(along, 0.50, falling=False),
        "nothing at all": lambda: np.zeros_like(sound),
    }
    return {name: np.rint(255 * make()).astype(np.uint8) for name, make in scenarios.items()}


def _signed_depth(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return mm below the surface of the mask, negative outside."""
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return (inside - outside).astype(np.float32)


def _probability(depth_mm: np.ndarray) -> np.ndarray:
    """Return what a network with a soft edge of about 2 mm says; the middle of an organ is certain, so is far away."""
    share = 1.0 / (1.0 + np.exp(-np.clip(depth_mm / 1.0, -30, 30)))
    share[share < 0.01] = 0.0
    return share


def _smooth_noise(
    shape: tuple[int, ...], spacing: tuple[float, float, float], scale_mm: float, rng: np.random.Generator
) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), [scale_mm / s / 2 for s in spacing])
    return noise / noise.std()


def _along_the_gland(case: Case) -> np.ndarray:
    """Return for every voxel which share (0..1) of the gland lies before it, from the head to the tail's end."""
    positions = np.argwhere(case.truth) * case.spacing
    middle = positions.mean(axis=0)
    axis = np.linalg.eigh(np.cov((positions - middle).T))[1][:, -1]
    axis *= np.sign(axis[2]) or 1.0
    grid = _projection(case, axis, middle)
    ranks = np.sort((positions - middle) @ axis)
    return np.searchsorted(ranks, grid.ravel()).reshape(grid.shape) / len(ranks)


def _projection(case: Case, axis: np.ndarray, middle: np.ndarray) -> np.ndarray:
    parts = np.meshgrid(
        *[a * (np.arange(n) * s - m) for a, n, s, m in zip(axis, case.truth.shape, case.spacing, middle, strict=True)],
        indexing="ij", sparse=True,
    )  # fmt: skip
    return parts[0] + parts[1] + parts[2]


def _ramp(along: np.ndarray, where: float, falling: bool) -> np.ndarray:
    """Return 1 on one side of a place along the gland and 0 on the other, with a short transition."""
    ramp = np.clip((along - where) / 0.06 + 0.5, 0.0, 1.0)
    return 1.0 - ramp if falling else ramp


def _leak(case: Case, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a soft blob in other soft tissue of much the same HU that touches the pancreas: where networks leak."""
    hu = ndimage.gaussian_filter(case.ct.astype(np.float32), [1.5 / s for s in case.spacing])
    own = float(np.median(hu[case.truth]))
    like = (np.abs(hu - own) < 35) & ~case.truth
    roomy = ndimage.distance_transform_edt(like, sampling=case.spacing)
    near = (depth < -6) & (depth > -14) & (roomy > 5)
    candidates = np.argwhere(near) if near.any() else np.argwhere((depth < -4) & (depth > -16) & like)
    center = candidates[rng.integers(len(candidates))]
    far = np.sqrt(
        sum(
            ((np.arange(n) - c) * s).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
            for axis, (n, c, s) in enumerate(zip(case.truth.shape, center, case.spacing, strict=True))
        )
    )
    parts, _ = ndimage.label(like & (far < 20))
    blob = parts == parts[tuple(center)]
    return np.clip(ndimage.gaussian_filter(blob.astype(np.float32), [0.8 / s for s in case.spacing]) * 1.05, 0, 1)
