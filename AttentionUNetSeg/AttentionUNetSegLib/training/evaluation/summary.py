"""From the cases to one summary per kind of label: accuracy and agreement are never averaged together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .bootstrap import FEW_PATIENTS, bootstrap_interval
from .calibration import CalibrationCounts, reliability, spread_and_error, total
from .case_metrics import FAILURE_DICE, TOLERANCE_MM
from .case_result import CaseResult
from .poor_results import warning_limits

# What is summarised: name in CaseMetrics -> what it is called.
METRICS = {
    "dice": "Dice",
    "hd95_mm": "HD95 (mm)",
    "nsd": f"NSD at {TOLERANCE_MM:g} mm",
    "recall": "Recall",
    "precision": "Precision",
    "volume_error_ml": "Volume error (mL)",
    "volume_error_percent": "Volume error (%)",
    "largest_false_positive_ml": "Largest false positive (mL)",
}


def is_made_by_a_model(labels_by: str) -> bool:
    """Whether another model made the labels."""
    return labels_by not in ("manual", "synthetic")


def measure_name(metric: str, labels_by: str) -> str:
    """What a number is called: "Dice", or "Dice against labels by X" where the model X made the labels."""
    return f"{metric} against labels by {labels_by}" if is_made_by_a_model(labels_by) else metric


def kind_of_labels(labels_by: str) -> str:
    """What the numbers on such labels say, as one sentence."""
    if labels_by == "manual":
        return "Manual labels: accuracy as far as the annotators agree."
    if labels_by == "synthetic":
        return "Computer-made scans: their labels are exact, but they are no patients."
    return f"Labels made by a model ({labels_by}): this is agreement with that model, not accuracy."


def summarise(
    results: Sequence[CaseResult], counts: Sequence[CalibrationCounts], resamples: int, seed: int
) -> list[dict[str, Any]]:
    """One summary per `labels_by`, in the order in which they come, as JSON values.

    Parameters
    ----------
    results : the cases.
    counts : calibration counts of each case.
    resamples, seed : of the bootstrap.
    """
    groups = list(dict.fromkeys(result.labels_by for result in results))
    summaries = []
    for labels_by in groups:
        chosen = [index for index, result in enumerate(results) if result.labels_by == labels_by]
        cases = [results[index] for index in chosen]
        summaries.append(_summary(labels_by, cases, total(counts[index] for index in chosen), resamples, seed))
    return summaries


def _summary(
    labels_by: str, cases: Sequence[CaseResult], counts: CalibrationCounts, resamples: int, seed: int
) -> dict[str, Any]:
    patients = len({case.patient for case in cases})
    metrics = {
        name: {"name": measure_name(title, labels_by), **_spread(name, cases, resamples, seed)}
        for name, title in METRICS.items()
    }
    failures = [case.name for case in cases if case.metrics.is_failure]
    return {
        "labels_by": labels_by,
        "is_agreement": is_made_by_a_model(labels_by),
        "meaning": kind_of_labels(labels_by),
        "cases": len(cases),
        "patients": patients,
        "failures": failures,
        "metrics": metrics,
        "remarks": _remarks(labels_by, cases, patients, metrics),
        "gates": _gates(cases),
        "calibration": reliability(counts),
        "spread": spread_and_error(
            counts, [case.mean_spread for case in cases], [case.metrics.dice for case in cases]
        ),
        "doubt_limits": warning_limits(cases),
    }  # fmt: skip


def _spread(name: str, cases: Sequence[CaseResult], resamples: int, seed: int) -> dict[str, Any]:
    """Mean, standard deviation and so on over the cases in which the metric is defined."""
    pairs = [(getattr(case.metrics, name), case.patient) for case in cases]
    defined = [(value, patient) for value, patient in pairs if value is not None]
    numbers: dict[str, Any] = {"n": len(defined), "undefined": len(pairs) - len(defined)}
    if not defined:
        return {
            **dict.fromkeys(("mean", "standard_deviation", "median", "minimum", "maximum", "interval_95")),
            **numbers,
        }
    values = np.array([value for value, _ in defined])
    interval = bootstrap_interval(values.tolist(), [patient for _, patient in defined], resamples, seed)
    return {
        "mean": _rounded(values.mean()),
        "standard_deviation": _rounded(values.std(ddof=1)) if len(values) > 1 else None,
        "median": _rounded(np.median(values)),
        "minimum": _rounded(values.min()),
        "maximum": _rounded(values.max()),
        "interval_95": None if interval is None else [_rounded(end) for end in interval],
        **numbers,
    }


def _remarks(labels_by: str, cases: Sequence[CaseResult], patients: int, metrics: dict[str, Any]) -> list[str]:
    remarks = [kind_of_labels(labels_by)]
    if patients < 2:
        remarks.append("One patient only: there is no confidence interval, and nothing follows for others.")
    elif patients < FEW_PATIENTS:
        remarks.append(
            f"Only {patients} patients: the confidence intervals are rough, and too narrow rather than too wide."
        )
    failures = sum(case.metrics.is_failure for case in cases)
    remarks.append(f"Failures (Dice below {FAILURE_DICE:g}): {failures} of {len(cases)}.")
    undefined = {METRICS[name]: values["undefined"] for name, values in metrics.items() if values["undefined"]}
    if undefined:
        parts = ", ".join(f"{name} in {count}" for name, count in undefined.items())
        remarks.append(
            f"Not defined, and left out of the means: {parts} of {len(cases)} cases (see the cases' remarks)."
        )
    if any(case.metrics.hd95_mm is None and case.metrics.labelled_ml for case in cases):
        remarks.append("HD95 leaves out cases in which nothing was found: read it together with the failures.")
    return remarks


def _gates(cases: Sequence[CaseResult]) -> list[dict[str, float | None]]:
    """Mean over the cases of what each gate does."""
    means = []
    for gates in zip(*(case.gates for case in cases), strict=False):
        row = {}
        for name in ("inside", "outside", "low", "high", "auc"):
            values = [getattr(gate, name) for gate in gates if getattr(gate, name) is not None]
            row[name] = _rounded(np.mean(values)) if values else None
        means.append(row)
    return means


def _rounded(value: float) -> float:
    return round(float(value), 4)
