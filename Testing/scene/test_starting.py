"""Results that start from a segmentation of elsewhere: what comes out untouched is what went in, on its own grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import StoredSegment
from AttentionUNetSegLib.models import SegmentLabel
from AttentionUNetSegLib.scene import (
    export_volume,
    find_results,
    load_scene,
    open_standalone_scene,
    save_scene,
    segment_in_frame_of,
    segment_on_source_grid,
    start_of,
)
from AttentionUNetSegLib.scene.dicom_identity import dicom_origin
from AttentionUNetSegLib.scene.starting import import_start
from AttentionUNetSegLib.session import ResultEditor, start_from_segment, start_from_volume


def ball_on(image: sitk.Image, ct: sitk.Image, radius_mm: float = 28.0) -> sitk.Image:
    """A ball in the middle of the CT, cut flat on one side, on an image's grid."""
    ijk = np.indices(image.GetSize()[::-1])[::-1].reshape(3, -1).T
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    places = ijk @ matrix.T + image.GetOrigin()
    middle = np.array(ct.TransformContinuousIndexToPhysicalPoint((30.0, 24.0, 12.0)))
    inside = np.linalg.norm(places - middle, axis=1) <= radius_mm
    inside &= places[:, 0] > middle[0] - 15.0
    mask = sitk.GetImageFromArray(inside.reshape(image.GetSize()[::-1]).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def grid(ct: sitk.Image, spacing=(2.0, 2.0, 2.0), size=(60, 60, 60)) -> sitk.Image:
    """Another tool's grid: axial, isotropic, not turned with the CT."""
    image = sitk.Image(*size, sitk.sitkUInt8)
    image.SetSpacing(spacing)
    middle = np.array(ct.TransformContinuousIndexToPhysicalPoint((30.0, 24.0, 12.0)))
    image.SetOrigin((middle - np.array(spacing) * size / 2 + 0.37).tolist())
    return image


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_on_the_cts_voxels_the_segment_is_the_given_one_whatever_part_of_the_ct_it_comes_on(
    scene, ct_node, job, segment_mask
):
    mask = ball_on(job.ct, job.ct)
    for image in (mask, mask[15:45, 10:40, 5:20]):
        nodes, warnings = import_start(scene, ct_node, StoredSegment(image, False, "Pancreas"), "other/tool.nii.gz")
        np.testing.assert_array_equal(segment_mask(nodes, job.ct), array(mask) != 0)
        assert warnings == []
        assert nodes.attention == [] and nodes.source is None
        assert segment_on_source_grid(nodes) is None
        assert start_of(nodes) == {"kind": "mask", "name": "other/tool.nii.gz", "segment": "Pancreas"}


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.9, 0.9, 5.0), (6.0, 6.0, 6.0)])
def test_on_another_grid_it_comes_out_voxel_for_voxel_and_a_click_changes_it_around_the_click_only(
    scene, ct_node, job, segment_mask, spacing
):
    size = tuple(round(120 / s) for s in spacing)
    mask = ball_on(grid(job.ct, spacing, size), job.ct)
    nodes, _ = import_start(scene, ct_node, StoredSegment(mask, False, "Pancreas"), "tool")
    on_ct, expected = segment_mask(nodes, job.ct), array(ball_on(job.ct, job.ct)) != 0
    assert 2 * (on_ct & expected).sum() / (on_ct.sum() + expected.sum()) > 0.93
    own = segment_on_source_grid(nodes)
    np.testing.assert_array_equal(array(own), array(mask))
    assert own.GetOrigin() == pytest.approx(mask.GetOrigin(), abs=1e-6)
    editor = ResultEditor(nodes)
    editor.reach_mm = 6.0
    middle = np.array(job.ct.TransformContinuousIndexToPhysicalPoint((30.0, 24.0, 12.0)))
    click = middle + [20.0, 0.0, 0.0]
    editor.add_click((-click[0], -click[1], click[2]), positive=False)
    corrected = array(segment_on_source_grid(nodes))
    changed = np.argwhere(corrected != array(mask))
    assert len(changed) > 0
    places = [np.array(mask.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])) for index in changed]
    assert max(np.linalg.norm(place - click) for place in places) < 3 * 6.0 + max(spacing) * 2
    editor.undo()
    np.testing.assert_array_equal(array(segment_on_source_grid(nodes)), array(mask))
    editor.set_threshold(0.9)  # 1.1 mm further in, where no voxel of 6 mm has its middle
    left = array(segment_on_source_grid(nodes)).sum()
    assert (0 < left < array(mask).sum()) if min(spacing) < 6.0 else (left == array(mask).sum())


def test_a_probability_keeps_its_values_and_moves_with_the_threshold(scene, ct_node, job, segment_mask):
    soft = sitk.SmoothingRecursiveGaussian(sitk.Cast(ball_on(job.ct, job.ct), sitk.sitkFloat32), 4.0)
    nodes, _ = import_start(scene, ct_node, StoredSegment(soft, True, "Pancreas"), "softmax.nii.gz")
    editor = ResultEditor(nodes)
    for threshold in (0.5, 0.2, 0.8):
        editor.set_threshold(threshold)
        stored = np.rint(255 * np.clip(array(soft), 0, 1)).astype(np.uint8)
        np.testing.assert_array_equal(segment_mask(nodes, job.ct), stored / 255.0 >= threshold)
    assert start_of(nodes)["kind"] == "probability"


def test_it_outlives_saving_and_loading_with_its_start_its_clicks_and_its_own_grid(scene, ct_node, job, tmp_path):
    mask = ball_on(grid(job.ct), job.ct)
    nodes, _ = import_start(scene, ct_node, StoredSegment(mask, False, "Duodenum", (0.5, 0.25, 0.75)), "tool.nii.gz")
    editor = ResultEditor(nodes)
    middle = job.ct.TransformContinuousIndexToPhysicalPoint((24.0, 24.0, 12.0))
    editor.add_click((-middle[0], -middle[1], middle[2]), positive=False)
    before = array(segment_on_source_grid(nodes))
    save_scene(scene, tmp_path / "scene.mrb")
    app, other = open_standalone_scene()
    load_scene(other, tmp_path / "scene.mrb")
    (found,) = find_results(other)
    assert start_of(found) == {"kind": "mask", "name": "tool.nii.gz", "segment": "Duodenum"}
    np.testing.assert_array_equal(array(segment_on_source_grid(found)), before)
    again = ResultEditor(found)
    assert len(again.clicks) == 1
    again.clear()
    np.testing.assert_array_equal(array(segment_on_source_grid(found)), array(mask))
    other.Clear(True)
    del app


def test_a_segment_under_another_transform_starts_where_it_is_seen(scene, ct_node, job, move, segment_mask):
    matrix = move(ct_node)
    mask = ball_on(job.ct, job.ct)
    seen = sitk.Image(mask)
    # The same place in the world, in a node without a transform.
    turned = np.diag([-1.0, -1, 1, 1]) @ matrix @ np.diag([-1.0, -1, 1, 1])
    seen.SetDirection((turned[:3, :3] @ np.reshape(mask.GetDirection(), (3, 3))).ravel().tolist())
    seen.SetOrigin((turned[:3, :3] @ np.array(mask.GetOrigin()) + turned[:3, 3]).tolist())
    helper, _ = import_start(scene, _volume(scene, seen), StoredSegment(seen, False, "Pancreas"), "x")
    segment_id = helper.segmentation.GetSegmentation().GetNthSegmentID(0)
    source = helper.segmentation
    nodes, _ = start_from_segment(ct_node, source, segment_id)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), array(mask) != 0)
    assert segment_in_frame_of(ct_node, source, segment_id).terminology.count("Pancreas") == 1
    with pytest.raises(BadInput, match="no segment"):
        start_from_segment(ct_node, source, "none")


def test_a_label_map_of_the_scene_and_a_probability_of_the_scene(scene, ct_node, job, segment_mask):
    mask = ball_on(job.ct, job.ct)
    labels = _volume(scene, mask * 7 + sitk.Cast(job.ct > 600, sitk.sitkUInt8) * 3)
    nodes, _ = start_from_volume(ct_node, labels, 7)
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), array(mask) != 0)
    nodes, _ = start_from_volume(ct_node, _volume(scene, sitk.Cast(mask, sitk.sitkFloat32) * 0.75))
    np.testing.assert_array_equal(segment_mask(nodes, job.ct), array(mask) != 0)


def test_what_lies_outside_the_ct_is_told_and_nothing_is_left_behind_where_all_does(scene, ct_node, job):
    far = ball_on(grid(job.ct), job.ct)
    far.SetOrigin((np.array(far.GetOrigin()) + [1000, 0, 0]).tolist())
    empty = sitk.Image(far) * 0
    count = scene.GetNumberOfNodes()
    for image, sentence in ((far, "wholly outside"), (empty, "empty")):
        with pytest.raises(BadInput, match=sentence):
            import_start(scene, ct_node, StoredSegment(image, False, "Pancreas"), "tool.nii.gz")
    assert scene.GetNumberOfNodes() == count
    half = ball_on(grid(job.ct), job.ct)
    half.SetOrigin((np.array(half.GetOrigin()) + [0, 0, 70.0]).tolist())
    nodes, warnings = import_start(scene, ct_node, StoredSegment(half, False, "Pancreas"), "tool.nii.gz")
    assert "outside the CT" in warnings[0]
    np.testing.assert_array_equal(array(segment_on_source_grid(nodes)), array(half))


def test_a_segmentation_that_lost_its_geometry_is_told(scene, ct_node, job):
    """With spacing and origin of its own a mask on all of the CT's voxels came elsewhere, without a word."""
    mask = ball_on(job.ct, job.ct)
    lost = sitk.Image(mask)
    lost.SetSpacing([0.7 * each for each in mask.GetSpacing()])
    for image, told in ((lost, True), (mask, False), (mask[:, ::-1, ::-1], False)):
        _, warnings = import_start(scene, ct_node, StoredSegment(image, False, "Pancreas"), "tool.nii.gz")
        assert any("its geometry was lost" in each for each in warnings) is told


def test_the_segment_tells_dicom_what_it_is(scene, ct_node, job, tmp_path):
    mask = ball_on(job.ct, job.ct)
    stored = StoredSegment(mask, False, "left kidney", algorithm=("AUTOMATIC", "other net 2"))
    nodes, _ = import_start(scene, ct_node, stored, "tool.nii.gz")
    segment = segment_in_frame_of(ct_node, nodes.segmentation, nodes.segmentation.GetSegmentation().GetNthSegmentID(0))
    assert segment.algorithm == ("AUTOMATIC", "other net 2")
    origin = dicom_origin(nodes)
    assert (origin.model["id"], origin.model["name"], origin.is_semiautomatic) == ("imported", "other net 2", False)
    assert origin.label.name == "left kidney" and SegmentLabel.of_manifest(origin.label.as_manifest()) == origin.label
    assert "Tissue" in segment.terminology and "Pancreas" not in segment.terminology
    export_volume(nodes.probability, tmp_path / "start.nrrd")
    assert array(sitk.ReadImage(str(tmp_path / "start.nrrd"))).max() == 255


def _volume(scene, image: sitk.Image) -> slicer.vtkMRMLScalarVolumeNode:
    from AttentionUNetSegLib.scene.volumes import add_image

    return add_image(scene, image, scene.GenerateUniqueName("volume"))
