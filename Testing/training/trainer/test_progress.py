"""The log, and what a terminal shows."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import threading

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.training.trainer.progress import COLUMNS, StepReport, TrainingLog, has_tensorboard

from .conftest import tiny_run


def test_rows_are_added_and_those_after_the_checkpoint_go(tmp_path):
    with TrainingLog(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.write(
                StepReport(
                    step, 0.5, 0.5, 0.1, 2.0 * step, step / 4, validation_dice=0.7 if step == 2 else float("nan")
                )
            )
    with TrainingLog(tmp_path, 2) as log:
        log.write(StepReport(3, 0.25, 0.5, 0.1, 6.0, 0.75, skipped=1))
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["validation_dice"] for row in rows] == ["", "0.7000", ""]
    assert rows[2]["loss"] == "0.25" and rows[2]["skipped"] == "1"


def test_the_time_left_follows_the_part_that_is_done():
    assert StepReport(1, 0, 0, 0, seconds=30, fraction=0.25).seconds_left == pytest.approx(90)


def test_tensorboard_gets_its_events(tmp_path):
    if not has_tensorboard():
        pytest.skip("tensorboard is not installed (it is optional)")
    with TrainingLog(tmp_path, 0) as log:
        log.write(StepReport(1, 0.5, 0.5, 0.1, 1.0, 0.5))
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_with_the_time_left(table, tmp_path):
    terminal, our_end = os.openpty()
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the last writer has closed its end
            while data := os.read(terminal, 4096):
                said.extend(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    kept = os.dup(2)
    os.dup2(our_end, 2)
    try:
        code = main(["train", *tiny_run(table, tmp_path / "model", steps=8)])
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(our_end)
    reader.join(timeout=60)
    os.close(terminal)
    text = said.decode("utf-8", errors="replace")
    assert code == 0 and "Training" in text and "left" in text, text
    assert "TensorBoard" in text or has_tensorboard()
