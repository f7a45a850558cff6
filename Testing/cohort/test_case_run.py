"""One case, without a cluster: its folder, whole or not there, and what is made again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib import dicom_out
from AttentionUNetSegLib.cli import correct
from AttentionUNetSegLib.cohort import case_run, rows_of, run_case
from AttentionUNetSegLib.cohort.picture import CONTOUR, draw
from AttentionUNetSegLib.errors import BadModel
from AttentionUNetSegLib.scene import measure_result, open_standalone_scene
from dicom_judges import placed, placed_image
from dicom_slice import dicom_series
from pydicom.uid import Comprehensive3DSRStorage, generate_uid


def test_a_case_leaves_a_folder_that_slicer_and_correct_go_on_with(phantom_folder, order_for):
    order = order_for(phantom_folder / "case_00.nrrd", dicom=True)
    assert run_case(order).state == "done"
    (row,) = rows_of([order.case], order.folder.path.parents[1])
    assert not row["dicom_objects"] and "no DICOM series" in row["without_dicom_objects"]
    folder = order.folder.path
    report = order.folder.report()
    files = report["files"]
    listed = [*files["attention"], *(name for name in files.values() if isinstance(name, str))]
    assert sorted(listed) == sorted(os.listdir(folder))
    assert os.listdir(folder.parent) == ["case_00"], "nothing is left beside it"
    json.dumps(report, allow_nan=False)
    parts = sitk.ReadImage(str(folder / files["parts"]))
    assert [parts.GetMetaData(f"Segment{n}_Name") for n in range(3)] == [
        f"Pancreas {part}" for part in ("head", "body", "tail")
    ]
    assert "SCT^73239005^Tail of pancreas" in parts.GetMetaData("Segment2_Tags")
    assert 0 < report["expected_dice"] <= 1 and report["volume_ml"]["Pancreas"] > 0

    segment = sitk.ReadImage(str(folder / files["segmentation"]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(parts) > 0, sitk.GetArrayFromImage(segment) > 0)
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


def test_of_a_dicom_series_the_result_comes_as_dicom_too_once_nothing_prevents_it(
    phantom_folder, order_for, tmp_path, monkeypatch
):
    pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")
    folder = dicom_series(tmp_path / "dicom", sitk.ReadImage(str(phantom_folder / "case_00.nrrd")), generate_uid())
    order = order_for(folder, dicom=True, fractional=True, picture=False)
    place = order.folder.path

    def broken(*args, **others):
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(dicom_out.result_objects, "write_dicom_seg", lambda path, *args, **others: path.touch())
        patched.setattr(dicom_out.result_objects, "write_measurement_report", broken)
        assert run_case(order).state == "done" and not list(place.glob("*.dcm"))
    (row,) = rows_of([order.case], place.parents[1])
    assert row["state"] == "done" and not row["dicom_objects"] and "a bug" in row["without_dicom_objects"]
    assert order.finished() and not order.finished(again=True), "--retry-failed makes them"

    assert run_case(replace(order, again=True)).state == "done"
    files = order.folder.report()["files"]
    for name, field in (("dicom_seg", "segmentation"), ("dicom_probability", "probability")):
        written = placed(pydicom.dcmread(place / files[name]))
        assert written and written == placed_image(sitk.ReadImage(str(place / files[field])))
    report = pydicom.dcmread(place / files["dicom_report"])
    assert report.SOPClassUID == Comprehensive3DSRStorage
    assert str(order.folder.report()["volume_ml"]["Pancreas"]) in str(report)
    (row,) = rows_of([order.case], place.parents[1])
    assert row["dicom_objects"] == "result_pancreas.dcm result_measurements.dcm result_probability.dcm"
    assert not row["without_dicom_objects"]
    assert replace(order, dicom=False, fractional=False).finished(), "what is more than asked for stays"
