"""Several evaluations side by side: gates, data, spacing and patch against Dice, HD95 and NSD.

Only scans that every evaluation measured are compared; the differences are paired by scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import BadInput
from .bootstrap import FEW_PATIENTS, bootstrap_interval
from .report import in_cell, number
from .summary import kind_of_labels, measure_name

METRICS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "nsd": "NSD"}
_FACTS = (
    "id", "gate", "training_data", "spacing_mm", "patch", "features", "parameters", "training_steps",
    "training_minutes", "weights_sha256",
)  # fmt: skip


def compare_evaluations(
    evaluations: Mapping[str, Mapping[str, Any]], resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Compare evaluations of the same scans, as JSON values.

    Parameters
    ----------
    evaluations : documents of `evaluate` by the name of the configuration; the differences are to the first one.
    resamples, seed : of the bootstrap.

    Returns
    -------
    dict : "remarks", and "groups": one per `labels_by`, each with "cases", "patients" and "rows"; a row holds the
        configuration's facts, "per_case" (Dice by case), and of every metric the mean over the common cases, its
        interval, "n", and "difference" to the first row with its interval, paired by case (None in the first row).

    Raises
    ------
    BadInput : fewer than two evaluations, or no scan that all of them measured.
    """
    if len(evaluations) < 2:
        raise BadInput("A comparison needs two evaluations or more.", "Give --compare NAME=FOLDER NAME=FOLDER.")
    tables = {
        name: {(case["labels_by"], case["name"]): case for case in document["cases"]}
        for name, document in evaluations.items()
    }
    first = next(iter(tables.values()))
    common = [key for key in first if all(key in table for table in tables.values())]
    if not common:
        raise BadInput(
            "The evaluations have no scan in common.", "Compare evaluations of the same data sets and labels."
        )
    groups = []
    for labels_by in dict.fromkeys(key[0] for key in common):
        keys = [key for key in common if key[0] == labels_by]
        groups.append(_group(labels_by, keys, evaluations, tables, resamples, seed))
    return {"format_version": 1, "remarks": _remarks(evaluations, tables, len(common)), "groups": groups}


def comparison_markdown(comparison: Mapping[str, Any]) -> str:
    """The comparison for people."""
    lines = ["# Comparison of configurations", "", *(f"- {remark}" for remark in comparison["remarks"])]
    for group in comparison["groups"]:
        rows = group["rows"]
        lines += ["", f"## {group['title']}", "", *(f"- {remark}" for remark in group["remarks"]), ""]
        titles = [f"{title} (95 %)" for title in group["metrics"].values()]
        titles += [f"difference in {group['metrics']['dice']} to {rows[0]['name']} (95 %)"]
        head = ["configuration", "gates", "data", "spacing mm", "patch", "parameters", "steps", "minutes", *titles]
        lines += _table(head, [_cells(row) for row in rows])
        lines += ["", f"{group['metrics']['dice']} per case:", ""]
        body = [[case, *(number(row["per_case"][case]) for row in rows)] for case in rows[0]["per_case"]]
        lines += _table(["case", *(row["name"] for row in rows)], body)
    return "\n".join(lines) + "\n"


def _group(
    labels_by: str,
    keys: Sequence[tuple[str, str]],
    evaluations: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Mapping[tuple[str, str], Mapping[str, Any]]],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    reference = next(iter(tables))
    for name, document in evaluations.items():
        cases = [tables[name][key] for key in keys]
        others = None if name == reference else [tables[reference][key] for key in keys]
        model = document["model"]
        rows.append({
            "name": name,
            **{fact: model.get(fact) for fact in _FACTS},
            "per_case": {case["name"]: case["dice"] for case in cases},
            **{metric: _mean(metric, cases, others, resamples, seed) for metric in METRICS},
            "failures": sum(case["is_failure"] for case in cases),
        })  # fmt: skip
    patients = len({tables[reference][key]["patient"] for key in keys})
    remarks = [kind_of_labels(labels_by), f"{len(keys)} scans of {patients} patients."]
    if patients < FEW_PATIENTS:
        remarks.append(f"Only {patients} patients: small differences mean nothing here.")
    metrics = {metric: measure_name(title, labels_by) for metric, title in METRICS.items()}
    title = metrics["dice"] if labels_by not in ("manual", "synthetic") else f"Labels: {labels_by}"
    return {
        "labels_by": labels_by, "title": title, "remarks": remarks, "cases": len(keys), "patients": patients,
        "metrics": metrics, "rows": rows,
    }  # fmt: skip


def _mean(
    metric: str,
    cases: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]] | None,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    values = [(case[metric], case["patient"]) for case in cases if case[metric] is not None]
    result = {**_interval(values, resamples, seed), "n": len(values), "difference": None}
    if others is not None:
        differences = [
            (case[metric] - other[metric], case["patient"])
            for case, other in zip(cases, others, strict=True)
            if case[metric] is not None and other[metric] is not None
        ]
        result["difference"] = {**_interval(differences, resamples, seed), "n": len(differences)}
    return result


def _interval(pairs: Sequence[tuple[float, str]], resamples: int, seed: int) -> dict[str, Any]:
    if not pairs:
        return {"mean": None, "interval_95": None}
    values, patients = zip(*pairs, strict=True)
    interval = bootstrap_interval(values, patients, resamples, seed)
    return {
        "mean": round(float(np.mean(values)), 4),
        "interval_95": None if interval is None else [round(end, 4) for end in interval],
    }


def _remarks(evaluations: Mapping[str, Any], tables: Mapping[str, Any], common: int) -> list[str]:
    remarks = []
    left_out = {name: len(table) - common for name, table in tables.items() if len(table) > common}
    if left_out:
        words = ", ".join(f"{count} of {name}" for name, count in left_out.items())
        remarks.append(f"Scans that not every evaluation measured are left out: {words}.")
    for option in ("threshold", "tta", "keep_largest"):
        values = {name: document.get("run", {}).get(option) for name, document in evaluations.items()}
        if len(set(values.values())) > 1:
            words = ", ".join(f"{name} {value}" for name, value in values.items())
            remarks.append(f"The evaluations were not run alike: {option} is {words}.")
    return remarks


def _cells(row: Mapping[str, Any]) -> list[str]:
    parameters, patch = row["parameters"], row["patch"]
    difference = row["dice"]["difference"]
    return [
        row["name"],
        _text(row["gate"]),
        _text(row["training_data"]),
        " x ".join(f"{side:g}" for side in row["spacing_mm"] or []) or "–",
        " x ".join(str(side) for side in patch) if patch else "–",
        f"{parameters / 1e6:.2f} M" if parameters else "–",
        _text(row["training_steps"]),
        _text(row["training_minutes"]),
        *(_with_interval(row[metric]) for metric in METRICS),
        "–" if difference is None else _with_interval(difference),
    ]


def _with_interval(values: Mapping[str, Any]) -> str:
    text = number(values["mean"])
    if values["interval_95"]:
        text += " ({} to {})".format(*(number(end) for end in values["interval_95"]))
    return text


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rows = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(in_cell(cell) for cell in row)} |" for row in rows]
