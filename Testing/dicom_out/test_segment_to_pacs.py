"""The command line between two visits of a PACS: the CT comes from it, and SEG and SR are in it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.cli.dicom_objects import store_objects
from AttentionUNetSegLib.cli.outputs import OutputFolder
from AttentionUNetSegLib.dicom_out import DicomwebSource, fetch_series, store
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.phantom import make_phantom
from command_outcome import Outcome
from dicom_judges import errors_by_dciodvfy, placed, placed_image
from dicom_slice import dicom_series
from orthanc import PASSWORD, USER
from pydicom.uid import generate_uid

pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")
pytest.importorskip("dicomweb_client", reason="DICOMweb needs the extra dicom")
STUDY, SERIES = generate_uid(), generate_uid()


@pytest.fixture(scope="module")
def phantom_folder(tmp_path_factory) -> Path:
    """A phantom as a DICOM series, from head to feet, as many scanners number it."""
    folder = tmp_path_factory.mktemp("phantom dicom")
    dicom_series(folder, make_phantom(3, spacing_mm=(6, 6, 6)).ct, SERIES, StudyInstanceUID=STUDY)
    return folder


def command_line(*words: object, temporary: Path) -> Outcome:
    command = [sys.executable, "-m", "AttentionUNetSegLib.cli", *map(str, words)]
    environment = {**os.environ, "TMPDIR": str(temporary), "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_from_the_pacs_and_back(allowed_in, phantom_folder, tiny_model_package, tmp_path):
    store(allowed_in.url, sorted(phantom_folder.iterdir()))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    address = f"dicomweb:{allowed_in.url}?study={STUDY}&series={SERIES}"
    outcome = command_line(
        "segment", address, "-o", tmp_path / "out", "--model", tiny_model_package.folder, "--device", "cpu",
        "--threshold", "0.44", "--fractional", "--store", allowed_in.url, "--no-scene", "--no-picture", "--json",
        temporary=temporary,
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    report = outcome.answer
    assert report["input"]["path"] == address
    files = report["files"]
    objects = [files["dicom_seg"], files["dicom_probability"], files["dicom_report"]]
    assert report["stored"] == {"url": allowed_in.url, "files": objects, "error": None}
    written = (tmp_path / "out" / files["report"]).read_text() + outcome.stdout + outcome.stderr
    assert PASSWORD not in written and USER not in written
    assert list(temporary.iterdir()) == [], "neither the fetched CT nor a job is left behind"
    for name in objects:
        path = tmp_path / "out" / name
        assert errors_by_dciodvfy(path) == []
        back = tmp_path / name
        back.mkdir()
        own = pydicom.dcmread(path)
        fetch_series(DicomwebSource(allowed_in.url, STUDY, own.SeriesInstanceUID), back)
        (there,) = back.iterdir()
        assert pydicom.dcmread(there).SOPInstanceUID == own.SOPInstanceUID
    for name, field in ((objects[0], "segmentation"), (objects[1], "probability")):
        expected = sitk.ReadImage(str(tmp_path / "out" / files[field]))
        assert placed(pydicom.dcmread(tmp_path / "out" / name)) == placed_image(expected)
    place = sitk.ReadImage(str(tmp_path / "out" / files["probability"])).TransformIndexToPhysicalPoint((1, 1, 1))
    corrected = command_line(
        "correct", tmp_path / "out", f"--add={-place[0]},{-place[1]},{place[2]}", "--dicom-seg", "--no-scene",
        "--no-picture", "--json", temporary=temporary,
    )  # fmt: skip
    assert corrected.code == 0, corrected.stderr
    seg = pydicom.dcmread(tmp_path / "out" / corrected.answer["files"]["dicom_seg"])
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES, "the CT was fetched again"
    expected = sitk.ReadImage(str(tmp_path / "out" / corrected.answer["files"]["segmentation"]))
    assert placed(seg) == placed_image(expected)
    segment = pydicom.dcmread(tmp_path / "out" / objects[0]).SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert (
        tiny_model_package.weights_sha256 in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    )


def test_a_start_of_another_organ_is_not_called_pancreas(phantom_folder, tmp_path):
    liver = tmp_path / "liver.nrrd"
    sitk.WriteImage(sitk.Cast(read_volume(phantom_folder).image > 30, sitk.sitkUInt8), str(liver))
    outcome = command_line(
        "correct", phantom_folder, "--start", liver, "-o", tmp_path / "out", "--dicom-seg", "--no-scene",
        "--no-picture", "--json", temporary=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    (segment,) = pydicom.dcmread(tmp_path / "out" / outcome.answer["files"]["dicom_seg"]).SegmentSequence
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue != "15776009"  # pancreas
    assert "ancreas" not in segment.SegmentLabel


def test_what_makes_it_impossible_is_said_before_any_work(phantom_folder, tmp_path, tiny_model_package, capfd):
    image = tmp_path / "ct.nrrd"
    sitk.WriteImage(read_volume(phantom_folder).image, str(image))
    for words, sentence in (
        ((image, "--dicom-seg"), "no DICOM series"),
        ((phantom_folder, "--store", "http://127.0.0.1:9/dicom-web"), "cannot be reached"),
        (("dicomweb:https://me:pw@pacs/x?study=1.2",), "holds a user name or password"),
        (("dicomweb:http://127.0.0.1:9/x?study=1.2", "--series", "2"), "&series=UID"),
    ):
        model = tiny_model_package.folder
        code = main([str(word) for word in ("segment", *words, "-o", tmp_path / "out", "--model", model)])
        stderr = capfd.readouterr().err
        assert code == 2 and sentence in stderr and stderr.count("\n") == 1, stderr
        assert not (tmp_path / "out").exists()


def test_results_that_a_pacs_refuses_stay_where_they_are(allowed_in, phantom_folder, tmp_path, monkeypatch):
    outputs = OutputFolder(tmp_path, "ct")
    outputs.file("pancreas.dcm").write_bytes(next(phantom_folder.iterdir()).read_bytes())
    report = {"program": "test"}
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_PASSWORD", "changed meanwhile")
    with pytest.raises(BadInput, match=r"The results are in .*, but 127.0.0.1 does not let us in"):
        store_objects(allowed_in.url, outputs, report)
    assert outputs.file("pancreas.dcm").exists()
    assert "does not let us in" in report["stored"]["error"]
    assert '"error": "127.0.0.1 does not let us in' in outputs.file("report.json").read_text()
