"""The segment is always clean(probability >= threshold), on the CT's own voxels."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Volume, bounding_box
from AttentionUNetSegLib.scene import add_volume, import_result, set_threshold
from AttentionUNetSegLib.scene.fields import CroppedField, box_of_at_least
from AttentionUNetSegLib.scene.threshold import clean_mask, lowest_value, mask_of_field
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

fields = arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3))
thresholds = st.one_of(st.floats(1e-6, 1.0), st.integers(1, 255).map(lambda value: value / 255))


@given(threshold=thresholds)
def test_the_lowest_value_is_the_first_that_reaches_the_threshold(threshold):
    reaching = [value for value in range(256) if value / 255 >= threshold]
    assert lowest_value(threshold) == reaching[0]


@settings(deadline=None)
@given(field=fields, threshold=thresholds)
def test_the_mask_is_the_comparison(field, threshold):
    np.testing.assert_array_equal(clean_mask(field, threshold), field / 255.0 >= threshold)


@settings(deadline=None)
@given(field=fields, threshold=thresholds)
def test_the_largest_part_is_one_of_the_parts_and_none_is_larger(field, threshold):
    mask = clean_mask(field, threshold)
    largest = clean_mask(field, threshold, keep_largest=True)
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    assert largest.sum() == sizes.max()
    assert count == 0 or len(np.unique(parts[largest > 0])) == 1


def test_smoothing_acts_on_the_field_in_millimetres():
    field = np.zeros((21, 21, 41), np.uint8)
    field[8:13, 8:13, 16:25] = 255
    expected = ndimage.gaussian_filter(field.astype(float), (1.0, 1.0, 2.0), mode="constant") >= 0.5 * 255
    smoothed = clean_mask(field, 0.5, smoothing_voxels=[1.0, 1.0, 2.0]).astype(bool)
    assert (smoothed != expected).mean() < 1e-3
    assert 0 < smoothed.sum() < (field > 0).sum()


@pytest.mark.parametrize("smoothing_mm", [0.0, 5.0])
@pytest.mark.parametrize("threshold", [0.05, 0.6, 1.0])
def test_only_a_part_of_the_field_is_looked_at_and_nothing_is_missed(nodes, threshold, smoothing_mm):
    values = slicer.util.arrayFromVolume(nodes.probability)
    values[-1, -1, -1] = 255  # at the far end, alone
    assert box_of_at_least(values, lowest_value(threshold)) == bounding_box(values >= lowest_value(threshold))
    found = mask_of_field(nodes, threshold, False, smoothing_mm)
    voxels = [smoothing_mm / spacing for spacing in nodes.probability.GetSpacing()[::-1]]
    start = mask_of_field(nodes, 1e-9, False, 0.0).start
    field_start = tuple(s - part.start for s, part in zip(start, bounding_box(values > 0), strict=True))
    whole = CroppedField(field_start, clean_mask(values, threshold, smoothing_voxels=voxels))
    np.testing.assert_array_equal(found.on(whole.box), whole.values)


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.73, 1.0])
def test_the_segment_lies_on_the_voxels_of_the_ct(nodes, job, segment_mask, threshold):
    volume = set_threshold(nodes, threshold)
    expected = job.expected_mask(threshold)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), expected)
    assert volume == pytest.approx(expected.sum() * np.prod(job.ct.GetSpacing()) / 1000)


def test_a_threshold_that_nothing_reaches_gives_an_empty_segment_and_can_be_taken_back(
    scene, ct_node, job, segment_mask
):
    image = sitk.ReadImage(str(job.folder / "probability.nrrd"))
    sitk.WriteImage(sitk.Cast(image / 2, sitk.sitkUInt8), str(job.folder / "probability.nrrd"))
    nodes = import_result(scene, ct_node, job.result, job.folder)
    assert set_threshold(nodes, 0.9) == 0.0
    assert not segment_mask(nodes, job.ct).any()
    assert set_threshold(nodes, 0.2) > 0.0
    assert segment_mask(nodes, job.ct).any()


def test_a_parent_transform_moves_the_segment_with_the_ct_and_resamples_nothing(
    scene, ct_node, job, move, segment_mask
):
    move(ct_node)
    nodes = import_result(scene, ct_node, job.result, job.folder)
    volume = set_threshold(nodes, 0.5)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), job.expected_mask(0.5))
    assert volume == pytest.approx(job.expected_mask(0.5).sum() * np.prod(job.ct.GetSpacing()) / 1000)


def test_keep_largest_drops_the_small_blob(nodes):
    both = set_threshold(nodes, 0.5)
    one = set_threshold(nodes, 0.5, keep_largest=True)
    assert 0 < one < both
    assert nodes.segmentation.GetAttribute("AttentionUNetSeg.keep_largest") == "true"


def test_order_does_not_matter(nodes, job, segment_mask):
    for threshold in (0.9, 0.1, 0.4, 0.6):
        set_threshold(nodes, threshold, keep_largest=True, smoothing_mm=4.0)
    set_threshold(nodes, 0.5)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), job.expected_mask(0.5))


def test_a_closed_surface_that_existed_exists_again_and_follows(nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    segment = segmentation.GetNthSegment(0)
    assert not segmentation.ContainsRepresentation("Closed surface")
    set_threshold(nodes, 0.2)
    assert not segmentation.ContainsRepresentation("Closed surface")
    nodes.segmentation.CreateClosedSurfaceRepresentation()
    wide = segment.GetRepresentation("Closed surface").GetLength()
    set_threshold(nodes, 0.8, keep_largest=True)
    assert segmentation.ContainsRepresentation("Closed surface")
    assert 0 < segment.GetRepresentation("Closed surface").GetLength() < 0.8 * wide


def test_results_and_other_segmentations_do_not_interfere(scene, ct_node, job, segment_mask):
    first = import_result(scene, ct_node, job.result, job.folder)
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    other.GetSegmentation().AddEmptySegment("Pancreas", "Pancreas")
    second = import_result(scene, ct_node, job.result, job.folder)
    set_threshold(first, 0.9)
    set_threshold(second, 0.1)
    np.testing.assert_array_equal(segment_mask(first, job.ct), job.expected_mask(0.9))
    np.testing.assert_array_equal(segment_mask(second, job.ct), job.expected_mask(0.1))
    assert other.GetSegmentation().GetNumberOfSegments() == 1


def test_a_step_of_the_scene_takes_the_threshold_back(scene, nodes, job, segment_mask):
    scene.SetUndoOn()
    nodes.segmentation.SetUndoEnabled(True)
    set_threshold(nodes, 0.9)
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert nodes.segmentation.GetAttribute("AttentionUNetSeg.threshold") == "0.5"


@pytest.mark.parametrize("threshold", [0.0, 0.009, -0.1, 1.0001, float("nan")])
def test_a_threshold_out_of_range_is_refused_and_changes_nothing(nodes, job, segment_mask, threshold):
    with pytest.raises(BadInput, match="between 0.01 and 1"):
        set_threshold(nodes, threshold)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), job.expected_mask(0.5))


def test_nodes_that_somebody_changed_are_refused_with_a_sentence(nodes):
    with pytest.raises(BadInput, match="smoothing"):
        set_threshold(nodes, 0.5, smoothing_mm=-1.0)
    nodes.segmentation.GetSegmentation().RemoveAllSegments()
    with pytest.raises(BadInput, match="no longer in"):
        set_threshold(nodes, 0.5)
    nodes.probability.SetAndObserveImageData(None)
    with pytest.raises(BadInput, match="holds no voxels"):
        set_threshold(nodes, 0.5)


def test_only_the_box_is_touched_so_a_large_ct_costs_nothing(scene, tmp_path):
    """21 million voxels of CT, 3 million in the box: the labelmap has the box's. research/benchmarks times it."""
    ct = sitk.Image([400, 400, 130], sitk.sitkInt16)
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.random((100, 150, 200), dtype=np.float32), 6)
    field = np.interp(field, (field.min(), field.max()), (0, 255)).astype(np.uint8)
    box = sitk.GetImageFromArray(field)
    box.SetOrigin(ct.TransformIndexToPhysicalPoint((120, 130, 20)))
    sitk.WriteImage(box, str(tmp_path / "probability.nrrd"))
    nodes = import_result(scene, add_volume(scene, Volume(ct, "large")), {"threshold": 0.5}, tmp_path)
    for threshold in (0.4, 0.5, 0.6):
        set_threshold(nodes, threshold)
        labelmap = nodes.segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
        assert 0 < labelmap.GetNumberOfPoints() <= field.size
