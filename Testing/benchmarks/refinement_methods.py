"""The network in the loop as rows of the correction benchmark: its refinement alone, and joined with our local clicks.

The predictions of `correction_scenarios` are not the network's own. The refinement starts from them all the same: what
is fitted and added is a change of their log odds, of features of the phantom-only network. Where a case says whose
results are played on, it is that model's network.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.correction import Seed, add_refinement, correct_probability
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import RefinementClick, Segmenter, refine
from AttentionUNetSegLib.models import Catalogue, load_package
from correction_robot import Corrector
from correction_scenarios import Case, box_around

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from phantom_package import PHANTOM_MODEL


def network_alone(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """(b) `inference.refine` and nothing else: a click is no law to it."""
    return lambda seeds: refined(case, prediction, seeds, reach_mm) >= 128


def network_and_ours(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """(c) what `ResultEditor` makes of the refinement: both changes added up, clicked voxels certain."""
    known: dict = {}

    def correct(seeds: list[Seed]) -> np.ndarray:
        local = correct_probability(case.ct, prediction, seeds, reach_mm, case.spacing, cache=known)
        certain = np.zeros(local.shape, bool)
        for seed in seeds:
            certain[seed.voxel] = True
        return add_refinement(local, prediction, refined(case, prediction, seeds, reach_mm), certain) >= 128

    return correct


def refined(case: Case, prediction: np.ndarray, seeds: list[Seed], reach_mm: float) -> np.ndarray:
    """The probability of the adapted network, uint8 on the voxels of the case."""
    ct, probability = (_image(values, case.spacing) for values in (case.ct, prediction))
    clicks = [
        RefinementClick(ct.TransformIndexToPhysicalPoint([int(n) for n in seed.voxel[::-1]]), seed.positive)
        for seed in seeds
    ]
    found = refine(segmenter(case.model), ct, probability, [], clicks, reach_mm)
    return sitk.GetArrayFromImage(found.probability)


def own_result(name: str, ct: sitk.Image, truth: np.ndarray, model: str) -> tuple[Case, np.ndarray]:
    """The case of a CT around the truth (bool, KJI, on its voxels), and what a model says there, uint8 0..255."""
    found = segmenter(model).segment(Volume(ct, name, not model, ())).probability
    whole = sitk.GetArrayFromImage(sitk.Resample(found, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    spacing = ct.GetSpacing()[::-1]
    box = box_around(truth, spacing)
    voxels = np.ascontiguousarray(sitk.GetArrayFromImage(ct)[box])
    nothing = np.zeros(voxels.shape, bool)
    return Case(name, voxels, truth[box].copy(), spacing, nothing, model), whole[box].copy()


@cache
def segmenter(model: str) -> Segmenter:
    """A model of the catalogue, or of a folder, on the CPU; "" is the phantom-only one."""
    if not model or Path(model).is_dir():
        return Segmenter(load_package(Path(model) if model else PHANTOM_MODEL), "cpu")
    return Segmenter(Catalogue().get(model), "cpu")


def _image(values: np.ndarray, spacing: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing([float(s) for s in spacing[::-1]])
    return image
