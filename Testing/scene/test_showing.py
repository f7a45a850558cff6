"""Which result and which CT is seen where a scene holds several."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import (
    add_volume,
    center_of_segment,
    center_slices,
    give_own_color,
    import_result,
    require_click_lists,
    show_also_others,
    show_attention,
    show_only,
)


@pytest.fixture
def views(scene):
    """Three slice views with what they show."""
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
        view.SetLayoutName(name)
        view.SetOrientation(orientation)
        scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode").SetLayoutName(name)
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)


def seen(nodes) -> tuple[int, int, int]:
    displayed = nodes.segmentation, nodes.add_clicks, nodes.remove_clicks
    return tuple(node.GetDisplayNode().GetVisibility() for node in displayed)


def test_only_the_chosen_result_is_seen_over_its_own_ct(scene, job, ct_node, views):
    other_ct = add_volume(scene, Volume(job.ct, "another patient"))
    first, second = (import_result(scene, ct, job.result, job.folder) for ct in (ct_node, other_ct))
    for nodes in (first, second):
        require_click_lists(nodes)
    show_attention(first, 1)
    show_only(second)
    assert (seen(first), seen(second)) == ((0, 0, 0), (1, 1, 1))
    for view in views:
        assert view.GetBackgroundVolumeID() == other_ct.GetID()
        assert view.GetForegroundVolumeID() is None
    show_only(first)
    assert (seen(first), seen(second)) == ((1, 1, 1), (0, 0, 0))
    assert {view.GetBackgroundVolumeID() for view in views} == {ct_node.GetID()}
    show_also_others(first)
    # Clicks of others cannot be dragged.
    assert (seen(first), seen(second)) == ((1, 1, 1), (1, 0, 0))


def test_slices_are_centered_in_all_three_directions(scene, nodes, views):
    center_slices(nodes)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        middle = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3]
        np.testing.assert_allclose(middle, center_of_segment(nodes), atol=1e-6)


def test_results_of_one_ct_differ_in_name_and_color(scene, ct_node, job):
    results = []
    for _ in range(4):
        results.append(import_result(scene, ct_node, job.result, job.folder))
        give_own_color(results[-1])
    assert [nodes.segmentation.GetName() for nodes in results[:2]] == ["liver phase pancreas", "liver phase pancreas 2"]
    colors = [np.array(nodes.segmentation.GetSegmentation().GetNthSegment(0).GetColor()) for nodes in results]
    np.testing.assert_allclose(colors[0] * 255, (249, 180, 111), atol=0.5)
    for n, color in enumerate(colors):
        for other in colors[:n]:
            assert np.abs(color - other).max() > 0.25
