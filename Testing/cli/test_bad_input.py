"""Every bad input costs exit code 2 and one sentence on stderr, and leaves no file and no folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk


def image(array: np.ndarray, spacing=(2.0, 2.0, 3.0)) -> sitk.Image:
    made = sitk.GetImageFromArray(array, isVector=False)
    made.SetSpacing(spacing[: made.GetDimension()])
    return made


def hu(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 400, shape).astype(np.int16)


def missing(folder: Path) -> Path:
    return folder / "no such file.nii.gz"


def empty_file(folder: Path) -> Path:
    (folder / "ct.nii.gz").write_bytes(b"")
    return folder / "ct.nii.gz"


def text_file(folder: Path) -> Path:
    (folder / "ct.nrrd").write_text("This is no image.\nIt has two lines.\n", encoding="utf-8")
    return folder / "ct.nrrd"


def unknown_type(folder: Path) -> Path:
    (folder / "ct.docx").write_bytes(b"PK\x03\x04" * 100)
    return folder / "ct.docx"


def truncated(folder: Path) -> Path:
    path = folder / "ct.nrrd"
    sitk.WriteImage(image(hu(20, 30, 40)), str(path), False)
    path.write_bytes(path.read_bytes()[:-10000])
    return path


def truncated_gzip(folder: Path) -> Path:
    path = folder / "ct.nii.gz"
    sitk.WriteImage(image(hu(20, 30, 40)), str(path))
    path.write_bytes(path.read_bytes()[:5000])
    return path


def written(folder: Path, made: sitk.Image) -> Path:
    sitk.WriteImage(made, str(folder / "ct.nrrd"))
    return folder / "ct.nrrd"


def flat(folder: Path) -> Path:
    return written(folder, image(hu(30, 40)))


def too_few_slices(folder: Path) -> Path:
    return written(folder, image(hu(3, 30, 40)))


def colour(folder: Path) -> Path:
    return written(folder, sitk.GetImageFromArray(np.zeros((20, 20, 20, 3), np.uint8), isVector=True))


def time_series(folder: Path) -> Path:
    return written(folder, sitk.GetImageFromArray(hu(4, 20, 20, 20), isVector=False))


def not_a_number(folder: Path) -> Path:
    voxels = hu(20, 20, 20).astype(np.float32)
    voxels[3, 3, 3] = np.nan
    return written(folder, image(voxels))


def constant(folder: Path) -> Path:
    return written(folder, image(np.zeros((20, 20, 20), np.int16)))


def normalised(folder: Path) -> Path:
    return written(folder, image(np.random.default_rng(0).random((20, 20, 20), np.float32)))


def empty_folder(folder: Path) -> Path:
    (folder / "series").mkdir()
    return folder / "series"


def folder_without_dicom(folder: Path) -> Path:
    (folder / "series").mkdir()
    (folder / "series" / "readme.txt").write_text("nothing", encoding="utf-8")
    return folder / "series"


INPUTS = [
    missing, empty_file, text_file, unknown_type, truncated, truncated_gzip, flat, too_few_slices, colour, time_series,
    not_a_number, constant, normalised, empty_folder, folder_without_dicom,
]  # fmt: skip


def assert_one_sentence(stderr: str) -> None:
    assert stderr.endswith("\n") and stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr and "│" not in stderr
    assert stderr.rstrip().endswith(".") and not re.search(r"[.!?] [A-Z]", stderr), stderr


@pytest.mark.parametrize("make", INPUTS, ids=lambda make: make.__name__)
def test_bad_input(make, in_process, tiny_model_package, tmp_path, job_folders):
    check(make, in_process, tiny_model_package, tmp_path, job_folders)


def test_bad_input_to_a_real_process(command_line, tiny_model_package, tmp_path, job_folders):
    """With the one of these at which ITK's own code would print words too."""
    check(truncated_gzip, command_line, tiny_model_package, tmp_path, job_folders)


def check(make, command_line, tiny_model_package, tmp_path, job_folders):
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "new" / "results"
    outcome = command_line("segment", path, "-o", out, "--model", tiny_model_package.folder)
    assert outcome.code == 2
    assert outcome.stdout == ""
    assert_one_sentence(outcome.stderr)
    assert path.name in outcome.stderr or "image" in outcome.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert job_folders() == []


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        (["--threshold", "1.5"], "threshold"),
        (["--threshold", "nan"], "threshold"),
        (["--threshold", "half"], "--threshold"),
        (["--max-memory", "-3"], "memory"),
        (["--series", "1"], "series"),
        (["--model", ""], "empty"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_options(words, mentioned, in_process, phantom_file, tiny_model_package, tmp_path):
    out = tmp_path / "out"
    outcome = in_process("segment", phantom_file, "-o", out, "--model", tiny_model_package.folder, *words)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert_one_sentence(outcome.stderr)
    assert mentioned in outcome.stderr
    assert not out.exists()


def test_out_is_a_file(in_process, phantom_file, tiny_model_package, tmp_path):
    out = tmp_path / "file"
    out.write_text("mine", encoding="utf-8")
    for target in (out, out / "below"):
        outcome = in_process("segment", phantom_file, "-o", target, "--model", tiny_model_package.folder)
        assert (outcome.code, outcome.stdout) == (2, "")
        assert_one_sentence(outcome.stderr)
        assert "is a file" in outcome.stderr
    assert out.read_text(encoding="utf-8") == "mine"


def test_a_folder_with_several_series_names_the_option(in_process, shared_data, tiny_model_package, tmp_path):
    folder = shared_data / "dicom" / "acrin_flt_001"
    if not folder.is_dir():
        pytest.skip(f"no DICOM folder {folder}")
    outcome = in_process("segment", folder, "-o", tmp_path / "out", "--model", tiny_model_package.folder)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert "--series" in outcome.stderr and not (tmp_path / "out").exists()


def test_with_json_the_error_is_an_object_on_stdout(in_process, tiny_model_package, tmp_path):
    outcome = in_process(
        "segment", tmp_path / "none.nrrd", "-o", tmp_path / "out", "--model", tiny_model_package.folder, "--json"
    )
    assert outcome.code == 2
    assert outcome.answer["error"]["code"] == "bad_input"
    assert "none.nrrd" in outcome.answer["error"]["message"]
    assert_one_sentence(outcome.stderr)


def test_wrong_words_with_json_are_an_object_too(command_line):
    outcome = command_line("segment", "--json")
    assert outcome.code == 2 and outcome.answer["error"]["code"] == "bad_input"
    assert_one_sentence(outcome.stderr)
    assert command_line().code == command_line("sing").code == 2
