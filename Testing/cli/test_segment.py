"""One real run from file to results, looked at from all sides."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.imaging import read_volume, read_written
from AttentionUNetSegLib.scene import find_results, open_standalone_scene
from dicom_slice import dicom_series, dicom_slice
from phantom_package import PHANTOM_MODEL

ENDINGS = {
    "pancreas.seg.nrrd", "probability.nrrd", "attention_1.nrrd", "attention_2.nrrd", "scene.mrb", "overview.png",
    "report.json",
}  # fmt: skip


def test_the_folder_holds_the_results_and_nothing_else(segmented):
    names = {path.name for path in segmented.folder.iterdir()}
    allowed = {f"phantom ü_{ending}" for ending in ENDINGS}
    assert names <= allowed
    assert names >= allowed - {"phantom ü_overview.png"}
    assert os.listdir(segmented.input.parent) == [segmented.input.name]
    everybody = 0o666 & ~_umask()
    assert {stat.S_IMODE((segmented.folder / name).stat().st_mode) for name in names} == {everybody}


def test_stdout_is_the_report_and_nothing_else(segmented):
    assert segmented.report == json.loads(segmented.file("report.json").read_text(encoding="utf-8"))
    assert segmented.outcome.stdout.startswith("{")


def test_the_report_says_how_the_result_came_about(segmented, tiny_model_package):
    report = segmented.report
    assert report["input"]["path"] == str(segmented.input)
    assert report["input"]["is_phantom"] is True
    assert report["model"]["id"] == "tiny-random"
    assert report["model"]["sha256"] == tiny_model_package.weights_sha256
    assert report["device"] == "cpu" and report["device_name"]
    assert report["threshold"] == 0.44 and report["keep_largest"] is True
    stages = report["timings"]
    assert set(stages) == {"read", "open_scene", "segment", "measure", "save", "picture", "total"}
    assert sum(seconds for stage, seconds in stages.items() if stage != "total") <= stages["total"]
    assert {"export", "network", "import"} <= set(report["segment_timings"])
    assert sum(value for stage, value in report["segment_timings"].items() if stage != "total") <= stages["segment"]
    assert report["folder"] == str(segmented.folder)
    listed = [*report["files"]["attention"], *(name for name in report["files"].values() if isinstance(name, str))]
    assert sorted(listed) == sorted(os.listdir(segmented.folder))


def test_a_run_with_test_time_augmentation_leaves_the_spread_too(in_process, phantom_file, tmp_path):
    words = ("segment", phantom_file, "-o", tmp_path / "out", "--model", PHANTOM_MODEL, "--device", "cpu")
    outcome = in_process(*words, "--tta", "--no-picture", "--csv", "--json")
    assert outcome.code == 0, outcome.stderr
    report = outcome.answer
    check_measurements(report, tmp_path / "out")
    assert report["trust"]["distrust"] is False and report["trust"]["reasons"] == report["warnings"] == []
    assert 0 < report["trust"]["mean_spread"] < 0.25 and report["trust"]["mean_probability"] > 0.7
    spread = sitk.ReadImage(str(tmp_path / "out" / report["files"]["spread"]))
    probability = sitk.ReadImage(str(tmp_path / "out" / report["files"]["probability"]))
    assert spread.GetSize() == probability.GetSize() and spread.GetOrigin() == probability.GetOrigin()
    assert sitk.GetArrayViewFromImage(spread).max() > 0

    place = spread.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in spread.GetSize()])
    click = f"--add={-place[0]},{-place[1]},{place[2]}"
    corrected = in_process("correct", tmp_path / "out", click, "--no-picture", "--json")
    assert corrected.code == 0, corrected.stderr
    assert corrected.answer["trust"] == report["trust"]
    assert "spread" not in corrected.answer["files"], "it tells of the network's own passes"
    with zipfile.ZipFile(tmp_path / "out" / corrected.answer["files"]["scene"]) as bundle:
        volumes = [name for name in bundle.namelist() if name.endswith(".nrrd")]
    assert any("spread" in name for name in volumes)
    again = in_process(*words, "--no-picture", "--no-scene", "--json")
    assert again.code == 0 and "spread" not in again.answer["files"]
    assert not (tmp_path / "out" / report["files"]["spread"]).exists(), "it belongs to the result that was replaced"


def check_measurements(report: dict, folder: Path) -> None:
    """In the report and in the table, with the volume of the segment, and true of the phantom."""
    found = report["measurements"]["quantities"]
    assert found["volume"]["value"] == pytest.approx(report["volume_ml"]["Pancreas"], rel=1e-3)
    for quantity in found.values():
        assert quantity["low"] <= quantity["value"] <= quantity["high"]
    assert 120 < found["length"]["value"] < 280 and 8 < found["thickness"]["value"] < 30
    with open(folder / report["files"]["measurements"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["quantity"]: float(row["value"]) for row in rows} == {key: each["value"] for key, each in found.items()}
    assert [row["unit"] for row in rows[:2]] == ["mL", "HU"]


def test_the_volume_is_that_of_the_saved_segment(segmented):
    segment = sitk.ReadImage(str(segmented.file("pancreas.seg.nrrd")))
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(segment)) * np.prod(segment.GetSpacing()) / 1000
    assert volume > 0
    assert segmented.report["volume_ml"]["Pancreas"] == pytest.approx(volume, rel=1e-3)
    parts = sitk.ConnectedComponent(segment != 0, True)
    assert sitk.GetArrayViewFromImage(parts).max() == 1, "--keep-largest leaves one part"


def test_segment_and_probability_lie_on_the_inputs_voxels(segmented):
    ct = sitk.ReadImage(str(segmented.input))
    for ending in ("pancreas.seg.nrrd", "probability.nrrd"):
        image = sitk.ReadImage(str(segmented.file(ending)))
        index = np.array(ct.TransformPhysicalPointToContinuousIndex(image.GetOrigin()))
        np.testing.assert_allclose(index, np.rint(index), atol=1e-3)
        np.testing.assert_allclose(image.GetSpacing(), ct.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(image.GetDirection(), ct.GetDirection(), atol=1e-5)


def test_the_segment_is_where_the_probability_reaches_the_threshold(segmented):
    probability = sitk.ReadImage(str(segmented.file("probability.nrrd")))
    segment = sitk.ReadImage(str(segmented.file("pancreas.seg.nrrd")))
    segment = sitk.Resample(segment, probability, sitk.Transform(), sitk.sitkNearestNeighbor)
    inside = sitk.GetArrayFromImage(segment) > 0
    values = sitk.GetArrayFromImage(probability)
    assert values.dtype == np.uint8
    assert values[inside].min() >= 0.44 * 255


def test_the_scene_opens_with_everything_in_place(segmented, tmp_path):
    """As a person who opens the file in Slicer finds it: nodes, links, folder, terminology, display, slice views."""
    app, scene = open_standalone_scene()
    assert app.io_manager.load_scene(str(segmented.file("scene.mrb")))
    (nodes,) = find_results(scene)
    assert nodes.volume.GetDisplayNode().GetWindow() == 400
    ct = sitk.GetArrayFromImage(sitk.ReadImage(str(segmented.input)))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.volume), ct)
    segmentation = nodes.segmentation.GetSegmentation()
    segment = segmentation.GetSegment(segmentation.GetNthSegmentID(0))
    assert segment.GetName() == "Pancreas"
    assert "SCT^15776009^Pancreas" in segment.GetTerminology()
    assert len(nodes.attention) == 2
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in (nodes.segmentation, nodes.probability, *nodes.attention):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == nodes.folder_item
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)
    assert {view.GetBackgroundVolumeID() for view in views} == {nodes.volume.GetID()}
    del app


def test_the_picture_shows_something(segmented):
    if not segmented.file("overview.png").exists():
        assert any("picture" in text for text in segmented.report["warnings"])
        pytest.skip(f"this machine cannot draw: {segmented.report['warnings']}")
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(segmented.file("overview.png"))))
    assert min(pixels.shape[:2]) > 300 and pixels[..., :3].std() > 20


@pytest.fixture(scope="module")
def second_input(segmented, command_line, tiny_model_package, tmp_path_factory):
    """The phantom as DICOM, as if it were a patient, segmented into a folder that holds a file already.

    The folder's name is not UTF-8, and the system knows ASCII only. On Linux it seems to have no library that draws.
    """
    folder = tmp_path_factory.mktemp("second") / ("M\udce4rz" if os.name == "posix" else "März")
    (folder / "out").mkdir(parents=True)
    dicom_series(folder / "patient", sitk.ReadImage(str(segmented.input)), "1.2.3", SeriesDescription="Abdomen")
    dicom_slice(folder / "patient" / "scout", (0.0, 0.0, 0.0), "1.2.4", SeriesNumber=2, SeriesDescription="Scout")
    (folder / "out" / "notes.txt").write_text("mine", encoding="utf-8")

    words = (
        "segment", folder / "patient", "-o", folder / "out", "--model", tiny_model_package.folder,
        "--device", "cpu",
    )  # fmt: skip
    for library in ("libEGL.so.1", "libEGL.so", "libOSMesa.so.8", "libOSMesa.so", "libX11.so.6", "libX11.so"):
        (folder / library).touch()  # an empty file in front of the real one: loading it fails
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return folder / "out", words, command_line(*words, LD_LIBRARY_PATH=str(folder), DISPLAY="", **locale)


def test_a_phantom_only_model_warns_loudly_about_a_ct(second_input):
    folder, _, outcome = second_input
    assert outcome.code == 0, outcome.stderr
    assert "WARNING: " in outcome.stderr and "phantom" in outcome.stderr
    report = json.loads((folder / "patient_report.json").read_text(encoding="utf-8"))
    assert any("phantom" in text for text in report["warnings"])
    assert all(f"WARNING: {text}" in outcome.stderr for text in report["warnings"])
    assert report["trust"]["distrust"] is True
    assert report["trust"]["reasons"] and set(report["trust"]["reasons"]) <= set(report["warnings"])
    assert report["trust"]["mean_spread"] is None
    assert report["input"]["is_phantom"] is False
    assert "phantom only" in report["model"]["name"].lower()


def test_without_json_stdout_says_what_was_found_and_where_it_is(second_input):
    folder, _, outcome = second_input
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("Pancreas: 0.0 mL (threshold 0.5, ")
    assert lines[1] == "Do not trust this result unseen: 2 warnings say why, and so does the report."
    assert outcome.stderr.count("No pancreas was found") == 1
    assert lines[2] == f"Results in {folder}:".encode("ascii", "backslashreplace").decode()
    assert {line.strip() for line in lines[3:]} == set(os.listdir(folder)) - {"notes.txt"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the libraries are hidden the Linux way")
def test_where_nothing_can_be_drawn_everything_but_the_picture_is_there(second_input):
    folder, _, outcome = second_input
    assert "patient_overview.png" not in outcome.stdout
    assert {"patient_scene.mrb", "patient_pancreas.seg.nrrd"} <= set(os.listdir(folder))
    assert "apt-get install libegl1" in outcome.stderr
    report = json.loads((folder / "patient_report.json").read_text(encoding="utf-8"))
    assert any("libegl1" in text for text in report["warnings"]) and "overview" not in report["files"]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_a_second_run_at_a_terminal_shows_progress_and_replaces_the_first(second_input, at_terminal):
    folder, words, _ = second_input
    assert (folder / "patient_scene.mrb").exists()
    before = {name: read_written(folder / f"patient_{name}.nrrd") for name in ("probability", "attention_1")}
    probability, attention = map(sitk.GetArrayFromImage, before.values())
    where = before["probability"].GetOrigin()
    wanted = ("--no-picture", "--no-scene", "--json", "--format", "nifti", "--threshold", "0.44", "--verbose")
    second = at_terminal(*words, *wanted)
    assert second.code == 0, second.stderr
    for shown in ("Reading the CT", "Opening the scene", "%", "0:00:", "WARNING: "):
        assert shown in second.stderr
    assert 'Series 2 "Scout" (1 image) was left out: it has fewer than 8 slices.' in second.stderr, "--verbose"
    assert "scene" not in second.answer["files"]
    assert not (folder / "patient_scene.mrb").exists(), "a scene of the earlier run would contradict the new report"
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    files = second.answer["files"]
    assert {Path(name).suffixes[-1] for name in (files["segmentation"], files["probability"])} == {".gz"}
    ct = read_volume(folder.parent / "patient").image
    start = ct.TransformPhysicalPointToIndex(where)[::-1]
    expected = np.zeros(ct.GetSize()[::-1], np.uint8)
    expected[tuple(slice(a, a + n) for a, n in zip(start, probability.shape, strict=True))] = probability
    for name, values, scale in (
        ("segmentation", expected >= 0.44 * 255, 1), ("probability", expected, 255),
    ):  # fmt: skip
        image = read_written(folder / files[name])
        np.testing.assert_array_equal(np.rint(sitk.GetArrayFromImage(image) * scale), values, err_msg=name)
        np.testing.assert_allclose(image.GetOrigin(), ct.GetOrigin(), atol=1e-3)
    maps = read_written(folder / files["attention"][0])
    np.testing.assert_array_equal(np.rint(sitk.GetArrayFromImage(maps) * 255), attention)


def test_nothing_temporary_is_left(segmented, job_folders):
    assert job_folders() == []


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_input_is_untouched(segmented):
    assert Path(segmented.input).stat().st_mtime < segmented.file("report.json").stat().st_mtime


def test_libraries_load_while_a_large_ct_is_read_and_not_after_it_was_refused(environment, phantom_file):
    code = """
import sys
from pathlib import Path
from AttentionUNetSegLib.cli import scene_files
from AttentionUNetSegLib.errors import BadInput
scene_files.LARGE_CT_BYTES = 1
path = Path(sys.argv[1])
try:
    with scene_files.libraries_loading(path):
        raise BadInput("refused")
except BadInput:
    assert "trame_slicer.core.slicer_app" not in sys.modules
with scene_files.libraries_loading(path):
    pass
assert "trame_slicer.core.slicer_app" in sys.modules
from AttentionUNetSegLib.scene import open_standalone_scene
app, scene = open_standalone_scene()
print(scene.GetClassName())
scene.Clear(True)
"""
    command = [sys.executable, "-c", code, str(phantom_file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert (done.returncode, done.stdout.strip()) == (0, "vtkMRMLScene"), done.stderr
