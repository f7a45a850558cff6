"""What else goes wrong: Ctrl-C, broken models, devices and libraries that are not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def children_of(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in listing.stdout.split()]


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="signals as Ctrl-C sends them")
@pytest.mark.parametrize(
    ("moment", "number", "as_json"),
    [("network", signal.SIGINT, False), ("network", signal.SIGTERM, True), ("saving", signal.SIGINT, False)],
)
def test_ctrl_c_leaves_nothing_behind(
    moment, number, as_json, environment, phantom_file, tiny_model_package, slow_model_package, tmp_path, job_folders
):
    out = tmp_path / "results"
    model = (slow_model_package if moment == "network" else tiny_model_package).folder
    words = ["segment", phantom_file, "-o", out, "--model", model, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "AttentionUNetSegLib.cli", *map(str, words), *(["--json"] if as_json else [])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    if moment == "network":
        wait_until(lambda: job_folders() and (job_folders()[0] / "job.json").exists())
        time.sleep(1.0)
    else:
        wait_until(lambda: list(out.glob(".attention-unet-seg-*/*_pancreas.seg.nrrd")))
    workers = children_of(process.pid)
    assert workers
    os.killpg(process.pid, number)  # to the whole group, as a terminal does
    interrupted = time.monotonic()
    stdout, stderr = process.communicate(timeout=120)
    print(f"ended after {time.monotonic() - interrupted:.2f} s")  # half a second on an idle machine
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "Cancelled." and "Traceback" not in stderr
    if as_json:
        assert json.loads(stdout)["error"]["code"] == "cancelled"
    else:
        assert stdout == ""
    assert not out.exists() and job_folders() == []
    wait_until(lambda: not any(map(exists, workers)))


def wait_until(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_broken_model_is_named_and_no_copy_of_the_ct_is_kept(
    in_process, phantom_file, broken_model, tmp_path, job_folders
):
    outcome = in_process("segment", phantom_file, "-o", tmp_path / "out", "--model", broken_model, "--device", "cpu")
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "Traceback" not in outcome.stderr and "SHA-256" in outcome.stderr
    assert "kept" not in outcome.stderr and job_folders() == []
    assert not (tmp_path / "out").exists()


@pytest.fixture
def broken_model(tiny_model_package, tmp_path):
    broken = tmp_path / "model"
    shutil.copytree(tiny_model_package.folder, broken)
    with (broken / "weights.pt").open("r+b") as weights:
        weights.write(b"damaged")
    return broken


def test_a_failed_job_is_replayed(
    command_line, in_process, phantom_file, broken_model, tiny_model_package, tmp_path, job_folders
):
    """A worker that dies at its work: an error whose job is kept. The replay then finds that the model is broken."""
    words = ("segment", phantom_file, "-o", tmp_path / "out", "--model", broken_model, "--device", "cpu")
    outcome = command_line(*words, **dying_at(tmp_path, "weights.pt"))
    assert outcome.code == 1 and not (tmp_path / "out").exists()
    (kept,) = job_folders()
    assert str(kept) in outcome.stderr

    held = sorted((path.name, path.stat().st_mtime_ns) for path in kept.iterdir())
    replayed = in_process("replay", kept, "-o", tmp_path / "replayed")
    assert replayed.code == 3 and "SHA-256" in replayed.stderr
    assert not (tmp_path / "replayed").exists()

    shutil.copyfile(tiny_model_package.weights_path, broken_model / "weights.pt")
    mended = in_process("replay", kept, "-o", tmp_path / "replayed", "--json")
    assert mended.code == 0, mended.stderr
    assert mended.answer["device"] == "cpu" and mended.answer["model"]["id"] == "tiny-random"
    assert (tmp_path / "replayed" / mended.answer["files"]["probability"]).is_file()
    assert sorted((path.name, path.stat().st_mtime_ns) for path in kept.iterdir()) == held
    full = in_process("replay", kept, "-o", tmp_path / "replayed")
    assert full.code == 2 and "exists already" in full.stderr
    assert in_process("replay", tmp_path).code == 2
    shutil.rmtree(kept)
    assert job_folders() == []


@pytest.mark.skipif(os.name != "posix", reason="the numbers of POSIX")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_for_a_file_is_no_bug(number, in_process, monkeypatch, tmp_path):
    """A full disk, a used-up quota and a limit on a file's size are one thing to a person."""

    def refuse(chosen, terminal):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("AttentionUNetSegLib.cli.phantom.run", refuse)
    outcome = in_process("phantom", tmp_path / "phantom.nrrd", "--json")
    assert outcome.code == 1 and outcome.answer["error"]["code"] == "cannot_write"
    assert os.strerror(number) in outcome.answer["error"]["message"] and "room" in outcome.answer["error"]["hint"]


def test_a_model_that_is_not_there(in_process, phantom_file, tmp_path):
    for model in ("no-such-model", tmp_path / "nowhere" / "package"):
        outcome = in_process("segment", phantom_file, "-o", tmp_path / "out", "--model", model)
        assert outcome.code == 3 and outcome.stdout == "" and outcome.stderr.count("\n") == 1


def test_a_device_that_is_not_there(in_process, phantom_file, tiny_model_package, tmp_path, job_folders):
    outcome = in_process(
        "segment", phantom_file, "-o", tmp_path / "out", "--model", tiny_model_package.folder,
        "--device", "cuda:99", "--json",
    )  # fmt: skip
    assert outcome.code == 5
    assert outcome.answer["error"]["code"] == "unavailable_device"
    assert not (tmp_path / "out").exists() and job_folders() == []


def dying_at(folder: Path, file_name: str) -> dict[str, str]:
    """The environment in which a worker ends at once, as the system ends one, when it opens a file of this name."""
    return beginning_with(
        folder,
        "import os, sys\n"
        "def end(event, arguments):\n"
        f"    if event == 'open' and os.path.basename(str(arguments[0])) == {file_name!r}:\n"
        "        os._exit(9)\n"
        "if any('AttentionUNetSegLib.worker' in word for word in sys.orig_argv):\n"
        "    sys.addaudithook(end)\n",
    )


def blocking(folder: Path, *modules: str) -> dict[str, str]:
    """The environment of a Python that lacks these modules."""
    return beginning_with(
        folder,
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {modules!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n",
    )


def beginning_with(folder: Path, code: str) -> dict[str, str]:
    """The environment of Pythons that run some code before everything else."""
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def test_without_slicers_libraries_the_sentence_says_what_to_install(
    command_line, phantom_file, tiny_model_package, tmp_path, job_folders
):
    outcome = command_line(
        "segment", phantom_file, "-o", tmp_path / "out", "--model", tiny_model_package.folder,
        **blocking(tmp_path, "slicer", "slicer_core"),
    )  # fmt: skip
    assert outcome.code == 1
    assert outcome.stderr.count("\n") == 1
    assert "pip install 'attention-unet-seg[standalone]'" in outcome.stderr
    assert not (tmp_path / "out").exists() and job_folders() == []


def test_what_needs_no_scene_runs_without_slicers_libraries(command_line, tmp_path):
    without = blocking(tmp_path, "slicer", "trame_slicer", "vtk", "vtkmodules")
    assert command_line("models", "list", **without).code == 0
    assert command_line("phantom", tmp_path / "p.nrrd", "--spacing", "9,9,9", **without).code == 0


def test_without_torch_the_sentence_says_so(command_line, phantom_file, tiny_model_package, tmp_path, job_folders):
    outcome = command_line(
        "segment", phantom_file, "-o", tmp_path / "out", "--model", tiny_model_package.folder,
        **blocking(tmp_path, "torch"),
    )  # fmt: skip
    assert outcome.code == 1
    assert outcome.stderr.count("\n") == 1 and "torch" in outcome.stderr.lower()
    assert job_folders() == []


def test_an_unexpected_error_is_one_sentence_and_a_traceback_only_on_request(command_line, tmp_path):
    broken = beginning_with(
        tmp_path,
        "import AttentionUNetSegLib.models as models\n"
        "def broken(*arguments): raise ZeroDivisionError('by nothing')\n"
        "models.Catalogue.packages = broken\n",
    )
    short = command_line("models", "list", **broken)
    assert short.code == 1 and short.stdout == ""
    assert short.stderr.count("\n") == 1 and "ZeroDivisionError" in short.stderr
    long = command_line("models", "list", "--verbose", **broken)
    assert long.code == 1 and "Traceback" in long.stderr
