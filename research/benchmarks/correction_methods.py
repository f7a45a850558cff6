"""What turns clicks into a mask: ours, and what people have instead. All see the same CT, prediction, clicks and reach.

The baselines that need seeds of both kinds get them from the prediction wherever no click contradicts it: what lies
3 mm deep in its foreground or background is a seed, unless a click of the other kind is within the reach. They relabel
the surroundings of the clicks (1.5 reaches); elsewhere the prediction stays. They do so twice: on blocks of about 2 mm,
and then on the voxels themselves, where only the blocks at the surface of what was found are open (as banded graph cuts
do: Lombaert et al., ICCV 2005). A method that is always right scores 0.99 and more so (`test_correction_methods.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from AttentionUNetSegLib.correction import Seed, correct_probability
from scipy import ndimage

from .correction_blocks import Blocks, box_around, millimetres, nearest_clicks
from .correction_robot import Corrector
from .correction_scenarios import Case

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
    blocks = Blocks(case.truth.shape, case.spacing)
    ct = np.clip(blocks.means(case.ct), -160, 240)
    prior = blocks.means(prediction) / 255.0

    def correct(seeds: list[Seed]) -> np.ndarray:
        clicked = nearest_clicks(seeds, blocks.shape, blocks.millimetres)
        near = np.minimum(clicked[True], clicked[False]) <= 3 * reach_mm
        box = ndimage.find_objects(near.astype(np.uint8))[0]
        certain = np.minimum(clicked[True], clicked[False])[box] <= SEED_RADIUS_MM
        pull = np.where(certain, 1e3, np.where(near[box], WALKER_PRIOR, 1e3))
        wanted = np.where(certain, clicked[True][box] < clicked[False][box], prior[box])
        change = np.zeros(blocks.shape, np.float32)
        change[box] = _walk(ct[box], pull, wanted, blocks.spacing) - prior[box]
        # The change is what the blocks know; where there is none, the prediction's own voxels stay.
        return prediction + 255.0 * blocks.interpolated(change, _everything(case)) >= 127.5

    return correct


METHODS = {
    "ours": ours,
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
    """Run a seeded method around the clicks, on blocks of voxels and then on the voxels at the surface of the answer.

    Parameters
    ----------
    label
        Takes HU, markers (1 inside, 2 outside, 0 open) and spacing, and returns what is inside; all of one grid.
    """
    blocks = Blocks(case.truth.shape, case.spacing)
    ct = blocks.means(case.ct)
    said = blocks.means(prediction >= 128) >= 0.5
    inner = ndimage.distance_transform_edt(said, sampling=blocks.spacing) > SEED_RADIUS_MM
    outer = ndimage.distance_transform_edt(~said, sampling=blocks.spacing) > SEED_RADIUS_MM

    def correct(seeds: list[Seed]) -> np.ndarray:
        clicked = nearest_clicks(seeds, blocks.shape, blocks.millimetres)
        markers = np.zeros(blocks.shape, np.uint8)
        markers[inner & (clicked[False] > reach_mm)] = 1
        markers[outer & (clicked[True] > reach_mm)] = 2
        _mark_clicks(markers, clicked)
        # A block more than what is taken over: its surface there must not look like the answer's.
        near = np.minimum(clicked[True], clicked[False]) <= 1.5 * reach_mm + max(blocks.spacing)
        part = ndimage.find_objects(near.astype(np.uint8))[0]
        grown = said.copy()
        grown[part] = label(ct[part], markers[part], blocks.spacing)
        box = box_around(seeds, case.truth.shape, case.spacing, 1.5 * reach_mm)
        indices = [np.arange(side.start, side.stop) for side in box]
        clicked = nearest_clicks(
            seeds, [len(each) for each in indices], lambda voxel: millimetres(indices, voxel, case.spacing)
        )
        markers = blocks.repeated(_surface_open(grown), box)
        _mark_clicks(markers, clicked)
        near = np.minimum(clicked[True], clicked[False]) <= 1.5 * reach_mm
        mask = prediction >= 128
        mask[box][near] = label(case.ct[box].astype(np.float32), markers, case.spacing)[near]
        return mask

    return correct


def _mark_clicks(markers: np.ndarray, clicked: dict[bool, np.ndarray]) -> None:
    markers[clicked[True] <= SEED_RADIUS_MM] = 1
    markers[(clicked[False] <= SEED_RADIUS_MM) & (clicked[False] < clicked[True])] = 2


def _surface_open(grown: np.ndarray) -> np.ndarray:
    """Return markers of blocks: open (0) next to one of the other kind, else 1 inside and 2 outside."""
    cube = np.ones((3, 3, 3), bool)
    markers = np.zeros(grown.shape, np.uint8)
    markers[ndimage.binary_erosion(grown, cube, border_value=1)] = 1
    markers[ndimage.binary_erosion(~grown, cube, border_value=1)] = 2
    return markers


def _everything(case: Case) -> tuple[slice, ...]:
    return tuple(slice(0, length) for length in case.truth.shape)


def _ball(shape, voxel, spacing, radius_mm: float) -> np.ndarray:
    return millimetres([np.arange(n) for n in shape], voxel, spacing) <= radius_mm
