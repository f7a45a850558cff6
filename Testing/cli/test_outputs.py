"""The output folder: all files or none, ours replaced, others' spared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.cli.nifti_outputs import write_as_nifti
from AttentionUNetSegLib.cli.outputs import OutputFolder, stem_of
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging.image_file import read_image_file

SOURCE = {"path": "/data/ct.nii.gz", "series": None}


def publish(folder: Path, *endings: str, source: dict = SOURCE) -> OutputFolder:
    outputs = OutputFolder(folder, "ct")
    with outputs.staging() as staging:
        for ending in endings:
            (staging / outputs.name(ending)).write_text(ending, encoding="utf-8")
        names = [outputs.name(ending) for ending in endings]
        report = {"input": source, "files": {"attention": names, "report": outputs.name("report.json")}}
        (staging / outputs.name("report.json")).write_text(json.dumps(report), encoding="utf-8")
    return outputs


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "stem"),
    [("ct.nii.gz", "ct"), ("a.b.nrrd", "a.b"), ("CT.NII.GZ", "CT"), ("scan", "scan"), ("x.mha", "x")],
)
def test_the_stem_is_the_name_without_its_ending(name, stem):
    assert stem_of(Path("/data") / name) == stem


def test_the_stem_of_a_folder_is_its_name(tmp_path, monkeypatch):
    (tmp_path / "series.1").mkdir()
    monkeypatch.chdir(tmp_path / "series.1")
    assert stem_of(Path("../series.1/")) == stem_of(Path(".")) == "series.1"


def test_a_result_replaces_the_whole_earlier_one_of_the_same_input(tmp_path):
    publish(tmp_path, "attention_1.nrrd", "attention_2.nrrd", "overview.png")
    (tmp_path / "ct.nii.gz").write_text("the CT", encoding="utf-8")
    (tmp_path / "ct_label.nrrd").write_text("a label", encoding="utf-8")
    OutputFolder(tmp_path, "ct").check(SOURCE)
    publish(tmp_path, "attention_1.nrrd")
    assert names(tmp_path) == {"ct_attention_1.nrrd", "ct_report.json", "ct.nii.gz", "ct_label.nrrd"}


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failure_leaves_everything_as_it_was(failure, tmp_path):
    publish(tmp_path / "old", "attention_1.nrrd")
    for folder in (tmp_path / "old", tmp_path / "new" / "deep"):
        with pytest.raises(failure), OutputFolder(folder, "ct").staging() as staging:
            (staging / "ct_scene.mrb").write_text("half", encoding="utf-8")
            raise failure
    assert names(tmp_path) == {"old"}
    assert names(tmp_path / "old") == {"ct_attention_1.nrrd", "ct_report.json"}


def test_files_of_unknown_origin_are_spared(tmp_path):
    (tmp_path / "ct_probability.nrrd").write_text("somebody's", encoding="utf-8")
    with pytest.raises(BadInput, match=r"ct_probability\.nrrd.*--force|--force"):
        OutputFolder(tmp_path, "ct").check(SOURCE)
    OutputFolder(tmp_path, "ct").check(SOURCE, force=True)
    OutputFolder(tmp_path, "other").check(SOURCE)


def test_results_of_another_input_of_the_same_name_are_spared(tmp_path):
    publish(tmp_path, "attention_1.nrrd")
    for other in ({"path": "/elsewhere/ct.nii.gz", "series": None}, {**SOURCE, "series": "4"}):
        with pytest.raises(BadInput, match="another input"):
            OutputFolder(tmp_path, "ct").check(other)
        OutputFolder(tmp_path, "ct").check(other, force=True)


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": {"a": [1, "../x"]}, "input": 4}'])
def test_a_report_that_is_no_report_is_a_file_of_unknown_origin(text, tmp_path):
    (tmp_path / "ct_report.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="not listed"):
        OutputFolder(tmp_path, "ct").check(SOURCE)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="is a file"):
            OutputFolder(folder, "ct").check(SOURCE)
        with pytest.raises(BadInput), OutputFolder(folder, "ct").staging():
            pytest.fail("there is no such folder")


@pytest.mark.parametrize("stem", ["x" * 236, "胰" * 80])
def test_a_name_that_no_result_could_have_is_refused_before_the_run(tmp_path, stem):
    with pytest.raises(BadInput, match="too long for files named after it"):
        OutputFolder(tmp_path, stem).check(SOURCE)
    OutputFolder(tmp_path, stem[:60]).check(SOURCE)


def test_results_as_nifti_hold_the_same_on_the_voxels_of_the_ct(tmp_path):
    """Read back by ITK, which applies the slope; the box of the probability lies inside the CT."""
    ct = sitk.Image(20, 18, 16, sitk.sitkInt16)
    ct.SetSpacing((1.5, 2.0, 3.0))
    ct.SetOrigin((-20.0, -30.0, -100.0))
    ct.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    values = np.random.default_rng(0).integers(0, 256, (10, 9, 8), dtype=np.uint8)
    box = sitk.GetImageFromArray(values)
    box.SetSpacing(ct.GetSpacing())
    box.SetDirection(ct.GetDirection())
    box.SetOrigin(ct.TransformIndexToPhysicalPoint((3, 4, 2)))
    outputs = OutputFolder(tmp_path, "ct")
    sitk.WriteImage(sitk.Cast(ct + 1, sitk.sitkUInt8), str(outputs.file("pancreas.seg.nrrd")))
    for name in ("probability", "spread", "attention_1", "attention_2"):
        sitk.WriteImage(box, str(outputs.file(f"{name}.nrrd")))
    write_as_nifti(outputs, ct)
    expected = np.zeros((16, 18, 20), np.float32)
    expected[2:12, 4:13, 3:11] = values
    for name, array, slope in (
        ("pancreas", np.ones(expected.shape), 1), ("probability", expected, 1 / 255), ("spread", expected, 1 / 510),
        ("attention_1", values, 1 / 255), ("attention_2", values, 1 / 255),
    ):  # fmt: skip
        path = outputs.file(f"{name}.nii.gz")
        for read in (sitk.ReadImage(str(path)), read_image_file(path)[0]):
            np.testing.assert_allclose(sitk.GetArrayFromImage(read), array * slope, rtol=1e-6)
            grid = box if "attention" in name else ct
            np.testing.assert_allclose(read.GetOrigin(), grid.GetOrigin(), atol=1e-4)
            np.testing.assert_allclose(read.GetDirection(), grid.GetDirection(), atol=1e-6)
    assert sorted(each.name for each in tmp_path.iterdir() if not each.name.endswith(".nii.gz")) == []
