"""What turns clicks into a mask: ours, and what people have instead. All see the same CT, prediction, clicks and reach.

The baselines that need seeds of both kinds get them from the prediction wherever no click contradicts it: what lies
3 mm deep in its foreground or background is a seed, unless a click of the other kind is within the reach. They relabel
the surroundings of the clicks (1.5 reaches); elsewhere the prediction stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from AttentionUNetSegLib.correction import Seed, correct_probability
from correction_robot import Corrector
from correction_scenarios import Case
from refinement_methods import network_alone, network_and_ours
from scipy import ndimage

# Grow cut and random walker work on voxels of about this size: finer ones take them many seconds per click.
BASELINE_SPACING_MM = 2.0
SEED_RADIUS_MM = 3.0
# Graph cut: the HU difference that halves an edge, about, and what an edge weighs against the histograms.
GRAPH_CUT_HU, GRAPH_CUT_EDGES = 20.0, 4.0
GRAPH_CUT_UNIT = 1000  # SciPy's flows are whole numbers
# Random walker with prior: likewise, and what the prediction weighs against a neighbour.
WALKER_HU, WALKER_PRIOR = 20.0, 0.003


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


def graph_cut(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """Graph cut (Boykov and Jolly, ICCV 2001): HU histograms of the seeds, and edges where the HU change."""

    def label(ct: np.ndarray, markers: np.ndarray, spacing) -> np.ndarray:
        if not (markers == 1).any() or not (markers == 2).any():
            return markers == 1
        inside, outside = (_surprise(ct, ct[markers == n]) for n in (1, 2))
        return _cut(ct, markers, inside, outside, spacing)

    return _seeded(case, prediction, reach_mm, label)


def random_walker_with_prior(case: Case, prediction: np.ndarray, reach_mm: float) -> Corrector:
    """Random walker with the prediction as prior (Grady, CVPR 2005): no seeds but the clicks, within three reaches."""
    step, spacing, ct, coarse = _coarse(case)
    prior = ndimage.uniform_filter(prediction.astype(np.float32) / 255.0, step)[coarse]
    ct = np.clip(ct, -160, 240)

    def correct(seeds: list[Seed]) -> np.ndarray:
        clicked = _clicked(seeds, ct.shape, step, spacing)
        near = np.minimum(clicked[True], clicked[False]) <= 3 * reach_mm
        box = ndimage.find_objects(near.astype(np.uint8))[0]
        certain = np.minimum(clicked[True], clicked[False])[box] <= SEED_RADIUS_MM
        pull = np.where(certain, 1e3, np.where(near[box], WALKER_PRIOR, 1e3))
        wanted = np.where(certain, clicked[True][box] < clicked[False][box], prior[box])
        walked = _walk(ct[box], pull, wanted, spacing)
        grown = prior >= 0.5
        grown[box] = walked >= 0.5
        return _on_voxels(grown, near, case, prediction, step)

    return correct


METHODS = {
    "ours": ours,
    "network alone": network_alone,
    "network and ours": network_and_ours,
    "grow cut": grow_cut,
    "random walker": random_walker,
    "random walker with prior": random_walker_with_prior,
    "graph cut": graph_cut,
    "sphere brush": sphere_brush,
}


def _cut(ct: np.ndarray, markers: np.ndarray, inside: np.ndarray, outside: np.ndarray, spacing) -> np.ndarray:
    """Return the source's side of the minimum cut; `inside` and `outside` are what either label costs a voxel."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    free = markers == 0
    count = int(free.sum())
    source, sink = count, count + 1  # all seeds of a kind are one node: the cut is the same, the graph much smaller
    number = np.where(markers == 1, source, sink)
    number[free] = np.arange(count)
    lean = (outside - inside)[free]
    own = np.arange(count)
    start, end = [np.full(count, source), own], [own, np.full(count, sink)]
    capacity = [np.maximum(lean, 0), np.maximum(-lean, 0)]
    for first, second, change, shape in _neighbours(number, ct, spacing):
        alike = GRAPH_CUT_EDGES * np.exp(-((change / GRAPH_CUT_HU) ** 2) / 2) * shape
        used = first != second
        start += [first[used], second[used]]
        end += [second[used], first[used]]
        capacity += [alike[used], alike[used]]
    whole = np.rint(np.concatenate(capacity) * GRAPH_CUT_UNIT).astype(np.int32)
    graph = coo_matrix((whole, (np.concatenate(start), np.concatenate(end))), (count + 2, count + 2)).tocsr()
    graph.eliminate_zeros()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = (left.data > 0).astype(np.int8)
    left.eliminate_zeros()
    ours = np.zeros(count + 2, bool)
    ours[breadth_first_order(left, source, return_predecessors=False)] = True
    return ours[number]


def _walk(ct: np.ndarray, pull: np.ndarray, wanted: np.ndarray, spacing) -> np.ndarray:
    """Solve (Laplacian + pull) x = pull * wanted."""
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import cg

    number = np.arange(ct.size).reshape(ct.shape)
    edges = [
        (first, second, np.exp(-((change / WALKER_HU) ** 2)) * shape**2 + 1e-5)
        for first, second, change, shape in _neighbours(number, ct, spacing)
    ]
    rows, columns, values = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    weights = coo_matrix((values, (rows, columns)), (ct.size, ct.size))
    weights = (weights + weights.T).tocsr()
    diagonal = np.asarray(weights.sum(axis=1)).ravel() + pull.ravel()
    solved, _ = cg(
        diags(diagonal) - weights, (pull * wanted).ravel(), x0=wanted.ravel().astype(float), rtol=1e-4, maxiter=500,
        M=diags(1.0 / diagonal),
    )  # fmt: skip
    return solved.reshape(ct.shape)


def _neighbours(number: np.ndarray, ct: np.ndarray, spacing) -> Iterator[tuple]:
    """Yield, axis by axis, both nodes of every pair of neighbours, their difference in HU, and finest over own step."""
    for axis, step in enumerate(spacing):
        size = number.shape[axis]
        first, second = (np.take(number, range(*part), axis).ravel() for part in ((size - 1,), (1, size)))
        yield first, second, np.diff(ct, axis=axis).ravel(), min(spacing) / step


def _surprise(hu: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return minus the logarithm of how often an attenuation was seen."""
    edges = np.arange(-220.0, 321.0, 10.0)
    counts = ndimage.gaussian_filter1d(np.histogram(np.clip(seen, -219, 319), edges)[0].astype(float), 1.0) + 0.5
    place = np.clip(np.digitize(hu, edges) - 1, 0, len(counts) - 1)
    return -np.log(counts / counts.sum())[place]


def _seeded(case: Case, prediction: np.ndarray, reach_mm: float, label) -> Corrector:
    """Run a seeded method on blocks of voxels around the clicks."""
    step, spacing, ct, coarse = _coarse(case)
    said = (prediction >= 128)[coarse]
    inner = ndimage.distance_transform_edt(said, sampling=spacing) > SEED_RADIUS_MM
    outer = ~ndimage.binary_dilation(said) & (ndimage.distance_transform_edt(~said, sampling=spacing) > SEED_RADIUS_MM)

    def correct(seeds: list[Seed]) -> np.ndarray:
        clicked = _clicked(seeds, ct.shape, step, spacing)
        markers = np.zeros(ct.shape, np.uint8)
        markers[inner & (clicked[False] > reach_mm)] = 1
        markers[outer & (clicked[True] > reach_mm)] = 2
        markers[clicked[True] <= SEED_RADIUS_MM] = 1
        markers[(clicked[False] <= SEED_RADIUS_MM) & (clicked[False] < clicked[True])] = 2
        near = np.minimum(clicked[True], clicked[False]) <= 1.5 * reach_mm
        box = ndimage.find_objects(near.astype(np.uint8))[0]
        grown = np.zeros(ct.shape, bool)
        grown[box] = label(ct[box], markers[box], spacing)
        return _on_voxels(grown, near, case, prediction, step)

    return correct


def _coarse(case: Case) -> tuple:
    """Return voxels per block, the blocks' spacing and mean HU, and the slices that take one voxel per block."""
    step = [max(1, round(BASELINE_SPACING_MM / s)) for s in case.spacing]
    spacing = tuple(s * n for s, n in zip(case.spacing, step, strict=True))
    coarse = tuple(slice(None, None, n) for n in step)
    return step, spacing, ndimage.uniform_filter(case.ct.astype(np.float32), step)[coarse], coarse


def _clicked(seeds: list[Seed], shape, step, spacing) -> dict[bool, np.ndarray]:
    """Return how far every block is from the nearest click of either kind."""
    clicked = {kind: np.full(shape, np.inf) for kind in (True, False)}
    for seed in seeds:
        place = tuple(v // n for v, n in zip(seed.voxel, step, strict=True))
        np.minimum(clicked[seed.positive], _millimetres(shape, place, spacing), out=clicked[seed.positive])
    return clicked


def _on_voxels(grown: np.ndarray, touched: np.ndarray, case: Case, prediction: np.ndarray, step) -> np.ndarray:
    for axis, n in enumerate(step):
        grown, touched = np.repeat(grown, n, axis=axis), np.repeat(touched, n, axis=axis)
    here = tuple(slice(0, n) for n in case.truth.shape)
    return np.where(touched[here], grown[here], prediction >= 128)


def _ball(shape, voxel, spacing, radius_mm: float) -> np.ndarray:
    return _millimetres(shape, voxel, spacing) <= radius_mm


def _millimetres(shape, voxel, spacing) -> np.ndarray:
    return np.sqrt(
        sum(
            (((np.arange(n) - v) * s) ** 2).reshape([-1 if a == axis else 1 for a in range(3)])
            for axis, (n, v, s) in enumerate(zip(shape, voxel, spacing, strict=True))
        )
    )
