"""Surfaces made in parts: Slicer's own, but for less than a voxel, and of the segment as it is at the end."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.scene import open_standalone_scene
from AttentionUNetSegLib.scene.surface_in_parts import surfaces_in_parts
from trame_slicer.views import DirectRendering, ThreeDView
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData


def put(node, segment_id: str, mask: np.ndarray, mirrored: bool) -> None:
    """Write a mask (KJI) into a segment, on voxels of 2 x 2 x 3 mm."""
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(5, 4 + mask.shape[2], 7, 6 + mask.shape[1], 9, 8 + mask.shape[0])
    matrix = np.diag([-2.0, -2.0, -3.0 if mirrored else 3.0, 1.0])
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(labelmap, node, segment_id, logic.MODE_REPLACE)


def surface_of(node, segment_id: str) -> vtkPolyData:
    surface = vtkPolyData()
    assert node.GetClosedSurfaceRepresentation(segment_id, surface)
    return surface


def points_of(surface: vtkPolyData) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData())


def enclosed_mm3(surface: vtkPolyData) -> float:
    """Volume within the triangles; negative where they show inwards."""
    a, b, c = points_of(surface)[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3).T].astype(float)
    return float((np.cross(a, b) * c).sum() / 6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_slicers_surface(scene, mirrored):
    k, j, i = np.indices((24, 30, 40))
    ball = (k - 9) ** 2 * 2.2 + (j - 14) ** 2 + (i - 15) ** 2 < 150
    bar = (abs(k - 9) < 3) & (abs(j - 14) < 3) & (i > 12)  # to the edge of the box
    mask = ball | bar
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "x")
    first, other = (node.GetSegmentation().AddEmptySegment(name, name) for name in ("z", "a"))
    node.GetSegmentation().AddEmptySegment("empty", "empty")
    put(node, first, mask, mirrored)
    put(node, other, ball & (i < 12), mirrored)
    node.CreateClosedSurfaceRepresentation()
    expected = {each: points_of(surface_of(node, each)).copy() for each in (first, other)}
    node.RemoveClosedSurfaceRepresentation()
    parts = surfaces_in_parts(node)
    for _part in parts:
        assert not node.GetSegmentation().ContainsRepresentation("Closed surface")
    for each, points in expected.items():
        found = points_of(surface_of(node, each))
        assert found.shape == points.shape
        apart = np.linalg.norm(found - points, axis=1)
        assert apart.max() < 3.0 and apart.mean() < 0.7, "about a voxel at sharp edges, far less elsewhere"
    surface = surface_of(node, first)
    assert enclosed_mm3(surface) == pytest.approx(mask.sum() * 12.0, rel=0.01)
    outwards = points_of(surface) - points_of(surface).mean(axis=0)
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert (outwards * normals).sum(axis=1).mean() > 0


def test_what_changes_meanwhile_is_in_it(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "x")
    segment_id = node.GetSegmentation().AddEmptySegment("x", "x")
    mask = np.zeros((12, 20, 20), bool)
    mask[3:9, 5:15, 5:15] = True
    put(node, segment_id, mask, False)
    parts = surfaces_in_parts(node)
    next(parts)
    mask[:, :, 10:] = False
    put(node, segment_id, mask, False)
    gone = node.GetSegmentation().AddEmptySegment("gone", "gone")
    next(parts)
    node.GetSegmentation().RemoveSegment(gone)
    for _part in parts:
        pass
    assert enclosed_mm3(surface_of(node, segment_id)) == pytest.approx(mask.sum() * 12.0, rel=0.03)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Decimation factor", "0.8"),
        ("Conversion method", "1"),
        ("Compute surface normals", "0"),
        ("Joint smoothing", "1"),
    ],
)
def test_what_somebody_set_is_left_to_slicer(scene, name, value):
    k, j, i = np.indices((16, 20, 24))
    ball = (k - 8) ** 2 * 2.2 + (j - 10) ** 2 + (i - 12) ** 2 < 60
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "x")
    first, other = (node.GetSegmentation().AddEmptySegment(each, each) for each in ("z", "a"))
    put(node, first, ball & (i < 12), False)
    put(node, other, ball & (i >= 12), False)
    node.GetSegmentation().SetConversionParameter(name, value)
    node.CreateClosedSurfaceRepresentation()
    expected = {each: surface_of(node, each) for each in (first, other)}
    node.RemoveClosedSurfaceRepresentation()
    for _part in surfaces_in_parts(node):
        pass
    for each, surface in expected.items():
        found = surface_of(node, each)
        np.testing.assert_array_equal(points_of(found), points_of(surface))
        normals = [one.GetPointData().GetNormals() is None for one in (found, surface)]
        assert normals[0] == normals[1]


def test_a_3d_view_draws_it_at_once():
    """Slicer's own displayable manager does, and nobody asks it to render."""
    app, scene = open_standalone_scene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "x")
    node.CreateDefaultDisplayNodes()
    segment_id = node.GetSegmentation().AddEmptySegment("x", "x")
    view = ThreeDView(scene, app.app_logic, "drawn", scheduled_render_strategy=DirectRendering())
    view.render_window().SetOffScreenRendering(True)
    drawn: list[set[int]] = []
    view.render_window().AddObserver("EndEvent", lambda window, _event: drawn.append(sizes_of_actors(window)))
    mask = np.zeros((12, 20, 20), bool)
    for end in (9, 6):
        node.RemoveClosedSurfaceRepresentation()
        mask[:] = False
        mask[3:end, 5:15, 5:15] = True
        put(node, segment_id, mask, False)
        drawn.clear()
        for _part in surfaces_in_parts(node):
            pass
        assert surface_of(node, segment_id).GetNumberOfPoints() in drawn[-1]


def sizes_of_actors(window) -> set[int]:
    """How many points each thing has that is drawn."""
    renderers = [window.GetRenderers().GetItemAsObject(n) for n in range(window.GetRenderers().GetNumberOfItems())]
    actors = [
        actors.GetItemAsObject(n)
        for actors in (each.GetActors() for each in renderers)
        for n in range(actors.GetNumberOfItems())
    ]
    meshes = [actor.GetMapper().GetInput() for actor in actors if actor.GetVisibility() and actor.GetMapper()]
    return {mesh.GetNumberOfPoints() for mesh in meshes if mesh is not None}
