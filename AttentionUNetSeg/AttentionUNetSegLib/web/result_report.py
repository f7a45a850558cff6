"""The report of the workspace's result: what was found, by which model, and what a person changed."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import CannotWrite
from ..scene import start_of
from ..scene.provenance import read
from .workspace import Workspace


def report_of(workspace: Workspace) -> dict[str, Any]:
    """Return the report as JSON fields; positions are world RAS in mm."""
    editor, result = workspace.require_editor(), workspace.require_result()
    segmentation = result.segmentation
    threshold, keep_largest, smoothing_mm = editor.settings
    return {
        "program": f"attention-unet-seg {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": result.volume.GetName(),
        "model": {key: read(segmentation, f"model.{key}") for key in ("id", "name", "version", "sha256")},
        "volume_ml": round(editor.volume_ml, 3),
        "threshold": threshold,
        "keep_largest": keep_largest,
        "smoothing_mm": smoothing_mm,
        "reach_mm": editor.reach_mm,
        "start": start_of(result),
        "strokes": result.strokes is not None,
        "marks": [f"{'add' if each.positive else 'remove'} {each.kind}" for each in editor.marks],
        "walls": [each["name"] for each in workspace.server.state.walls if each["is_wall"]],
        "clicks": [
            {"kind": "add" if each.positive else "remove", "ras_mm": [round(x, 3) for x in each.ras]}
            for each in editor.clicks
        ],
        "measurements": [each["text"] for each in workspace.server.state.measurements],
        "note": "Research software: not for diagnosis or treatment.",
    }


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON; raises InternalError where that fails."""
    _write(path, json.dumps(report, indent=2) + "\n")


def write_csv(report: dict[str, Any], path: Path) -> None:
    """Write the report as CSV, a field a line, the clicks one after the other; raises InternalError likewise."""
    rows: list[tuple[str, Any]] = []
    for key, value in report.items():
        if key == "model":
            rows += [(f"model_{name}", each) for name, each in value.items()]
        elif key == "clicks":
            rows += [(f"click_{each['kind']}_ras_mm", " ".join(map(str, each["ras_mm"]))) for each in value]
        elif key in ("measurements", "marks", "walls"):
            rows += [(key.removesuffix("s"), each) for each in value]
        elif key == "start":
            rows += [(f"start_{name}", each) for name, each in (value or {}).items()]
        else:
            rows.append((key, value))
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("field", "value"), *((key, _harmless(value)) for key, value in rows)])
    except OSError as error:
        raise CannotWrite(f"The report cannot be written ({error.strerror}).") from error


def _harmless(value: Any) -> Any:
    """A text that no table program takes for a formula: names come from files that others made."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t") else value


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"The report cannot be written ({error.strerror}).") from error
