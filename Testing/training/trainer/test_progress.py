"""The log, and what a terminal shows."""

from __future__ import annotations

import csv
import os
import sys

import pytest
from AttentionUNetSegLib.training.trainer.progress import COLUMNS, StepReport, TrainingLog, has_tensorboard

from .conftest import PACKAGE_ROOT, tiny_run


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
    import pty

    said = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        said.extend(data)
        return b" "  # nothing of it into pytest's own output; empty would mean the end

    words = tiny_run(table, tmp_path / "model", steps=8)
    launch = (
        f"import sys; sys.path.insert(0, {str(PACKAGE_ROOT)!r}); from AttentionUNetSegLib.cli import main; "
        f"sys.exit(main({['train', *words]!r}))"
    )
    status = pty.spawn([sys.executable, "-c", launch], read)
    text = said.decode("utf-8", errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "Training" in text and "left" in text and "Wrote the model" in text
