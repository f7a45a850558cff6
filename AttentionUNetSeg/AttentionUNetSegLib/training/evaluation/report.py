"""The answer of an evaluation: one JSON document, and the same as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from .case_metrics import FAILURE_DICE, TOLERANCE_MM
from .poor_results import POOR_DICE
from .summary import measure_name

FORMAT_VERSION = 1
DEFINITIONS = {
    "voxels": "All numbers are of the CT's own voxels, not of the model's grid.",
    "Dice": "2 |P and L| / (|P| + |L|), P the segment, L the label; not defined where both are empty.",
    "HD95": "95th percentile Hausdorff distance in mm, the larger of both directions, between the centres of surface "
    "voxels; not defined where the segment or the label is empty.",
    "NSD": f"Normalised surface Dice: part of both surfaces, by area, within {TOLERANCE_MM:g} mm of the other one.",
    "volume error": "Predicted less labelled volume.",
    "largest false positive": "Largest connected part (26 neighbours) of the segment without any voxel of the label.",
    "ignored": "Where a partial label says nothing, segment and label are left out of every number.",
    "failure": f"Dice below {FAILURE_DICE:g}.",
    "interval": "95 % percentile bootstrap interval of the mean, patients resampled with all of their scans.",
    "seconds": "Wall time of the segmentation, without reading and measuring.",
}
CSV_COLUMNS = (
    "name", "patient", "labels_by", "dice", "hd95_mm", "nsd", "recall", "precision", "predicted_ml", "labelled_ml",
    "volume_error_ml", "volume_error_percent", "largest_false_positive_ml", "is_failure", "seconds", "mean_spread",
    "mean_probability", "expected_dice", "size", "spacing_mm", "remarks", "warnings",
)  # fmt: skip


def make_document(
    model: Mapping[str, Any],
    run: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    cases: Sequence[Mapping[str, Any]],
    not_evaluated: Sequence[Mapping[str, str]],
    pictures: Mapping[str, str],
) -> dict[str, Any]:
    """The whole evaluation as JSON values.

    Parameters
    ----------
    model : see `tested_model.describe_model`.
    run : command, date, machine, device and options.
    groups : see `summary.summarise`.
    cases : `CaseResult.as_json` of each.
    not_evaluated : name and reason of each scan that could not be measured.
    pictures : file name of each picture, by case.
    """
    return {
        "format_version": FORMAT_VERSION,
        "run": dict(run),
        "model": dict(model),
        "definitions": DEFINITIONS,
        "groups": list(groups),
        "cases": list(cases),
        "not_evaluated": list(not_evaluated),
        "pictures": dict(pictures),
    }


def cases_csv(cases: Sequence[Mapping[str, Any]]) -> str:
    """The cases as a CSV table; a cell is empty where a number is not defined."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for case in cases:
        writer.writerow({name: _cell(case[name]) for name in CSV_COLUMNS})
    return text.getvalue()


def markdown(document: Mapping[str, Any]) -> str:
    """The evaluation for people."""
    model, run = document["model"], document["run"]
    spacing = " x ".join(f"{side:g}" for side in model["spacing_mm"])
    lines = [
        f"# {model['name']} {model['version']}: evaluation", "",
        f"- Model: `{model['id']}`, gate {model['gate']}, {model['parameters'] / 1e6:.2f} M parameters, {spacing} mm; "
        f"trained on {model['training_data']}; weights {model['weights_sha256'][:12]}",
        f"- Threshold {run['threshold']:g}, test-time augmentation {_yes(run['tta'])}, largest part only "
        f"{_yes(run['keep_largest'])}",
        f"- {run['date']}, {run['device']}, {run['machine']}",
        f"- `{run['command']}`",
    ]  # fmt: skip
    for group in document["groups"]:
        lines += _group_lines(group, [c for c in document["cases"] if c["labels_by"] == group["labels_by"]])
    if document["not_evaluated"]:
        lines += ["", "## Not evaluated", ""]
        lines += [f"- {entry['name']}: {entry['reason']}" for entry in document["not_evaluated"]]
    if document["pictures"]:
        lines += ["", "## The worst cases", "", "Label light blue, segment orange.", ""]
        lines += [f"![{name}]({file})" for name, file in document["pictures"].items()]
    lines += ["", "## What the numbers are", ""]
    lines += [f"- {name}: {text}" for name, text in document["definitions"].items()]
    return "\n".join(lines) + "\n"


def group_text(group: Mapping[str, Any]) -> str:
    """The most important numbers of a group, in one line."""
    parts = []
    for metric in ("dice", "hd95_mm", "nsd"):
        values = group["metrics"][metric]
        text = f"{values['name']} {number(values['mean'])}"
        if values["interval_95"]:
            text += " (95 % {} to {})".format(*(number(end) for end in values["interval_95"]))
        parts.append(text)
    return (
        f"{'; '.join(parts)}; {group['cases']} scans, {group['patients']} patients, {len(group['failures'])} failures"
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table: three digits behind the point below 10, one above; a dash where it is not defined."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"


def in_cell(text: str) -> str:
    """Text that cannot break a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _group_lines(group: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> list[str]:
    labels_by = group["labels_by"]
    title = f"Agreement with labels by {labels_by}" if group["is_agreement"] else f"Labels: {labels_by}"
    lines = ["", f"## {title}", "", *(f"- {remark}" for remark in group["remarks"]), ""]
    lines += ["| | mean | 95 % interval | sd | median | lowest | highest | n |", "|---|---|---|---|---|---|---|---|"]
    for values in group["metrics"].values():
        interval = " to ".join(number(end) for end in values["interval_95"]) if values["interval_95"] else "–"
        spread = (number(values[name]) for name in ("standard_deviation", "median", "minimum", "maximum"))
        cells = [in_cell(values["name"]), number(values["mean"]), interval, *spread, str(values["n"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *_calibration_lines(group), *_gate_lines(group)]
    dice = in_cell(measure_name("Dice", labels_by))
    lines += [
        "",
        f"| case | {dice} | HD95 mm | NSD | recall | precision | mL (labelled) | error mL | error % | false mL | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_case_line(case) for case in cases]
    remarks = [f"- {case['name']}: {remark}" for case in cases for remark in [*case["remarks"], *case["warnings"]]]
    return [*lines, *(["", *remarks] if remarks else [])]


def _case_line(case: Mapping[str, Any]) -> str:
    cells = [
        in_cell(case["name"]) + (" **failure**" if case["is_failure"] else ""),
        *(number(case[name]) for name in ("dice", "hd95_mm", "nsd", "recall", "precision")),
        f"{number(case['predicted_ml'], 1)} ({number(case['labelled_ml'], 1)})",
        *(number(case[name], 1) for name in ("volume_error_ml", "volume_error_percent", "largest_false_positive_ml")),
        number(case["seconds"], 1),
    ]
    return f"| {' | '.join(cells)} |"


def _calibration_lines(group: Mapping[str, Any]) -> list[str]:
    calibration, spread = group["calibration"], group["spread"]
    lines = []
    if calibration["expected_calibration_error"] is not None:
        lines.append(
            f"- Expected calibration error {calibration['expected_calibration_error']:.3f} within "
            f"{calibration['band_mm']:g} mm of label or segment."
        )
    if spread:
        correlation = spread["rank_correlation"]
        value = "not defined" if correlation is None else f"{correlation:.2f} (p = {spread['p_value']:.2g})"
        lines.append(f"- Rank correlation between mean spread and 1 - Dice: {value}, {spread['cases']} cases.")
        rates = [f"{row['high']:g}: {row['error_rate']:.3f}" for row in spread["bins"] if row["error_rate"] is not None]
        lines.append(f"- Part of voxels that are wrong, by spread up to … {'; '.join(rates)}.")
    return lines + [_doubt_line(name, found) for name, found in group["doubt_limits"].items() if found]


def _doubt_line(name: str, found: Mapping[str, Any]) -> str:
    words, side = {"mean_spread": ("spread", "above"), "mean_probability": ("probability", "below")}[name]
    return (
        f"- A mean {words} {side} {found['limit']:g} within the segment tells poor results (Dice below {POOR_DICE:g}): "
        f"{found['poor_found']} of {found['poor']} are found, {found['others_warned']} of {found['others']} others "
        "are warned of in vain."
    )


def _gate_lines(group: Mapping[str, Any]) -> list[str]:
    lines = []
    for level, gate in enumerate(group["gates"], start=1):
        if gate["low"] is None:
            continue
        constant = " (almost constant: it selects nothing)" if gate["high"] - gate["low"] < 0.05 else ""
        lines.append(
            f"- Gate {level}: mean coefficient {number(gate['inside'], 2)} in the pancreas, "
            f"{number(gate['outside'], 2)} elsewhere in the body, 5 to 95 % of the body "
            f"{number(gate['low'], 2)} to {number(gate['high'], 2)}{constant}."
        )
    return lines


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(str(entry) for entry in value)
    return value


def _yes(value: bool) -> str:
    return "yes" if value else "no"
