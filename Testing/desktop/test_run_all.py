"""`run_all.py`, which only Slicer can run for good, on the double: its report, its exit code, its pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
# What `Slicer --python-script` does, on the double.
SLICER = """
import runpy, sys
sys.path.insert(0, {testing!r})
from desktop_double.installed import installed
from desktop_double.scripted_module import unload_module
import slicer
with installed() as app:
    app._d.has_window = {window}
    sys.argv = ["Slicer", "--testing", "--python-script", {testing!r} + "/Python/run_all.py", *{names!r}]
    runpy.run_path({testing!r} + "/Python/run_all.py", run_name="__main__")
    unload_module(slicer.modules.attentionunetseg)
    sys.exit(app._d.exit_code)
"""


def run_all(names: list[str], tmp_path: Path, window: bool = True, **environment: str) -> subprocess.CompletedProcess:
    program = SLICER.format(testing=str(TESTING), window=window, names=names)
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "ATTENTIONUNETSEG_MODELS": str(tmp_path / "models"), **environment},
    )


def test_no_tests_are_a_failure(tmp_path):
    nothing = run_all(["no_test_has_this_name"], tmp_path)
    assert nothing.returncode == 1 and "0 tests in" in nothing.stdout


def test_without_a_main_window(tmp_path):
    run = run_all(["every_control", "way_to_segment_editor", "tools_end"], tmp_path, window=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 failed" in run.stdout and "without a main window" in run.stdout


def test_a_failure_is_reported(tmp_path):
    run = run_all(["a_click_brings"], tmp_path, ATTENTIONUNETSEG_PYTHON=str(tmp_path / "no-python"))
    assert run.returncode == 1
    assert "FAILED" in run.stdout and "1 failed\n" in run.stdout


def test_a_summary_and_pictures_of_every_section(tmp_path):
    folder = tmp_path / "pictures"
    run = run_all(["every_control", "narrow_window"], tmp_path, ATTENTIONUNETSEG_SCREENSHOTS=str(folder))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 tests in" in run.stdout and "1 passed, 1 skipped, 0 failed" in run.stdout
    assert len(list(folder.iterdir())) == run.stdout.count("wrote ") >= 8
