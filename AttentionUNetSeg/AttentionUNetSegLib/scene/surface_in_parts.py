"""Closed surfaces made part by part, so that an event loop goes on: of a large segment Slicer's way is one long block.

They are made as Slicer makes them: flying edges, then a low-pass filter on the mesh, with Slicer's own parameters.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import slicer
from scipy import sparse
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals, vtkReverseSense
from vtkmodules.vtkFiltersGeneral import vtkDiscreteFlyingEdges3D
from vtkmodules.vtkImagingCore import vtkImageConstantPad

CLOSED_SURFACE, LABELMAP = "Closed surface", "Binary labelmap"
ITERATIONS = 20
# What Slicer's conversion can do beside smoothing, and the values with which it does none of it.
WITHOUT_EXTRAS = {
    "Decimation factor": 0.0,
    "Conversion method": 0.0,
    "Joint smoothing": 0.0,
    "Compute surface normals": 1.0,
}
# So many points are moved once, or one point so often, in one part: some 20 ms.
POINTS_PER_PART = 300_000

Parts = Generator[None, None, vtkPolyData]


def surfaces_in_parts(node: slicer.vtkMRMLSegmentationNode) -> Iterator[None]:
    """Give all segments of a node their closed surfaces, and yield after each part of the work.

    Nothing of the node changes before the end. What is edited meanwhile is made anew.
    """
    segmentation = node.GetSegmentation()
    # Somebody changed the source, or how surfaces are made: Slicer knows the way.
    if segmentation.GetSourceRepresentationName() != LABELMAP or _has_extras(segmentation):
        node.CreateClosedSurfaceRepresentation()
        return
    state = None
    made: dict[str, vtkPolyData] = {}
    while state != _state(node):
        state, made = _state(node), {}
        for segment_id, *_changes in state:
            if segmentation.GetSegment(segment_id) is not None:
                made[segment_id] = yield from _surface(node, segment_id)
            if state != _state(node):
                break
    # A segmentation has surfaces once the first of its segments, by ID, has one; views would ask Slicer for the others.
    for segment_id in sorted(made, reverse=True):
        segmentation.GetSegment(segment_id).AddRepresentation(CLOSED_SURFACE, made[segment_id])
    node.CreateClosedSurfaceRepresentation()  # which makes none that is there, and tells everybody
    for segment_id in made:
        segmentation.GetSegment(segment_id).Modified()


def _has_extras(segmentation: slicer.vtkSegmentation) -> bool:
    # All of them as "name|value|description&": asking for one that this Slicer does not have prints an error.
    for parameter in segmentation.SerializeAllConversionParameters().split("&"):
        name, _, rest = parameter.partition("|")
        usual, value = WITHOUT_EXTRAS.get(name), rest.partition("|")[0]
        if usual is None:
            continue
        try:
            if float(value) != usual:
                return True
        except ValueError:
            return True
    return False


def _state(node: slicer.vtkMRMLSegmentationNode) -> list[tuple[str, int, int]]:
    """Return what changes when a surface does: for each segment its ID, its labelmap and its label in it."""
    segmentation = node.GetSegmentation()
    state = []
    for n in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(n)
        labelmap = segment.GetRepresentation(LABELMAP)
        changed = 0 if labelmap is None else labelmap.GetMTime()
        state.append((segmentation.GetNthSegmentID(n), changed, segment.GetLabelValue()))
    return state


def _surface(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Parts:
    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(segment_id)
    labelmap = segment.GetRepresentation(LABELMAP)
    if labelmap is None or labelmap.GetPointData().GetScalars() is None:
        return vtkPolyData()
    image = vtkImageData()
    image.SetExtent(labelmap.GetExtent())
    image.GetPointData().SetScalars(labelmap.GetPointData().GetScalars())
    if not (vtk_to_numpy(image.GetPointData().GetScalars()) == segment.GetLabelValue()).any():
        return vtkPolyData()  # flying edges print an error for it
    to_ras = vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_ras)
    smoothing = float(segmentation.GetConversionParameter("Smoothing factor") or 0.0)
    mesh = _edges(image, segment.GetLabelValue())
    yield
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float32)
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    if smoothing > 0.0:
        means = _means_of_neighbours(triangles, len(points))
        yield
        points = yield from _low_pass(points, means, 10.0 ** (-4.0 * smoothing))
    matrix = slicer.util.arrayFromVTKMatrix(to_ras)
    placed = vtkPoints()
    placed.SetData(numpy_to_vtk((points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32), deep=True))
    mesh.SetPoints(placed)
    return _with_normals(mesh, is_mirrored=bool(np.linalg.det(matrix[:3, :3]) < 0))


def _edges(image: vtkImageData, label: int) -> vtkPolyData:
    padded = vtkImageConstantPad()  # or a segment that reaches the edge of its box would stay open there
    padded.SetInputData(image)
    padded.SetOutputWholeExtent(*(end + (1 if n % 2 else -1) for n, end in enumerate(image.GetExtent())))
    edges = vtkDiscreteFlyingEdges3D()
    edges.SetInputConnection(padded.GetOutputPort())
    edges.ComputeGradientsOff()
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.SetValue(0, label)
    edges.Update()
    return edges.GetOutput()


def _means_of_neighbours(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """Return the matrix (count, count) that makes of all points the means of those that share an edge with them."""
    ways = triangles, np.roll(triangles, -1, axis=1)  # every edge of a closed mesh is gone along once in each direction
    ones = np.ones(triangles.size, np.float32)
    shared = sparse.csr_matrix((ones, (ways[0].ravel(), ways[1].ravel())), shape=(count, count))
    shared.data /= np.repeat(np.asarray(shared.sum(axis=1)).ravel(), np.diff(shared.indptr))
    return shared


def _low_pass(points: np.ndarray, means: sparse.csr_matrix, pass_band: float) -> Generator[None, None, np.ndarray]:
    """Return points (n, 3) without what is finer than the pass band (0 to 2): the windowed sinc of a mesh.

    Taubin, Zhang and Golub, "Optimal surface smoothing as filter design", ECCV 1996.
    """
    weights = _sinc_weights(pass_band)
    before, now = points, (points + means @ points) / 2
    smooth = weights[0] * before + weights[1] * now
    per_part = max(1, POINTS_PER_PART // len(points))
    for n, weight in enumerate(weights[2:]):
        if n % per_part == 0:
            yield
        before, now = now, now + means @ now - before
        smooth += weight * now
    return smooth


def _sinc_weights(pass_band: float) -> np.ndarray:
    """Return the weights of the Chebyshev polynomials 0 to `ITERATIONS` of a low pass; it keeps means as they are."""
    n = np.arange(1, ITERATIONS + 1)
    window = 0.54 + 0.46 * np.cos(n * np.pi / (ITERATIONS + 1))
    angle = np.arccos(1.0 - pass_band / 2)

    def weights(cut: float) -> np.ndarray:
        return np.concatenate([[cut / np.pi], 2.0 * window * np.sin(n * cut) / (n * np.pi)])

    # The window makes the filter fall early: it is widened until what lies at the end of the pass band is kept.
    low, high = angle, angle + 1.0
    for _ in range(40):
        middle = (low + high) / 2
        is_kept = weights(middle) @ np.cos(np.arange(ITERATIONS + 1) * angle) >= 1.0
        low, high = (low, middle) if is_kept else (middle, high)
    found = weights(high)
    return (found / found.sum()).astype(np.float32)


def _with_normals(mesh: vtkPolyData, is_mirrored: bool) -> vtkPolyData:
    """Return the mesh with normals that point outwards, as its triangles do; mirrored ones are turned round."""
    turned = vtkReverseSense()
    turned.SetInputData(mesh)
    turned.SetReverseCells(is_mirrored)
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(turned.GetOutputPort())
    normals.ConsistencyOff()  # flying edges turn all triangles alike
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()
