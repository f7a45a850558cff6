"""A whole evaluation, into one folder."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...contracts import SegmentOptions
from ...errors import BadInput
from ...inference import Observer, Segmenter
from ..labelled_scan import LabelledScan
from .bootstrap import RESAMPLES
from .calibration_drawing import draw_reliability
from .evaluation import MeasuredCase, NotEvaluated, evaluate_scans
from .overlay import write_png
from .performance_record import machine
from .report import cases_csv, make_document, markdown, number
from .result_folder import DOCUMENT, check_result_folder, result_folder, write_json
from .summary import measure_name, summarise
from .tested_model import describe_model
from .worst_cases import WorstCases

PICTURES = 5


@dataclass(frozen=True)
class EvaluationOptions:
    """How the numbers are put together.

    Attributes
    ----------
    command : that gives them again, for the report.
    datasets : what the scans come from, "LAYOUT:PATH" each.
    resamples, seed : of the bootstrap.
    pictures : how many of the worst cases are drawn.
    """

    command: str = ""
    datasets: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    seed: int = 0
    pictures: int = PICTURES


def evaluate_into_folder(
    segmenter: Segmenter,
    scans: Sequence[LabelledScan],
    folder: Path,
    options: SegmentOptions,
    run: EvaluationOptions,
    observer: Observer | None = None,
    on_case: Callable[[MeasuredCase | NotEvaluated, str], None] | None = None,
) -> dict[str, Any]:
    """Measure the model on the scans, write everything and return the content of ``evaluation.json``.

    Parameters
    ----------
    segmenter : the model, ready.
    scans : what to measure it on.
    folder : for the results; new, or an earlier evaluation that is replaced once this one is complete.
    options, run : how.
    observer : sees progress and warnings, can cancel.
    on_case : called after each case, with one line for people.

    Raises
    ------
    BadInput : no scan could be measured, or `folder` holds something else.
    Cancelled, OutOfMemory : see `evaluate_scans`. Nothing is left behind then.
    """
    check_result_folder(folder)
    measured: list[tuple[Any, ...]] = []
    failed: list[NotEvaluated] = []
    with result_folder(folder) as staging:
        worst = WorstCases(staging, run.pictures)
        for outcome in evaluate_scans(segmenter, scans, options, observer):
            if isinstance(outcome, NotEvaluated):
                failed.append(outcome)
            else:
                worst.offer(outcome)
                measured.append((outcome.result, outcome.calibration))
            if on_case:
                on_case(outcome, _line(outcome))
        if not measured:
            reason = f" {failed[0].name}: {failed[0].reason}" if failed else ""
            raise BadInput(f"Not one scan could be evaluated.{reason}")
        results, counts = zip(*measured, strict=True)
        groups = summarise(results, counts, run.resamples, run.seed)
        document = make_document(
            describe_model(segmenter.package),
            _facts(segmenter, options, run),
            groups,
            [result.as_json() for result in results],
            [asdict(entry) for entry in failed],
            worst.names(),
        )
        write_json(document, staging / DOCUMENT)
        (staging / "cases.csv").write_text(cases_csv(document["cases"]), encoding="utf-8")
        (staging / "evaluation.md").write_text(markdown(document), encoding="utf-8")
        diagrams = {group["labels_by"]: group["calibration"] for group in groups}
        write_png(draw_reliability(diagrams), staging / "calibration.png")
    return document


def _facts(segmenter: Segmenter, options: SegmentOptions, run: EvaluationOptions) -> dict[str, Any]:
    threshold = segmenter.package.threshold if options.threshold is None else options.threshold
    return {
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "command": run.command,
        "datasets": list(run.datasets),
        "threshold": threshold,
        "tta": options.tta,
        "keep_largest": options.keep_largest,
        "resamples": run.resamples,
        "seed": run.seed,
        "device": segmenter.device.name,
        "machine": machine(),
    }


def _line(outcome: MeasuredCase | NotEvaluated) -> str:
    if isinstance(outcome, NotEvaluated):
        return f"{outcome.name}  NOT EVALUATED: {outcome.reason}"
    result = outcome.result
    metrics = result.metrics
    return (
        f"{result.name}  {measure_name('Dice', result.labels_by)} {number(metrics.dice)}  "
        f"HD95 {number(metrics.hd95_mm, 1)} mm  {metrics.predicted_ml:.1f} mL (labelled {metrics.labelled_ml:.1f})  "
        f"{result.seconds:.1f} s" + ("  FAILURE" if metrics.is_failure else "")
    )
