"""The table of a cohort as CSV and, where pyarrow is installed, as Parquet."""

from __future__ import annotations

import csv
import importlib.util

from AttentionUNetSegLib.cohort import Case, rows_of, write_table
from AttentionUNetSegLib.cohort.case_folder import CaseFolder, write_report

DONE = {
    "input": {"size": [5, 6, 7], "spacing_mm": [1.0, 1.0, 2.5], "is_phantom": False},
    "trust": {"distrust": True, "reasons": ["It is small."], "mean_probability": 0.7, "mean_spread": None},
    "measurements": {"quantities": {"length": {"value": 150.5, "low": 140.0, "high": 160.0}}, "notes": [],
                     "contrast_phase": {"guess": "portal venous", "grounds": "aorta 150 HU", "aorta_hu": 150}},
    "model": {"id": "m", "version": "1", "sha256": "0"},
    "expected_dice": 0.9, "threshold": 0.5, "device": "cpu", "warnings": ["It is small.", "It is tilted."],
    "files": {}, "timings": {"read": 1.0},
}  # fmt: skip
FAILED = {"error": {"code": "bad_input", "message": "It is none.", "hint": ""}}


def test_rows_hold_what_the_reports_and_the_given_table_say(tmp_path):
    name = "/cts/M\udce4rz.nrrd"  # not UTF-8
    cases = [Case("a", name, None, {"length": "tall", "age": "61"}), Case("b", "/b", None, {"length": "", "age": "5"})]
    for case, report in zip(cases, (DONE, FAILED), strict=True):
        folder = CaseFolder(tmp_path, case.folder_name).path
        folder.mkdir(parents=True)
        write_report(report, folder)
    rows = rows_of(cases, tmp_path)
    assert rows[0]["length"] == 150.5 and rows[1]["length"] is None, "a column of ours is ours in every row"
    assert [row["given_length"] for row in rows] == ["tall", ""] and [row["age"] for row in rows] == ["61", "5"]
    phase = [rows[0][f"contrast_phase_{key}"] for key in ("guess", "grounds")]
    assert [*phase, rows[0]["aorta_hu"]] == ["portal venous", "aorta 150 HU", 150]
    assert rows[0]["warnings"] == "It is tilted." and rows[0]["reasons"] == "It is small."
    files = write_table(rows, tmp_path / "cohort.csv")
    with open(files[0], newline="", encoding="utf-8", errors="surrogateescape") as file:
        read = list(csv.DictReader(file))
    assert read[0]["path"] == name and read[1]["error"] == "It is none."
    if importlib.util.find_spec("pyarrow") is None:
        assert files == [tmp_path / "cohort.csv"]
        return
    from pyarrow import parquet

    table = parquet.read_table(files[1]).to_pylist()
    assert table[0] == rows[0] | {"path": "/cts/M?rz.nrrd"} and table[1] == rows[1]
