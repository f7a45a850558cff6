"""Train a model on labelled CTs."""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import BadInput
from ..models import Catalogue, load_package
from ..models.manifest import MANIFEST_FILE
from ..training.datasets import label_problems, open_datasets
from ..training.labelled_scan import LabelledScan
from ..training.trainer import (
    StepReport,
    TrainingConfiguration,
    TrainingReporter,
    is_prepared,
    patients_of_fold,
    train,
)
from ..training.trainer.presets import PRESETS, described
from .terminal import Terminal

SECONDS_BETWEEN_LINES = 30.0


def run(options: Namespace, terminal: Terminal) -> None:
    """Train, and print where the package is.

    Raises
    ------
    BadInput : a data set, an option or (with --strict) a case cannot be used, or a checkpoint is another run's.
    Cancelled : a checkpoint was written; the same command goes on.
    """
    specifications, given_shares = _shares(options.datasets)
    scans = open_datasets(specifications)
    if (options.folds is None) != (options.fold is None):
        raise BadInput("--folds and --fold belong together.", "For example --folds 5 --fold 0.")
    if options.folds is not None:
        options.validate_on = [*options.validate_on, *patients_of_fold(scans, options.folds, options.fold)]
    with _Lines(terminal) as lines:
        configuration = _configuration(options, _named_shares(scans, specifications, given_shares), lines)
        if not options.no_check:
            scans = _without_problems(scans, configuration, options.strict, lines)
        package = train(configuration, scans, lines)
    if not lines.is_first:
        return
    answer = {"model": str(package.folder), "id": package.id, "summary": package.manifest["training"]["summary"]}
    terminal.answer(answer, f"Wrote the model {package.id} to {package.folder}.\n{answer['summary']}")


def _configuration(options: Namespace, shares: dict[str, float], lines: _Lines) -> TrainingConfiguration:
    out = options.out.absolute()
    known = {each.name for each in fields(TrainingConfiguration)}
    given = {name: value for name, value in vars(options).items() if name in known and value is not None}
    if options.preset:
        lines.note(described(options.preset, given))
    chosen: dict[str, Any] = {
        **(PRESETS[options.preset] if options.preset else {}),
        **_of_the_first_weights(given, lines),
        **given,
        **{name: given[name].absolute() for name in ("work", "cache") if name in given},
        "out": out,
        "shares": shares,
        "leave_out": tuple(options.leave_out),
        "validate_on": tuple(options.validate_on),
        "id": options.id or re.sub(r"[^a-z0-9]+", "-", out.name.lower()).strip("-") or "model",
        "command": shlex.join(["attention-unet-seg", *sys.argv[1:]]),
    }
    return TrainingConfiguration(**chosen)


def _of_the_first_weights(given: dict[str, Any], lines: _Lines) -> dict[str, Any]:
    """What a run has to have in common with the model package that it starts from; the id becomes its folder."""
    start = given.get("start_from")
    if start is None:
        return {}
    if not start.exists() and start.name == str(start):
        start = given["start_from"] = Catalogue().get(start.name).folder
    if not (start / MANIFEST_FILE).is_file():
        return {}
    package = load_package(start.absolute())
    network, spacing = package.network, package.spacing_mm
    chosen = {
        "features": tuple(network["features"]),
        "gate": network.get("gate", "additive") if network["architecture"] == "AttentionUNet" else "none",
        "norm": network.get("norm", "batch"),
        "window_hu": tuple(package.window_hu),
        **({"spacing_mm": spacing[0]} if len(set(spacing)) == 1 else {}),
    }
    lines.note(f"Network, voxels and window are those of {package.id} {package.version}, where nothing else is said.")
    return chosen


def _shares(words: Sequence[str]) -> tuple[list[str], list[float | None]]:
    """Split "LAYOUT:PATH@SHARE"; a name that merely holds an @ is left alone."""
    specifications, shares = [], []
    for word in words:
        found = re.fullmatch(r"(.+)@(\d*\.?\d+)", word)
        specifications.append(found[1] if found else word)
        shares.append(float(found[2]) if found else None)
    return specifications, shares


def _named_shares(
    scans: Sequence[LabelledScan], specifications: Sequence[str], shares: Sequence[float | None]
) -> dict[str, float]:
    """The shares by the data sets' names, which are the first parts of the scans' names."""
    names = list(dict.fromkeys(scan.name.split("/", 1)[0] for scan in scans))
    if len(names) != len(specifications):
        raise BadInput("One of the data sets holds no scan.", "Leave it away.")
    return {name: share for name, share in zip(names, shares, strict=True) if share is not None}


def _without_problems(
    scans: list[LabelledScan], configuration: TrainingConfiguration, strict: bool, lines: _Lines
) -> list[LabelledScan]:
    """The scans that can be trained on; what is wrong or doubtful is listed. What the cache holds was checked before.

    Raises
    ------
    BadInput : with `strict`, where anything is wrong or doubtful.
    """
    spacing, cache = configuration.spacing_mm, configuration.cache_folder
    unchecked = [scan for scan in scans if not is_prepared(scan, spacing, cache)]
    problems = label_problems(unchecked, lines.checked)
    for problem in problems:
        lines.note(f"Left out: {problem}" if problem.prevents_training else f"Doubtful: {problem}")
    if problems and strict:
        raise BadInput(f"{len(problems)} problems were found in {len(scans)} scans.", "Correct them, or omit --strict.")
    unusable = {problem.scan for problem in problems if problem.prevents_training}
    return [scan for scan in scans if scan.name not in unusable]


class _Lines(TrainingReporter):
    """A bar with the time left on a terminal; a line now and then elsewhere."""

    def __init__(self, terminal: Terminal) -> None:
        # torchrun tells each process its number; the first one alone talks.
        self.is_first = os.environ.get("RANK", "0") == "0"
        self.console = terminal.console if self.is_first else Console(quiet=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[more]}", markup=False))  # fmt: skip
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("Starting", total=1.0, more="")
        self.last_line = -math.inf

    def __enter__(self) -> _Lines:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def note(self, sentence: str) -> None:
        self.console.print(sentence, markup=False)

    def checked(self, done: int, total: int) -> None:
        self._show("Checking labels", done / total, f"{done} of {total}", is_last=done == total)

    def prepared(self, done: int, total: int, name: str) -> None:
        self._show("Preparing", done / total, f"{done} of {total}  {name}", is_last=done == total)

    def stepped(self, report: StepReport) -> None:
        dice = report.validation_dice
        validated = "" if math.isnan(dice) else f"  validation Dice {dice:.3f}"
        skipped = f"  {report.skipped} skipped" if report.skipped else ""
        words = (
            f"step {report.step}  loss {report.mean_loss:.4f}{validated}{skipped}  "
            f"{report.mean_step_seconds:.3g} s a step, {report.waiting_share:.0%} waiting  "
            f"{_clock(report.seconds_left)} left"
        )
        if validated and self.console.is_terminal:
            self.note(words)
        self._show("Training", report.fraction, words, is_last=bool(validated))

    def _show(self, stage: str, fraction: float, words: str, is_last: bool) -> None:
        self.bar.update(self.task, description=stage, completed=fraction, more=words)
        if not self.console.is_terminal and (is_last or time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES):
            self.last_line = time.monotonic()
            self.console.print(f"{stage} {fraction:5.1%}  {words}", markup=False)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(min(seconds, 360_000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
