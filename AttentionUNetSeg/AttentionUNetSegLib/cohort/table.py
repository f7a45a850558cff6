"""The table of a cohort: a row a case, from the reports in the cases' folders."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..whole_file import whole_file
from .case import Case
from .case_folder import CASES, CaseFolder
from .case_run import Outcome

Row = dict[str, Any]  # by column
FIRST = (
    "id", "state", "volume", "distrust", "reasons", "expected_dice", "mean_probability", "mean_spread",
    "error", "path", "series",
)  # fmt: skip


def rows_of(cases: Iterable[Case], output: Path, unwritten: Sequence[Outcome] = ()) -> list[Row]:
    """Return a row a case, all with the same columns in the same order.

    A column of the cohort's own table that is called like one of ours becomes `given_<name>`.

    Parameters
    ----------
    output : the cohort's folder.
    unwritten : outcomes whose report is not in the case's folder.
    """
    reports = {outcome.id: outcome.report for outcome in unwritten}
    cases = list(cases)
    rows = [_row(case, reports.get(case.id) or CaseFolder(output, case.folder_name).report()) for case in cases]
    own = {*FIRST, *(key for row in rows for key in row)}
    for row, case in zip(rows, cases, strict=True):
        row |= {f"given_{name}" if name in own else name: value for name, value in case.columns.items()}
    columns = list(dict.fromkeys([*FIRST, *(key for row in rows for key in row)]))
    return [{column: row.get(column) for column in columns} for row in rows]


def by_doubt(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, what to look at first on top.

    First what has no result; then what has reasons to distrust it, the more the earlier; then by the Dice that the
    network expects of itself, the lowest first.
    """

    def doubt(row: Row) -> tuple[Any, ...]:
        dice = row["expected_dice"]
        return (row["state"] == "done", -int(row.get("reason_count") or 0), -1.0 if dice is None else dice, row["id"])

    return sorted(rows, key=doubt)


def write_table(rows: Sequence[Row], path: Path) -> list[Path]:
    """Write the rows as CSV and, where pyarrow is installed, as Parquet beside it; return the files.

    Raises
    ------
    CannotWrite : a file cannot be written.
    """
    with whole_file(path) as beside, open(beside, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else list(FIRST))
        table.writeheader()
        table.writerows(rows)
    if importlib.util.find_spec("pyarrow") is None:
        return [path]
    import pyarrow
    from pyarrow import parquet

    from ..imaging.plain_name import printable

    other = path.with_suffix(".parquet")
    texts = [
        {key: printable(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows
    ]  # Parquet knows Unicode alone, and a path may be something else
    with whole_file(other) as beside:
        parquet.write_table(pyarrow.Table.from_pylist(texts), beside)
    return [path, other]


def _row(case: Case, report: dict[str, Any] | None) -> Row:
    row: Row = {"id": case.id, "state": "not run", "path": case.path, "series": case.series}
    if report is not None:
        row |= _failed(report) if "error" in report else _done(report)
        row |= {f"{stage}_seconds": seconds for stage, seconds in report.get("timings", {}).items()}
        row["folder"] = f"{CASES}/{case.folder_name}"
    return row


def _failed(report: dict[str, Any]) -> Row:
    error = report["error"]
    return {
        "state": "failed",
        "error": " ".join(filter(None, (error["message"], error.get("hint")))),
        "error_code": error["code"],
    }


def _done(report: dict[str, Any]) -> Row:
    trust, source, measurements = report["trust"], report["input"], report["measurements"]
    row: Row = {
        "state": "done",
        "distrust": trust["distrust"],
        "reasons": " ".join(trust["reasons"]),
        # A cohort that an earlier release began calls it otherwise.
        "expected_dice": report.get("expected_dice", report.get("predicted_dice")),
        "mean_probability": trust["mean_probability"],
        "mean_spread": trust["mean_spread"],
        "size": " ".join(map(str, source["size"])),
        "spacing_mm": " ".join(f"{value:g}" for value in source["spacing_mm"]),
        "is_phantom": source["is_phantom"],
        "threshold": report["threshold"],
    }
    for key, quantity in measurements["quantities"].items():
        row |= {key: quantity["value"], f"{key}_low": quantity["low"], f"{key}_high": quantity["high"]}
    phase = measurements.get("contrast_phase") or {}  # an earlier release guessed none
    row |= {"contrast_phase_guess": phase.get("guess"), "contrast_phase_grounds": phase.get("grounds")}
    row["aorta_hu"] = phase.get("aorta_hu")
    row["notes"] = " ".join(measurements["notes"])
    row["warnings"] = " ".join(text for text in report["warnings"] if text not in trust["reasons"])
    row |= {f"model_{key}": report["model"][key] for key in ("id", "version", "sha256")}
    row["device"] = report["device"]
    row["reason_count"] = len(trust["reasons"])
    row["overview"] = report["files"].get("overview")
    if dicom := report.get("dicom"):
        row["dicom_objects"] = " ".join(name for key, name in report["files"].items() if key.startswith("dicom_"))
        row["without_dicom_objects"] = dicom["reason"]
    return row
