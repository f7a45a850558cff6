"""What turns clicks into a mask: ours, and what people have instead. All see the same CT, prediction, clicks and reach.

The baselines that need seeds of both kinds get them from the prediction wherever no click contradicts it: what lies
3 mm deep in its foreground or background is a seed, unless a click of the other kind is within the reach. They relabel
the surroundings of the clicks (1.5 reaches); elsewhere the prediction stays.
"""

from __future__ import annotations

import numpy as np
from AttentionUNetSegLib.correction import Seed, correct_probability
from correction_robot import Corrector
from correction_scenarios import Case
from refinement_methods import network_alone, network_and_ours
from scipy import ndimage

# Grow cut and random walker work on voxels of about this size: finer ones take them many seconds per click.
BASELINE_SPACING_MM = 2.0
SEED_RADIUS_MM = 3.0


def ours(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """`correct_probability`, with its cache kept from click to click as `ResultEditor` does."""
    cache: dict = {}

    def correct(seeds: list[Seed]) -> np.ndarray:
        return correct_probability(case.ct, prediction, seeds, reach_mm, case.spacing, cache=cache) >= 128

    return correct


def sphere_brush(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """Paint or erase a ball of the reach, in the sequence of the clicks."""

    def correct(seeds: list[Seed]) -> np.ndarray:
        mask = prediction >= 128
        for seed in seeds:
            mask[_ball(case.truth.shape, seed.voxel, case.spacing, reach_mm)] = seed.positive
        return mask

    return correct


def grow_cut(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """Slicer's "Grow from seeds": vtkImageGrowCutSegment."""
    import slicer
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData

    def image(array: np.ndarray, spacing) -> vtkImageData:
        data = vtkImageData()
        data.SetDimensions(*array.shape[::-1])
        data.SetSpacing(*spacing[::-1])
        data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
        return data

    def label(ct: np.ndarray, markers: np.ndarray, spacing) -> np.ndarray:
        algorithm = slicer.vtkImageGrowCutSegment()
        algorithm.SetIntensityVolume(image(ct.astype(np.int16), spacing))
        algorithm.SetSeedLabelVolume(image(markers, spacing))
        algorithm.Update()
        labels = vtk_to_numpy(algorithm.GetOutput().GetPointData().GetScalars())
        return labels.reshape(ct.shape) == 1

    return _seeded(case, prediction, reach_mm, label)


def random_walker(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """scikit-image's random walker (Grady 2006) on the CT cut off at -160..240 HU."""
    from skimage.segmentation import random_walker as walk

    def label(ct: np.ndarray, markers: np.ndarray, spacing) -> np.ndarray:
        if not (markers == 1).any() or not (markers == 2).any():
            return markers == 1
        data = np.clip(ct.astype(np.float32), -160, 240)
        return walk(data, markers.astype(int), beta=130, mode="cg_j", spacing=np.array(spacing)) == 1

    return _seeded(case, prediction, reach_mm, label)


METHODS = {
    "ours": ours,
    "network alone": network_alone,
    "network and ours": network_and_ours,
    "grow cut": grow_cut,
    "random walker": random_walker,
    "sphere brush": sphere_brush,
}


def _seeded(case: Case, prediction: np.ndarray, reach_mm: float, label) -> Corrector:
    """Run a seeded method on blocks of voxels around the clicks."""
    step = [max(1, round(BASELINE_SPACING_MM / s)) for s in case.spacing]
    spacing = tuple(s * n for s, n in zip(case.spacing, step, strict=True))
    coarse = tuple(slice(None, None, n) for n in step)
    ct = ndimage.uniform_filter(case.ct.astype(np.float32), step)[coarse]
    said = (prediction >= 128)[coarse]
    inner = ndimage.distance_transform_edt(said, sampling=spacing) > SEED_RADIUS_MM
    outer = ~ndimage.binary_dilation(said) & (ndimage.distance_transform_edt(~said, sampling=spacing) > SEED_RADIUS_MM)

    def correct(seeds: list[Seed]) -> np.ndarray:
        clicked = {kind: np.full(ct.shape, np.inf) for kind in (True, False)}
        for seed in seeds:
            place = tuple(v // n for v, n in zip(seed.voxel, step, strict=True))
            np.minimum(clicked[seed.positive], _millimetres(ct.shape, place, spacing), out=clicked[seed.positive])
        markers = np.zeros(ct.shape, np.uint8)
        markers[inner & (clicked[False] > reach_mm)] = 1
        markers[outer & (clicked[True] > reach_mm)] = 2
        markers[clicked[True] <= SEED_RADIUS_MM] = 1
        markers[(clicked[False] <= SEED_RADIUS_MM) & (clicked[False] < clicked[True])] = 2
        near = np.minimum(clicked[True], clicked[False]) <= 1.5 * reach_mm
        box = ndimage.find_objects(near.astype(np.uint8))[0]
        grown = np.zeros(ct.shape, bool)
        grown[box] = label(ct[box], markers[box], spacing)
        fine, touched = grown, near
        for axis, n in enumerate(step):
            fine, touched = np.repeat(fine, n, axis=axis), np.repeat(touched, n, axis=axis)
        here = tuple(slice(0, n) for n in case.truth.shape)
        return np.where(touched[here], fine[here], prediction >= 128)

    return correct


def _ball(shape, voxel, spacing, radius_mm: float) -> np.ndarray:
    return _millimetres(shape, voxel, spacing) <= radius_mm


def _millimetres(shape, voxel, spacing) -> np.ndarray:
    return np.sqrt(
        sum(
            (((np.arange(n) - v) * s) ** 2).reshape([-1 if a == axis else 1 for a in range(3)])
            for axis, (n, v, s) in enumerate(zip(shape, voxel, spacing, strict=True))
        )
    )
