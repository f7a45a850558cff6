"""The script for a GPU runs from end to end without one, on a CT of a few slices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from phantom_package import PHANTOM_MODEL

SCRIPT = Path(__file__).with_name("measure.py")


def test_a_dry_run_gives_every_figure():
    pytest.importorskip("torch")
    words = ["--device", "cpu", "--slices", "40", "--pixels", "96", "--repetitions", "1", "--no-tests"]
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--model", str(PHANTOM_MODEL)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert finished.returncode == 0, finished.stderr
    row = json.loads(finished.stdout)
    assert (
        row["ct"] == "96 x 96 x 40"
        and row["tiles"] == 1
        and set(row["stages_seconds"]) == {"resample", "network", "restore"}
    )
    assert row["warm_seconds"] > 0 and row["cold_seconds"] > 0  # which is less, a busy machine decides
    forward = row["forward_pass"]
    # The bound is measured by itself: on a busy machine it may lie above what the network took.
    least, taken = forward["least_seconds"], forward["engines"]["ours"]["seconds"]
    assert least > 0 and taken > 0 and forward["share_of_bound"] == pytest.approx(least / taken, rel=0.02)
    assert forward["engines"]["as trained, one float32 pass"]["dice_with_ours"] > 0.9
    assert forward["engines"]["ours float32"]["largest_difference"] < 0.1
