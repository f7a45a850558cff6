"""Phantoms as training cases: on the model's grid, through the same preprocessing as in inference."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.imaging import HUWindow, body_box, to_model_grid
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.whole_file import whole_file

# Scanners reconstruct finer in the plane than this; for a model grid of 4 mm it makes no difference, and it is fast.
PLANE_SPACING_MM = (2.2, 3.0)
SLICE_SPACING_MM = (1.5, 5.0)


@dataclass(frozen=True)
class TrainingCase:
    """One phantom on the model's grid, cut to the body box.

    intensities : float32 (K, J, I), window applied, 0..1.
    target : float32 (K, J, I), the part of each voxel that is pancreas, 0..1. Fractions, because a voxel of several
        millimetres on the surface is neither inside nor outside; a threshold of 0.5 then lies on the true surface.
    """

    intensities: np.ndarray
    target: np.ndarray


def training_case(seed: int, spacing_mm: tuple[float, float, float], window_hu: tuple[float, float]) -> TrainingCase:
    """Draw the phantom of `seed` at a random spacing and bring it to the model's grid."""
    rng = np.random.default_rng([seed, 1])
    plane, slices = rng.uniform(*PLANE_SPACING_MM), rng.uniform(*SLICE_SPACING_MM)
    phantom = make_phantom(seed, (plane, plane, slices))
    coarse = to_model_grid(phantom.ct, spacing_mm)
    box = body_box(coarse)
    target = sitk.GetArrayFromImage(to_model_grid(phantom.pancreas, spacing_mm))[box]
    intensities = HUWindow(*window_hu).apply(sitk.GetArrayViewFromImage(coarse)[box])
    return TrainingCase(intensities, np.clip(target, 0, 1).astype(np.float32))


def training_cases(
    seeds: Sequence[int],
    spacing_mm: tuple[float, float, float],
    window_hu: tuple[float, float],
    cache: Path | None = None,
    processes: int = 2,
) -> Iterator[TrainingCase]:
    """The cases of `seeds`, in order, computed in parallel; `cache` is a folder that keeps them between runs."""
    if cache:
        cache.mkdir(parents=True, exist_ok=True)
    jobs = [(seed, spacing_mm, window_hu, cache) for seed in seeds]
    # Spawn: a forked child would inherit torch's thread pools in an unusable state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(_cached_case, jobs)


class PatchSampler:
    """Random patches from cases, most of them about the pancreas, with light augmentation."""

    def __init__(self, cases: Sequence[TrainingCase], patch: tuple[int, int, int], rng: np.random.Generator) -> None:
        """`patch` is (K, J, I) in voxels."""
        self.cases, self.patch, self.rng = cases, patch, rng
        self._centres = [np.argwhere(case.target > 0.5).mean(axis=0) for case in cases]

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` patches: intensities and targets, float32 (N, 1, K, J, I)."""
        pairs = [self._patch() for _ in range(size)]
        images, targets = (torch.from_numpy(np.stack(arrays)[:, None]) for arrays in zip(*pairs, strict=True))
        return images, targets

    def _patch(self) -> tuple[np.ndarray, np.ndarray]:
        index = int(self.rng.integers(len(self.cases)))
        case, patch = self.cases[index], np.array(self.patch)
        if self.rng.random() < 0.7:
            start = self._centres[index] - patch * self.rng.uniform(0.2, 0.8, 3)
        else:
            start = self.rng.uniform(0, 1, 3) * (np.array(case.target.shape) - patch)
        start = np.clip(np.rint(start).astype(int), 0, np.maximum(np.array(case.target.shape) - patch, 0))
        window = tuple(slice(low, low + length) for low, length in zip(start, patch, strict=True))
        image, target = case.intensities[window], case.target[window]
        missing = [(0, length - have) for length, have in zip(patch, image.shape, strict=True)]
        image, target = np.pad(image, missing, mode="edge"), np.pad(target, missing, mode="edge")
        return self._augmented(image), target

    def _augmented(self, image: np.ndarray) -> np.ndarray:
        """Contrast and brightness as between scanners and doses of contrast medium, and noise."""
        gain, offset = self.rng.uniform(0.9, 1.1), self.rng.uniform(-0.05, 0.05)
        noise = self.rng.standard_normal(image.shape, np.float32) * self.rng.uniform(0, 0.03)
        return np.clip((image - 0.5) * gain + 0.5 + offset + noise, 0, 1).astype(np.float32)


def _cached_case(job: tuple) -> TrainingCase:
    seed, spacing_mm, window_hu, cache = job
    if cache is None:
        return training_case(seed, spacing_mm, window_hu)
    path = cache / f"{seed}-{'x'.join(f'{s:g}' for s in spacing_mm)}.npz"
    if not path.exists():
        case = training_case(seed, spacing_mm, window_hu)
        arrays = {"intensities": case.intensities.astype(np.float16), "target": case.target.astype(np.float16)}
        with whole_file(path) as beside:
            np.savez_compressed(beside, **arrays)
    with np.load(path) as arrays:
        return TrainingCase(arrays["intensities"].astype(np.float32), arrays["target"].astype(np.float32))


def _one_thread() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    torch.set_num_threads(1)
