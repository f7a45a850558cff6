"""Saved files carry everything, and a reopened scene works without running the network again."""

from __future__ import annotations

import gzip
import json
import os
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput, CannotWrite, InternalError
from AttentionUNetSegLib.scene import (
    arrange_slice_views,
    bundle,
    find_results,
    import_result,
    load_scene,
    open_standalone_scene,
    save_scene,
    save_segmentation,
    saved_scene,
    saving,
    set_threshold,
    show_attention,
)
from AttentionUNetSegLib.scene.saving import file_names_for_bundle, require_same_bundle


def nrrd_header(content: bytes) -> dict[str, str]:
    """Fields and keys of a NRRD header as text."""
    header = content[: content.index(b"\n\n")].decode()
    lines = [line for line in header.splitlines()[1:] if not line.startswith("#")]
    return dict(line.replace(":=", ": ", 1).split(": ", 1) for line in lines)


def test_the_segmentation_file_says_what_the_segment_is_and_who_made_it(nodes, tmp_path):
    save_segmentation(nodes, tmp_path / "ct_pancreas.seg.nrrd")
    header = nrrd_header((tmp_path / "ct_pancreas.seg.nrrd").read_bytes())
    assert header["Segment0_Name"] == "Pancreas"
    assert [float(value) for value in header["Segment0_Color"].split()] == pytest.approx(
        [249 / 255, 180 / 255, 111 / 255], abs=1e-4
    )
    assert "~SCT^15776009^Pancreas~" in header["Segment0_Tags"]
    assert "DICOM.SegmentAlgorithmType:AUTOMATIC" in header["Segment0_Tags"]
    assert "DICOM.SegmentAlgorithmName:Pancreas: test & trial 0.3.1" in header["Segment0_Tags"]
    assert header["encoding"] == "gzip"


def test_the_segmentation_file_has_the_grid_of_the_ct(nodes, job, tmp_path):
    save_segmentation(nodes, tmp_path / "ct_pancreas.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "ct_pancreas.seg.nrrd"))
    assert image.GetSize() == job.ct.GetSize()
    np.testing.assert_allclose(image.GetOrigin(), job.ct.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing(), job.ct.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), job.ct.GetDirection(), atol=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image) > 0, job.expected_mask(0.5))


@pytest.fixture
def reopened(scene, ct_node, job, move, tmp_path):
    """The result of a CT under a transform, saved and loaded into a second scene."""
    move(ct_node)
    nodes = import_result(scene, ct_node, job.result, job.folder)
    arrange_slice_views(nodes)
    save_scene(scene, tmp_path / "ct_scene.mrb")
    app, second = open_standalone_scene()
    assert second.ReadFromMRB(str(tmp_path / "ct_scene.mrb"), True)
    yield nodes, second
    second.Clear(True)
    del app


def test_a_reopened_scene_finds_its_result_with_everything_in_place(reopened, job):
    nodes, second = reopened
    (found,) = find_results(second)
    assert found.result_id == nodes.result_id
    assert found.volume.GetName() == "liver phase"
    assert [node.GetName() for node in found.attention] == [
        "liver phase attention 1",
        "liver phase attention 2",
    ]
    for before, after in zip(
        [nodes.volume, nodes.probability, *nodes.attention],
        [found.volume, found.probability, *found.attention],
        strict=True,
    ):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(after), slicer.util.arrayFromVolume(before))
        assert after.GetParentTransformNode().GetName() == "acquisition"
    assert found.segmentation.GetParentTransformNode().GetName() == "acquisition"
    for key in ("model.name", "timings", "warnings", "device_name"):
        name = f"AttentionUNetSeg.{key}"
        assert found.probability.GetAttribute(name) == nodes.probability.GetAttribute(name)
    assert json.loads(found.segmentation.GetAttribute("AttentionUNetSeg.warnings")) == job.result["warnings"]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(second)
    assert hierarchy.GetItemName(found.folder_item) == "liver phase pancreas"
    display = found.attention[0].GetDisplayNode()
    assert display.GetColorNode().GetName() == "Inferno"
    assert display.GetApplyThreshold()
    assert display.GetWindowLevelMax() == 255


def test_the_spread_is_there_in_a_reopened_scene(scene, ct_node, measured_job, tmp_path):
    nodes = import_result(scene, ct_node, measured_job.result, measured_job.folder)
    arrange_slice_views(nodes)
    save_scene(scene, tmp_path / "ct_scene.mrb")
    app, second = open_standalone_scene()
    assert second.ReadFromMRB(str(tmp_path / "ct_scene.mrb"), True)
    (found,) = find_results(second)
    assert found.spread.GetName() == "liver phase spread"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(found.spread), slicer.util.arrayFromVolume(nodes.spread))
    show_attention(found, "spread")
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", second)
    assert {node.GetForegroundVolumeID() for node in composites} == {found.spread.GetID()}
    second.Clear(True)
    del app


def test_threshold_and_attention_work_in_a_reopened_scene(reopened, job, segment_mask):
    _, second = reopened
    (found,) = find_results(second)
    np.testing.assert_array_equal(segment_mask(found, job.ct), job.expected_mask(0.5))
    set_threshold(found, 0.8)
    np.testing.assert_array_equal(segment_mask(found, job.ct), job.expected_mask(0.8))
    show_attention(found, 2)
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", second)
    assert {node.GetForegroundVolumeID() for node in composites} == {found.attention[1].GetID()}


def test_a_reopened_scene_shows_the_ct_at_the_pancreas(reopened):
    nodes, second = reopened
    (found,) = find_results(second)
    bounds = [0.0] * 6
    nodes.segmentation.GetRASBounds(bounds)
    for view, axis in (("Red", 2), ("Yellow", 0), ("Green", 1)):
        composite = second.GetNodeByID(f"vtkMRMLSliceCompositeNode{view}")
        assert composite.GetBackgroundVolumeID() == found.volume.GetID()
        assert composite.GetForegroundVolumeID() == found.attention[0].GetID()
        assert composite.GetForegroundOpacity() == 0
        slice_node = second.GetNodeByID(f"vtkMRMLSliceNode{view}")
        assert slice_node.GetOrientation() == {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}[view]
        position = slice_node.GetSliceToRAS().GetElement(axis, 3)
        assert bounds[2 * axis] < position < bounds[2 * axis + 1]


def test_volumes_in_the_bundle_are_compressed(scene, nodes, tmp_path):
    save_scene(scene, tmp_path / "ct_scene.mrb")
    with zipfile.ZipFile(tmp_path / "ct_scene.mrb") as packed:
        volumes = [name for name in packed.namelist() if name.endswith(".nrrd")]
        headers = [nrrd_header(packed.read(name)) for name in volumes]
        assert any(name.endswith("/ct_scene.mrml") for name in packed.namelist())
    assert len(volumes) == 5
    assert {header["encoding"] for header in headers} == {"gzip"}


@pytest.mark.parametrize("processors", [1, 3])
def test_large_volumes_that_threads_compress_are_the_same_for_every_reader(
    scene, nodes, tmp_path, monkeypatch, processors
):
    monkeypatch.setattr(bundle, "LARGE_BYTES", 1)
    monkeypatch.setattr(bundle, "_BYTES_AT_ONCE", 10_007)
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    save_scene(scene, tmp_path / "ct_scene.mrb")
    with zipfile.ZipFile(tmp_path / "ct_scene.mrb") as packed:
        packed.extractall(tmp_path)
    text = (tmp_path / "ct_scene" / "ct_scene.mrml").read_text(encoding="utf-8")
    assert text.count('useCompression="1"') >= 4 and 'useCompression="0"' not in text
    for file in (tmp_path / "ct_scene" / "Data").glob("*.nrrd"):
        header, _, voxels = file.read_bytes().partition(b"\n\n")
        assert b"encoding: gzip" in header
        gzip.decompress(voxels)  # whole, with the right checksum, and nothing behind it
    found = sitk.ReadImage(str(tmp_path / "ct_scene" / "Data" / "liver_phase.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(found), slicer.util.arrayFromVolume(nodes.volume))
    app, second = open_standalone_scene()
    load_scene(second, tmp_path / "ct_scene.mrb")
    (again,) = find_results(second)
    for one, other in zip([nodes.volume, *nodes.attention], [again.volume, *again.attention], strict=True):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(other), slicer.util.arrayFromVolume(one))
    second.Clear(True)
    del app


def test_two_results_are_told_apart_after_reopening(scene, ct_node, job, tmp_path):
    ids = [import_result(scene, ct_node, job.result, job.folder).result_id for _ in range(2)]
    save_scene(scene, tmp_path / "two.mrb")
    app, second = open_standalone_scene()
    assert second.ReadFromMRB(str(tmp_path / "two.mrb"), True)
    found = find_results(second)
    assert sorted(nodes.result_id for nodes in found) == sorted(ids)
    assert len({nodes.probability.GetID() for nodes in found}) == 2
    assert app.scene is second


def test_saving_leaves_the_scene_and_the_folder_as_they_were(scene, nodes, tmp_path):
    scene.SetURL("/somewhere/own.mrml")
    save_scene(scene, tmp_path / "ct_scene.mrb")
    save_segmentation(nodes, tmp_path / "ct.seg.nrrd")
    assert scene.GetURL() == "/somewhere/own.mrml"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.seg.nrrd", "ct_scene.mrb", "job"]


def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(scene, nodes, tmp_path):
    target = tmp_path / "ct_scene.mrb"
    target.mkdir()  # cannot be replaced by a file
    with pytest.raises((CannotWrite, OSError)):
        save_scene(scene, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct_scene.mrb", "job"]


@pytest.mark.parametrize("name", ["scene.zip", "missing/scene.mrb"])
def test_names_and_folders_that_cannot_be_are_refused(scene, tmp_path, name):
    with pytest.raises(BadInput, match="cannot be written"):
        save_scene(scene, tmp_path / name)


@pytest.mark.parametrize("name", ["pancreas.nrrd", "missing/pancreas.seg.nrrd"])
def test_a_segmentation_wants_its_own_ending(nodes, tmp_path, name):
    with pytest.raises(BadInput, match="cannot be written"):
        save_segmentation(nodes, tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no bundle", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_bundle_is_refused_and_the_current_folder_stays(scene, tmp_path, content):
    (tmp_path / "damaged.mrb").write_bytes(content)
    before = os.getcwd()
    with pytest.raises(BadInput, match=r"damaged\.mrb cannot be read"):
        load_scene(scene, tmp_path / "damaged.mrb")
    assert os.getcwd() == before


@pytest.mark.parametrize(
    "name", ["ABD & PELVIS", "胰" * 80, "x" * 240, "a<b>\"c\"'d';%20#?*|:\\/", "../../outside", "é&ü", "&"]
)
def test_no_name_can_break_a_scene(nodes, tmp_path, name):
    scene = nodes.volume.GetScene()
    nodes.volume.SetName(name)
    nodes.segmentation.SetName(f"{name} pancreas")
    storages = [node.GetStorageNode() for node in (nodes.volume, nodes.segmentation)]
    save_scene(scene, tmp_path / "named.mrb")
    assert [node.GetStorageNode() for node in (nodes.volume, nodes.segmentation)] == storages
    _app, reopened = open_standalone_scene()
    load_scene(reopened, tmp_path / "named.mrb")
    volume = reopened.GetFirstNodeByName(name)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), slicer.util.arrayFromVolume(nodes.volume))
    assert reopened.GetFirstNodeByName(f"{name} pancreas").GetSegmentation().GetNumberOfSegments() == 1


def test_a_bundle_that_is_not_the_scene_is_found_out(nodes, tmp_path):
    scene = nodes.volume.GetScene()
    with file_names_for_bundle(scene) as stored:
        assert scene.WriteToMRB(str(tmp_path / "a.mrb"))
        require_same_bundle(tmp_path / "a.mrb", stored)
        slicer.util.arrayFromVolume(nodes.volume)[1, 2, 3] += 1
        with pytest.raises(InternalError, match="holds other voxels"):
            require_same_bundle(tmp_path / "a.mrb", stored)
        damaged = (tmp_path / "a.mrb").read_bytes()
        (tmp_path / "a.mrb").write_bytes(damaged[:-100])
        with pytest.raises(InternalError, match="not the same"):
            require_same_bundle(tmp_path / "a.mrb", stored)


def test_the_segmentation_beside_a_bundle_is_the_file_that_is_written_alone(nodes, tmp_path):
    with saved_scene(nodes.volume.GetScene(), tmp_path / "a.mrb", nodes, tmp_path / "copied.seg.nrrd"):
        assert (tmp_path / "copied.seg.nrrd").is_file()
    save_segmentation(nodes, tmp_path / "alone.seg.nrrd")
    assert (tmp_path / "copied.seg.nrrd").read_bytes() == (tmp_path / "alone.seg.nrrd").read_bytes()


def test_other_work_may_be_done_while_a_bundle_is_read_again(scene, nodes, tmp_path, monkeypatch):
    """The file takes its place after that, and not at all where it is not the scene."""
    target, others = tmp_path / "a.mrb", sorted(tmp_path.iterdir())
    with saved_scene(scene, target):
        assert not target.exists()
    assert target.is_file()
    target.unlink()

    def damaged(partial, stored):
        partial.write_bytes(partial.read_bytes()[:-100])
        require_same_bundle(partial, stored)

    monkeypatch.setattr(saving, "require_same_bundle", damaged)
    with pytest.raises(InternalError, match="not the same"), saved_scene(scene, target):
        pass
    assert sorted(tmp_path.iterdir()) == others
    assert nodes.volume.GetStorageNode() is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_scene_in_a_folder_whose_name_is_no_unicode(nodes, tmp_path):
    folder = tmp_path / os.fsdecode(b"out\xfc")
    folder.mkdir()
    save_scene(nodes.volume.GetScene(), folder / os.fsdecode(b"M\xfcller_scene.mrb"))
    save_segmentation(nodes, folder / "a.seg.nrrd")
    assert len(list(folder.iterdir())) == 2
    _app, reopened = open_standalone_scene()
    load_scene(reopened, folder / os.fsdecode(b"M\xfcller_scene.mrb"))
