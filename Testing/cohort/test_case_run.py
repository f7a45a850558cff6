"""One case, without a cluster: its folder, whole or not there, and what is made again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.cli import correct
from AttentionUNetSegLib.cohort import case_run, run_case
from AttentionUNetSegLib.cohort.picture import CONTOUR, draw
from AttentionUNetSegLib.errors import BadModel
from AttentionUNetSegLib.scene import measure_result, open_standalone_scene


def test_a_case_leaves_a_folder_that_slicer_and_correct_go_on_with(phantom_folder, order_for):
    order = order_for(phantom_folder / "case_00.nrrd")
    assert run_case(order).state == "done"
    folder = order.folder.path
    report = order.folder.report()
    files = report["files"]
    listed = [*files["attention"], *(name for name in files.values() if isinstance(name, str))]
    assert sorted(listed) == sorted(os.listdir(folder))
    assert os.listdir(folder.parent) == ["case_00"], "nothing is left beside it"
    json.dumps(report, allow_nan=False)
    assert 0 < report["predicted_dice"] <= 1 and report["volume_ml"]["Pancreas"] > 0

    segment = sitk.ReadImage(str(folder / files["segmentation"]))
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(segment)) * np.prod(segment.GetSpacing()) / 1000
    assert report["volume_ml"]["Pancreas"] == pytest.approx(volume, rel=1e-3)
    app, scene = open_standalone_scene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(folder / files["segmentation"]))
    assert storage.ReadData(node)
    read = node.GetSegmentation().GetNthSegment(0)
    assert read.GetName() == "Pancreas" and "SCT^15776009^Pancreas" in read.GetTerminology()

    nodes = correct._rebuilt(scene, correct._find(folder))
    assert measure_result(nodes).as_json()["quantities"] == report["measurements"]["quantities"]
    scene.Clear(True)
    del app


def test_the_picture_shows_the_gland_in_three_planes_however_the_voxels_are_stored(phantom, tmp_path):
    draw(phantom.ct, phantom.pancreas, tmp_path / "as_is.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "as_is.png")))
    assert picture.shape == (240, 720, 3)
    for panel in np.split(picture, 3, axis=1):
        contour = np.argwhere(np.all(panel == CONTOUR, axis=-1))
        assert len(contour) > 60 and np.abs(contour.mean(axis=0) - 120).max() < 60
        assert panel[..., 2].std() > 20
    stored = [sitk.DICOMOrient(image, "PIR") for image in (phantom.ct, phantom.pancreas)]
    draw(*stored, tmp_path / "sagittal.png")
    again = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sagittal.png")))
    assert np.mean(np.abs(again.astype(int) - picture) > 8) < 0.02


def test_what_is_done_is_not_done_again_unless_something_changed(phantom_folder, order_for, tmp_path):
    ct = tmp_path / "ct.nrrd"
    ct.write_bytes((phantom_folder / "case_01.nrrd").read_bytes())
    order = order_for(ct, picture=False)
    run_case(order)
    written = (order.folder.path / "result_report.json").stat().st_mtime_ns
    assert order.finished() and run_case(order).state == "done"
    assert (order.folder.path / "result_report.json").stat().st_mtime_ns == written
    assert not order_for(ct, threshold=0.6).finished()
    os.utime(ct, (1, 1))
    assert not order.finished(), "another file lies there now"


def test_what_cannot_be_segmented_is_a_folder_with_the_reason(order_for, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    for path, words in ((broken, "broken.nii.gz"), (tmp_path / "missing.nrrd", "There is no file")):
        order = order_for(path)
        assert run_case(order).state == "failed"
        assert os.listdir(order.folder.path) == ["result_report.json"]
        error = order.folder.report()["error"]
        assert error["code"] == "bad_input" and words in error["message"]
        assert order.finished() and not order.finished(again=True)


def test_a_failure_in_the_middle_changes_nothing_of_an_earlier_result(phantom_folder, order_for, monkeypatch):
    order = order_for(phantom_folder / "case_00.nrrd", picture=False)
    run_case(order)
    before = {path.name: path.read_bytes() for path in order.folder.path.iterdir()}

    def full_disk(report, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(case_run, "write_report", full_disk)
    again = order_for(phantom_folder / "case_00.nrrd", picture=False, threshold=0.47)
    outcome = run_case(again)
    assert outcome.state == "failed" and "No space left" in outcome.report["error"]["message"]
    assert {path.name: path.read_bytes() for path in order.folder.path.iterdir()} == before


def test_another_model_on_the_worker_stops_everything(phantom_folder, order_for):
    case_run._segmenter.cache_clear()
    with pytest.raises(BadModel, match="another one"):
        run_case(replace(order_for(phantom_folder / "case_00.nrrd", "other"), sha256="0" * 64))
