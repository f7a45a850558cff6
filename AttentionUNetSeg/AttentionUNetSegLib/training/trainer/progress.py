"""What a run tells: to the person while it runs, and to a CSV file and TensorBoard for later."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...whole_file import whole_file

LOG_FILE = "log.csv"
COLUMNS = ("step", "loss", "rate", "seconds", "validation_dice", "skipped", "step_seconds", "waiting_seconds")


@dataclass(frozen=True)
class StepReport:
    """State after a step.

    step : steps done. loss : of this step, NaN where it was skipped. mean_loss : over the last 50 steps.
    rate : learning rate. seconds : of training so far. fraction : of the run that is done, 0..1.
    skipped : steps left out so far. validation_dice : NaN where nothing was validated after this step.
    step_seconds, waiting_seconds : of this step, waiting for its patches included, and of that waiting.
    mean_step_seconds, waiting_share : over the last 50 steps; the share (0..1) is that of waiting in the time of steps.
    """

    step: int
    loss: float
    mean_loss: float
    rate: float
    seconds: float
    fraction: float
    skipped: int = 0
    validation_dice: float = float("nan")
    step_seconds: float = float("nan")
    waiting_seconds: float = float("nan")
    mean_step_seconds: float = float("nan")
    waiting_share: float = float("nan")

    @property
    def seconds_left(self) -> float:
        """Expected, from the part that is done."""
        return self.seconds * (1 - self.fraction) / max(self.fraction, 1e-9)


class TrainingReporter:
    """Told of everything while a run goes on; this one keeps silent. Override what is of interest."""

    def note(self, sentence: str) -> None:
        """Something the person should know."""

    def prepared(self, done: int, total: int, name: str) -> None:
        """A scan was brought to the model's grid."""

    def stepped(self, report: StepReport) -> None:
        """A step was done."""


class TrainingLog:
    """``log.csv`` in the work folder, and TensorBoard's events beside it where that is installed.

    Parameters
    ----------
    folder : existing.
    step : rows of later steps are removed: they were written after the checkpoint that the run goes on from.

    Raises
    ------
    CannotWrite : the file system refuses.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG_FILE
        rows = _rows_until(self.path, step)
        with whole_file(self.path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(rows)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._board = _tensorboard(folder, step)

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        if self._board:
            self._board.close()

    def write(self, report: StepReport) -> None:
        """Add one row."""
        validated = report.validation_dice == report.validation_dice
        dice = f"{report.validation_dice:.4f}" if validated else ""
        self._writer.writerow(
            (
                report.step, f"{report.loss:.6g}", f"{report.rate:.6g}", f"{report.seconds:.2f}", dice, report.skipped,
                f"{report.step_seconds:.4f}", f"{report.waiting_seconds:.4f}",
            )
        )  # fmt: skip
        self._file.flush()
        if self._board:
            self._board.add_scalar("loss", report.loss, report.step)
            self._board.add_scalar("rate", report.rate, report.step)
            self._board.add_scalar("seconds per step", report.mean_step_seconds, report.step)
            self._board.add_scalar("share of waiting for patches", report.waiting_share, report.step)
            if validated:
                self._board.add_scalar("validation Dice", report.validation_dice, report.step)


def has_tensorboard() -> bool:
    """Whether TensorBoard is installed; it is no requirement, because it brings a web server and more with it."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return False
    return True


def _tensorboard(folder: Path, step: int) -> Any:
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)


def _rows_until(path: Path, step: int) -> list[list[str]]:
    if not step or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    whole = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) <= step]
    # The file of an earlier version has fewer columns.
    return [row + [""] * (len(COLUMNS) - len(row)) for row in whole]
