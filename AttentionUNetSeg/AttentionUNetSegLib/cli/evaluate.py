"""`attention-unet-seg evaluate`: measure a model on labelled CTs, or compare earlier measurements."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts import SegmentOptions
from ..errors import BadInput, InternalError
from .chosen_model import chosen_model
from .terminal import ProgressLine, Terminal

if TYPE_CHECKING:
    from ..training.evaluation import MeasuredCase, NotEvaluated


def run(options: Namespace, terminal: Terminal) -> None:
    """Measure the model, or compare evaluations, and leave the results in `options.out`, or nothing.

    Raises
    ------
    BadInput : no data set, no scan, an unknown patient, or a folder that must not be written.
    InternalError : the packages of the extra `train` are not installed.
    AttentionUNetSegError : whatever makes a result impossible.
    """
    if options.out is None:
        raise BadInput("There is no place for the results.", "Name a new folder with --out.")
    if options.compare:
        _compare(options, terminal)
    else:
        _evaluate(options, terminal)


def command_of(options: Namespace, model: str) -> str:
    """The command that gives these results again; of data sets only the last part of their path is told."""
    words = ["attention-unet-seg", "evaluate", "--model", model]
    for dataset in options.dataset:
        layout, _, path = dataset.partition(":")
        words += ["--dataset", f"{layout}:{Path(path).name}"]
    for option in ("only", "leave_out"):
        if chosen := getattr(options, option):
            words += [f"--{option.replace('_', '-')}", *chosen]
    if options.threshold is not None:
        words += ["--threshold", f"{options.threshold:g}"]
    words += [f"--{option.replace('_', '-')}" for option in ("tta", "keep_largest") if getattr(options, option)]
    return shlex.join(words)


def _evaluate(options: Namespace, terminal: Terminal) -> None:
    _check(options)
    package = chosen_model(options.model)
    with terminal.progress() as line:
        line.show(0.0, "Starting")
        with terminal.interrupts.deferred():
            _require_monai()
            from ..inference import Segmenter
            from ..training import evaluation
            from ..training.datasets import open_datasets

        scans = evaluation.choose_patients(open_datasets(options.dataset), options.only, options.leave_out)
        evaluation.check_result_folder(options.out)
        segmenter = Segmenter(package, options.device)
        line.device(segmenter.device.name)
        show = _Show(terminal, line, len(scans))
        document = evaluation.evaluate_into_folder(
            segmenter,
            scans,
            options.out,
            SegmentOptions(threshold=options.threshold, tta=options.tta, keep_largest=options.keep_largest),
            evaluation.EvaluationOptions(
                command_of(options, package.id),
                tuple(options.dataset),
                options.resamples,
                options.seed,
                options.pictures,
            ),
            show,
            show.case,
        )
    recorded = ""
    if options.record:
        entries = evaluation.performance_entries(
            document["groups"], ", ".join(_short(dataset) for dataset in options.dataset), document["run"]["command"]
        )
        evaluation.record_performance(package, entries)
        recorded = f"\nRecorded in {package.folder}."
    lines = [evaluation.group_text(group) for group in document["groups"]]
    lines += [f"{entry['name']} was not evaluated: {entry['reason']}" for entry in document["not_evaluated"]]
    lines.append(f"Written to {options.out}.")
    terminal.answer(document, "\n".join(lines) + recorded)


def _compare(options: Namespace, terminal: Terminal) -> None:
    with terminal.interrupts.deferred():
        _require_monai()
        from ..training import evaluation
    evaluations = {}
    for word in options.compare:
        name, equals, folder = word.partition("=")
        if not equals or not name or not folder:
            raise BadInput(f"`{word}` is not of the form NAME=FOLDER.", "Write --compare additive=out/a none=out/b.")
        if name in evaluations:
            raise BadInput(f"The name {name} is given twice to --compare.")
        evaluations[name] = evaluation.read_evaluation(Path(folder))
    evaluation.check_result_folder(options.out)
    comparison = evaluation.compare_evaluations(evaluations, options.resamples, options.seed)
    text = evaluation.comparison_markdown(comparison)
    with evaluation.result_folder(options.out) as folder:
        evaluation.write_json(comparison, folder / "comparison.json")
        (folder / "comparison.md").write_text(text, encoding="utf-8")
    terminal.answer(comparison, text.rstrip())


def _check(options: Namespace) -> None:
    if not options.dataset:
        raise BadInput("There is nothing to evaluate on.", "Name labelled CTs with --dataset LAYOUT:PATH.")
    if options.threshold is not None and not 0 < options.threshold <= 1:
        raise BadInput(f"The threshold {options.threshold:g} is not above 0 and at most 1.")
    if options.resamples < 100:
        raise BadInput(f"{options.resamples} resamples are too few for an interval.", "Use 100 or more.")
    if options.seed < 0 or options.pictures < 0:
        raise BadInput("--seed and --pictures cannot be negative.")


def _require_monai() -> None:
    """Raise InternalError where it is not installed: now, and not after the first case."""
    try:
        import monai.metrics  # noqa: F401
    except ModuleNotFoundError as error:
        raise InternalError(
            f"Nothing can be evaluated: the Python module {error.name} is not installed.",
            "Install it with: pip install 'attention-unet-seg[train]'.",
        ) from error


def _short(dataset: str) -> str:
    layout, _, path = dataset.partition(":")
    return f"{layout}:{Path(path).name}"


class _Show:
    """An observer that shows the progress, every warning once, and a line per case."""

    def __init__(self, terminal: Terminal, line: ProgressLine, count: int) -> None:
        self._terminal, self._line, self._count = terminal, line, count
        self._done = 0
        self._warned: set[str] = set()

    def progress(self, fraction: float, stage: str) -> None:
        self._line.show(fraction, stage)

    def warning(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._terminal.warn(message)

    def cancelled(self) -> bool:
        return self._terminal.interrupts.came

    def case(self, measured: MeasuredCase | NotEvaluated, words: str) -> None:
        self._done += 1
        if not self._terminal.as_json:
            self._terminal.console.print(f"{self._done}/{self._count}  {words}", markup=False)
