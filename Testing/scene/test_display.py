"""Attention in the slice views, and nothing else changed there."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.scene import (
    arrange_slice_views,
    center_of_segment,
    import_result,
    segment_volume_ml,
    set_threshold,
    show_attention,
)
from vtkmodules.util.numpy_support import vtk_to_numpy

OFFSET_IJK = (18, 14, 6)  # of the probability's box in the CT, see conftest.py


def composites(scene) -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)


@pytest.fixture
def views(nodes):
    arrange_slice_views(nodes)
    return composites(nodes.scene)


@pytest.mark.parametrize("level", [1, 2, "probability"])
def test_the_chosen_volume_is_in_the_foreground_of_every_view(nodes, views, level):
    show_attention(nodes, level, opacity=0.3)
    expected = nodes.probability if level == "probability" else nodes.attention[level - 1]
    assert len(views) == 3
    for composite in views:
        assert composite.GetForegroundVolumeID() == expected.GetID()
        assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def test_the_spread_is_shown_where_there_is_one(scene, ct_node, measured_job):
    nodes = import_result(scene, ct_node, measured_job.result, measured_job.folder)
    arrange_slice_views(nodes)
    show_attention(nodes, "spread")
    assert {each.GetForegroundVolumeID() for each in composites(scene)} == {nodes.spread.GetID()}
    show_attention(nodes, None)
    assert {each.GetForegroundVolumeID() for each in composites(scene)} == {None}


def test_a_result_of_one_pass_has_no_spread_to_show(nodes):
    assert nodes.spread is None
    with pytest.raises(BadInput, match="no spread"):
        show_attention(nodes, "spread")


def test_background_and_label_layers_stay(scene, nodes, views):
    background = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another CT").GetID()
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels").GetID()
    for composite in views:
        composite.SetBackgroundVolumeID(background)
        composite.SetLabelVolumeID(labels)
    show_attention(nodes, 1)
    show_attention(nodes, None)
    for composite in views:
        assert composite.GetBackgroundVolumeID() == background
        assert composite.GetLabelVolumeID() == labels


def test_none_takes_only_this_result_away(scene, nodes, views):
    pet = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET").GetID()
    show_attention(nodes, 1)
    views[0].SetForegroundVolumeID(pet)
    show_attention(nodes, None)
    assert [composite.GetForegroundVolumeID() for composite in views] == [pet, None, None]


def test_colour_and_lowest_value_change_only_when_given(scene, nodes):
    display = nodes.attention[0].GetDisplayNode()
    before = display.GetLowerThreshold(), display.GetColorNodeID()
    show_attention(nodes, 1)
    assert (display.GetLowerThreshold(), display.GetColorNodeID()) == before
    show_attention(nodes, 1, color=scene.GetNodeByID("vtkMRMLColorTableNodeRainbow"), lower_threshold=0.6)
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeRainbow"
    assert display.GetLowerThreshold() == 153
    assert nodes.attention[1].GetDisplayNode().GetColorNodeID() == before[1]


def test_a_scene_without_views_is_no_error(scene, nodes):
    assert composites(scene) == []
    show_attention(nodes, 1)
    show_attention(nodes, None)
    assert composites(scene) == []


@pytest.mark.parametrize("level", [0, 3, -1])
def test_a_gate_that_does_not_exist_is_refused(nodes, level):
    with pytest.raises(BadInput, match="no attention volume of gate"):
        show_attention(nodes, level)


def test_the_centre_of_the_segment_is_the_middle_of_a_ball_and_follows_the_transform(scene, ct_node, job, move):
    middle = np.array(OFFSET_IJK) + (9, 11, 6)
    left, posterior, superior = job.ct.TransformIndexToPhysicalPoint(middle.tolist())
    nodes = import_result(scene, ct_node, job.result, job.folder, keep_largest=True)
    np.testing.assert_allclose(center_of_segment(nodes), (-left, -posterior, superior), atol=4.0)
    matrix = move(ct_node)
    nodes.segmentation.SetAndObserveTransformNodeID(ct_node.GetTransformNodeID())
    moved = matrix @ (-left, -posterior, superior, 1.0)
    np.testing.assert_allclose(center_of_segment(nodes), moved[:3], atol=4.0)


def test_the_volume_counts_edits_by_hand(nodes, job):
    assert segment_volume_ml(nodes) == pytest.approx(set_threshold(nodes, 0.5))
    labelmap = nodes.segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = 1
    voxel_ml = np.prod(job.ct.GetSpacing()) / 1000
    assert segment_volume_ml(nodes) == pytest.approx(labelmap.GetNumberOfPoints() * voxel_ml)


def test_an_empty_segment_has_no_centre_and_leaves_the_views_where_they_are(nodes):
    arrange_slice_views(nodes)
    red = nodes.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    before = red.GetSliceOffset()
    slicer.util.arrayFromVolume(nodes.probability)[:] = 0
    set_threshold(nodes, 0.5)
    assert center_of_segment(nodes) is None
    arrange_slice_views(nodes)
    assert red.GetSliceOffset() == before


def test_views_that_exist_are_used_and_keep_their_zoom(nodes):
    arrange_slice_views(nodes)
    red = nodes.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    red.SetFieldOfView(50, 50, 1)
    arrange_slice_views(nodes)
    assert len(composites(nodes.scene)) == 3
    assert red.GetFieldOfView()[0] == 50
