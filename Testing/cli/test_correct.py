"""`correct` on results of `segment`: what it writes, where, and what it refuses."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.session.earlier_refinement import NOTICE
from refined_scene import refined_scene

ENDINGS = {"pancreas.seg.nrrd", "probability.nrrd", "scene.mrb", "report.json", "overview.png"}


@pytest.fixture
def result(segmented, tmp_path) -> Path:
    """A copy of a run's folder, free to write to."""
    return Path(shutil.copytree(segmented.folder, tmp_path / "results"))


def inside(path: Path, fraction: float = 0.5) -> tuple[float, float, float]:
    """A position in RAS mm within an image."""
    image = sitk.ReadImage(str(path))
    x, y, z = image.TransformContinuousIndexToPhysicalPoint([fraction * (n - 1) for n in image.GetSize()])
    return -x, -y, z


def text_of(position) -> str:
    return ",".join(f"{value:.3f}" for value in position)


def value_at(path: Path, ras) -> int:
    image = sitk.ReadImage(str(path))
    return image[image.TransformPhysicalPointToIndex((-ras[0], -ras[1], ras[2]))]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_clicks_are_applied_and_the_corrected_files_lie_beside_the_others(segmented, result, in_process):
    add, remove = inside(segmented.input, 0.5), inside(segmented.input, 0.3)
    before = contents(result)
    air = inside(segmented.input, 0.01)
    clicks = ("--add", text_of(add), "--remove", text_of(remove), "--add", text_of(air))
    outcome = in_process("correct", result, *clicks, "--json")
    assert outcome.code == 0, outcome.stderr
    report = outcome.answer
    (told,) = [text for text in report["warnings"] if "air or padding" in text]
    assert told.startswith("The Add click at") and told in outcome.stderr
    after = contents(result)
    assert {name: after[name] for name in before} == before
    written = {name.removeprefix("phantom ü_corrected_") for name in after.keys() - before.keys()}
    assert written | {"overview.png"} == ENDINGS
    assert [click["kind"] for click in report["clicks"]] == ["add", "remove", "add"]
    np.testing.assert_allclose(report["clicks"][0]["ras_mm"], add, atol=0.01)
    assert report["threshold"] == pytest.approx(0.44)
    assert report["keep_largest"] is True
    assert report["model"] == segmented.report["model"]
    assert report["input"] == segmented.report["input"]
    corrected = result / "phantom ü_corrected_probability.nrrd"
    assert value_at(corrected, add) == 255
    assert value_at(corrected, remove) == 0


def test_a_correction_can_be_repeated_and_gone_on_with(segmented, result, in_process):
    first, second = inside(segmented.input, 0.5), inside(segmented.input, 0.62)
    options = ("--no-picture", "--json")
    outcome = in_process("correct", result, "--remove", text_of(first), *options)
    assert outcome.code == 0, outcome.stderr
    once = outcome.answer
    assert once["volume_before_ml"] == segmented.report["volume_ml"] != once["volume_ml"]
    told = in_process("correct", result, "--remove", text_of(first), "--no-picture").stdout
    before, after = (round(once[key]["Pancreas"], 1) for key in ("volume_before_ml", "volume_ml"))
    assert f"{before} mL before, {after} mL now (−{before - after:.1f} mL)" in told
    assert "1 click" in told
    scene = result / "phantom ü_corrected_scene.mrb"
    alone = in_process("correct", scene, "--reach", "30", *options)  # acts on the click that is there already
    assert alone.code == 0, alone.stderr
    assert alone.answer["volume_ml"] != once["volume_ml"] and len(alone.answer["clicks"]) == 1
    further = in_process("correct", scene, "--add", text_of(second), "--reach", "8", *options)
    assert further.code == 0, further.stderr
    assert len(further.answer["clicks"]) == 2
    assert further.answer["reach_mm"] == 8.0
    assert not list(result.glob("*corrected_corrected*"))
    assert value_at(result / "phantom ü_corrected_probability.nrrd", second) == 255


def test_a_result_without_a_scene_is_rebuilt_from_the_ct_and_the_probability(segmented, result, in_process):
    add = text_of(inside(segmented.input))
    options = ("--no-picture", "--no-scene", "--json")
    with_scene = in_process("correct", result / "phantom ü_report.json", "--add", add, *options).answer
    (result / "phantom ü_scene.mrb").unlink()
    outcome = in_process("correct", result, "--add", add, *options)
    assert outcome.code == 0, outcome.stderr
    assert outcome.answer["volume_ml"] == with_scene["volume_ml"]
    assert not (result / "phantom ü_corrected_scene.mrb").exists()


def test_another_ct_at_the_same_path_is_not_taken_for_the_one_that_was_segmented(
    segmented, result, in_process, tmp_path
):
    report = result / "phantom ü_report.json"
    written = json.loads(report.read_text(encoding="utf-8"))
    assert len(written["input"]["checksum"]) == 8
    other = sitk.ReadImage(str(segmented.input)) + 1
    written["input"]["path"] = str(tmp_path / "current.nii.gz")
    sitk.WriteImage(other, written["input"]["path"])
    report.write_text(json.dumps(written), encoding="utf-8")
    (result / "phantom ü_scene.mrb").unlink()
    outcome = in_process("correct", result, "--add", text_of(inside(segmented.input)), "--no-picture")
    assert outcome.code == 2
    assert "current.nii.gz no longer holds the CT that this result belongs to" in outcome.stderr
    assert not list(result.glob("*_corrected_*"))


def test_positions_may_begin_with_a_minus_and_the_later_click_counts(segmented, result, in_process, tmp_path):
    place = inside(segmented.input, 0.4)
    text = text_of(place)
    other = tmp_path / "elsewhere" / "deep"
    outcome = in_process(
        "correct", result, "--add", text, "--remove", text, "-o", other, "--threshold", "0.3", "--no-picture", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert value_at(other / "phantom ü_corrected_probability.nrrd", place) == 0
    assert "later one counts" in outcome.answer["warnings"][0]
    assert outcome.answer["threshold"] == 0.3
    assert in_process("correct", result, "--add", "-1e5,-2,-3").code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--add", "9999,0,0"), "outside the volume"),
        (("--add", "1,2"), "three coordinates"),
        (("--remove", "a,b,c"), "three coordinates"),
        ((), "nothing to correct"),
        (("--reach", "8"), "--reach says how far clicks act, and there is no click"),
        (("--wall", "no such file", "--threshold", "0.4"), "--wall names what clicks do not enter, and there is no"),
        (("--add", "{inside}", "--stroke-radius", "3"), "--stroke-radius is of strokes"),
        (("--add", "{inside}", "--reach", "0"), "reach"),
        (("--add", "{inside}", "--threshold", "0"), "threshold"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_everything_as_it_was(segmented, result, in_process, words, sentence):
    before = contents(result)
    words = [word.format(inside=text_of(inside(segmented.input))) for word in words]
    outcome = in_process("correct", result, *words, "--json")
    assert outcome.code == 2
    assert sentence in outcome.answer["error"]["message"] + outcome.answer["error"]["hint"]
    assert contents(result) == before


def test_what_is_no_result_is_refused(result, in_process, tmp_path, phantom_file):
    for path, sentence in (
        (tmp_path / "missing", "no result"),
        (tmp_path, "no result of segment"),
        (phantom_file, "is no result"),
    ):
        outcome = in_process("correct", path, "--add", "0,0,0", "--json")
        assert outcome.code == 2
        assert sentence in outcome.answer["error"]["message"]
    (result / "other_report.json").write_text("{}")
    assert "2 results" in in_process("correct", result, "--add", "0,0,0", "--json").answer["error"]["message"]
    (result / "phantom ü_scene.mrb").write_bytes(b"no archive")
    outcome = in_process("correct", result / "phantom ü_scene.mrb", "--add", "0,0,0", "--json")
    assert outcome.code == 2


def test_a_result_whose_ct_is_gone_costs_one_sentence(result, in_process):
    path = result / "phantom ü_report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    report["input"]["path"] = str(result / "moved away.nii.gz")
    path.write_text(json.dumps(report), encoding="utf-8")
    (result / "phantom ü_scene.mrb").unlink()
    before = contents(result)
    outcome = in_process("correct", result, "--add", "0,0,0")
    assert outcome.code == 2
    assert "moved away.nii.gz" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stdout == ""
    assert contents(result) == before


def test_reasons_for_distrust_outlive_a_missing_scene(segmented, result, in_process):
    path = result / "phantom ü_report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    report["trust"] |= {"distrust": True, "reasons": ["Only a part is there."]}
    path.write_text(json.dumps(report), encoding="utf-8")
    (result / "phantom ü_scene.mrb").unlink()
    add = text_of(inside(segmented.input))
    outcome = in_process("correct", result, "--add", add, "--no-picture", "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.answer["trust"] == report["trust"]
    told = in_process("correct", result, "--add", add, "--no-picture").stdout
    assert "Before it was corrected there were reasons to distrust it: Only a part is there." in told
    with zipfile.ZipFile(result / outcome.answer["files"]["scene"]) as bundle:
        (document,) = (bundle.read(name).decode("utf-8") for name in bundle.namelist() if name.endswith(".mrml"))
    assert "Only a part is there." in document


@pytest.mark.parametrize("words", [("--refine",), ("--model", "none", "--refine"), ("--device", "cpu")])
def test_refining_is_told_to_be_removed(in_process, tmp_path, words):
    outcome = in_process("correct", tmp_path, "--add", "0,0,0", *words, "--json")
    assert outcome.code == 2
    told = outcome.answer["error"]
    assert told["message"].startswith(words[0]) and "--refine" in told["message"] and "was removed" in told["message"]
    assert "arguments cannot be used" not in told["message"]


def test_a_scene_that_an_earlier_version_refined_is_corrected_further_and_says_so(in_process, tmp_path):
    saved = refined_scene(tmp_path / "earlier_scene.mrb")
    outcome = in_process(
        "correct", saved.path, "--add", text_of(saved.ras_of(8, 11, 15)), "--no-picture", "--no-scene", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert [text[: len(NOTICE)] for text in outcome.answer["warnings"]] == [NOTICE]
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / outcome.answer["files"]["probability"])))
    assert np.count_nonzero(values >= 128) == pytest.approx(saved.voxels["third"], rel=0.05)  # by the rules of today


@pytest.fixture(scope="module")
def pancreas(tmp_path_factory) -> Path:
    """The phantom's pancreas as a label map of 0 and 1."""
    path = tmp_path_factory.mktemp("label") / "pancreas.nii.gz"
    sitk.WriteImage(sitk.Cast(make_phantom(3, spacing_mm=(4, 4, 5)).pancreas, sitk.sitkUInt8), str(path))
    return path


def test_any_segmentation_is_a_start_and_comes_out_as_it_went_in(phantom_file, pancreas, in_process, tmp_path):
    ct, mask = (sitk.ReadImage(str(path)) for path in (phantom_file, pancreas))
    own = sitk.Resample(mask, [n // 2 for n in ct.GetSize()], sitk.Transform(), sitk.sitkNearestNeighbor,
                        ct.GetOrigin(), [2.0 * s for s in ct.GetSpacing()], ct.GetDirection())  # fmt: skip
    for name, start in (("same", mask * 9), ("other", own * 9)):
        path = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(start, str(path))
        out = tmp_path / name
        words = ("--start", path, "--segment", 9, "-o", out, "--no-picture", "--json")
        outcome = in_process("correct", phantom_file, *words)
        assert outcome.code == 0, outcome.stderr
        assert outcome.answer["start"] == {"kind": "mask", "name": str(path), "segment": name}
        assert "model" not in outcome.answer
        files = outcome.answer["files"]
        key = "segmentation" if name == "same" else "segmentation_on_own_grid"
        back = sitk.ReadImage(str(out / files[key]))
        back = sitk.Resample(back, start, sitk.Transform(), sitk.sitkNearestNeighbor, 0)  # a .seg.nrrd is cropped
        np.testing.assert_array_equal(sitk.GetArrayFromImage(back) != 0, sitk.GetArrayFromImage(start) != 0)
        assert ("segmentation_on_own_grid" in files) == (name == "other")
    add = inside(phantom_file, 0.4)
    further = in_process(
        "correct", out / outcome.answer["files"]["scene"], "--add", text_of(add), "--no-picture", "--no-scene", "--json"
    )
    assert further.code == 0, further.stderr
    assert further.answer["start"]["segment"] == "other"
    assert value_at(out / further.answer["files"]["probability"], add) == 255


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--start", "{label}"), "-o"),
        (("--start", "{ct}", "-o", "{out}"), "no names: give a label value"),
        (("--start", "{label}", "--segment", "spleen", "-o", "{out}"), "no segment"),
        (("--start", "{label}.missing", "-o", "{out}"), "There is no file"),
        (("--start", "{label}", "--start-probability", "{label}", "-o", "{out}"), "not allowed"),
        (("--segment", "spleen"), "belong to --start"),
    ],
)
def test_a_start_that_cannot_be_leaves_nothing_behind(phantom_file, pancreas, in_process, tmp_path, words, sentence):
    places = {"label": pancreas, "ct": phantom_file, "out": tmp_path / "out"}
    outcome = in_process("correct", phantom_file, *(word.format(**places) for word in words), "--json")
    assert outcome.code == 2
    assert sentence in outcome.answer["error"]["message"] + outcome.answer["error"]["hint"]
    assert not (tmp_path / "out").exists()


def test_strokes_lassos_boxes_and_walls(segmented, result, in_process, tmp_path):
    a, b, c = (np.array(inside(segmented.input, part)) for part in (0.45, 0.5, 0.55))
    wall = sitk.ReadImage(str(segmented.input)) * 0
    ijk = [n // 2 for n in wall.GetSize()]
    wall[ijk[0] : ijk[0] + 2, :, :] = 5
    sitk.WriteImage(sitk.Cast(wall, sitk.sitkUInt8), str(tmp_path / "vein.nii.gz"))
    square = ";".join(text_of(b + [x, y, 0.0]) for x, y in ((-40, -9), (-25, -9), (-25, 9), (-40, 9)))
    outcome = in_process(
        "correct", result, "--add-stroke", f"{text_of(a)};{text_of(b - [13, 1, 1])}", "--remove-lasso", square,
        "--add-box", f"{text_of(c)};{text_of(c + 8)}", "--wall", tmp_path / "vein.nii.gz", "--no-picture", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    assert [mark["shape"] for mark in outcome.answer["marks"]] == ["stroke", "lasso", "box"]
    assert outcome.answer["walls"] == ["vein"]
    before, now = (result / name for name in ("phantom ü_probability.nrrd", outcome.answer["files"]["probability"]))
    assert value_at(now, b - [13, 1, 1]) == 255
    before, now = (sitk.ReadImage(str(path)) for path in (before, now))
    before = sitk.Resample(before, now, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    walls = sitk.GetArrayFromImage(sitk.Resample(wall, now, sitk.Transform(), sitk.sitkNearestNeighbor, 0)) != 0
    assert walls.any()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(now)[walls], sitk.GetArrayFromImage(before)[walls])
    assert in_process("correct", result, "--add-lasso", "1,2,3;4,5,6").code == 2
