"""The camera of the 3D view, the window of a CT and the surface of an empty segment."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.scene import set_threshold
from AttentionUNetSegLib.scene.showing import look_at_result
from AttentionUNetSegLib.scene.surface import has_surface, show_surface
from AttentionUNetSegLib.scene.volumes import PRESETS, set_window, set_window_unless_chosen, window_name


def test_a_camera_is_turned_to_the_result_until_a_person_moves_it(scene, nodes):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    assert look_at_result(nodes)
    bounds = np.zeros(6)
    nodes.segmentation.GetRASBounds(bounds)
    np.testing.assert_allclose(camera.GetFocalPoint(), (bounds[::2] + bounds[1::2]) / 2)
    away = np.array(camera.GetPosition()) - camera.GetFocalPoint()
    np.testing.assert_allclose(away / np.linalg.norm(away), (0, 1, 0), atol=1e-9)  # still from the front
    assert np.linalg.norm(away) * np.tan(np.radians(15)) > np.linalg.norm(bounds[1::2] - bounds[::2]) / 2
    set_threshold(nodes, 0.9)
    assert look_at_result(nodes), "nobody has moved it"
    camera.SetPosition(1.0, 2.0, 3.0)
    assert not look_at_result(nodes)
    assert camera.GetPosition() == (1.0, 2.0, 3.0)


def test_a_camera_that_was_moved_before_the_first_result_stays(scene, nodes):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetPosition(0.0, 400.0, 0.0)
    assert not look_at_result(nodes)


def test_only_an_automatic_window_is_replaced(ct_node):
    display = ct_node.GetDisplayNode()
    display.SetAutoWindowLevel(1)
    assert window_name(ct_node) is None
    assert set_window_unless_chosen(ct_node)
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (400, 40, 0)
    display.SetWindowLevel(1234, 56)
    assert not set_window_unless_chosen(ct_node)
    assert (display.GetWindow(), display.GetLevel()) == (1234, 56)
    for name in PRESETS:
        set_window(ct_node, name)
        assert window_name(ct_node) == name


def test_an_empty_segment_has_no_surface_and_prints_nothing(nodes, caplog):
    show_surface(nodes, True)
    assert has_surface(nodes)
    assert set_threshold(nodes, 1.0, smoothing_mm=20.0) == 0.0
    assert not has_surface(nodes)
    assert "vtkDiscreteFlyingEdges3D" not in caplog.text, caplog.text
    assert set_threshold(nodes, 0.5) > 0.0
    assert has_surface(nodes), "it was there before the segment was empty"
    show_surface(nodes, False)
    set_threshold(nodes, 0.4)
    assert not has_surface(nodes)


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_the_surface_follows(nodes, threshold):
    show_surface(nodes, True)
    set_threshold(nodes, threshold)
    assert has_surface(nodes)
