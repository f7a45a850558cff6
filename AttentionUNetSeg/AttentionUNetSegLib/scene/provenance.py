"""Where a result comes from, written on its nodes as attributes so that a saved scene can still tell.

Every node of a result carries the same record. Keys are `AttentionUNetSeg.<field>`; lists and mappings are
JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import slicer

from .. import __version__

PREFIX = "AttentionUNetSeg."

SEGMENTATION = "segmentation"
PROBABILITY = "probability"
SPREAD = "spread"


def attention_role(level: int) -> str:
    """Return the role of a gate's attention volume; level 1 is the finest gate."""
    return f"attention_{level}"


def gate_of(node: slicer.vtkMRMLNode) -> int:
    """Return the number of the gate that a volume was stamped with; 0 for any other node."""
    found = re.fullmatch(r"attention_(\d+)", read(node, "role") or "")
    return int(found.group(1)) if found else 0


def record(result: Mapping[str, Any], result_id: str) -> dict[str, str]:
    """Return the attributes, without prefix, that every node of one result carries.

    `result` is the worker's result: threshold, model {id, name, version, sha256}, device, device_name,
    timings (seconds per stage), warnings, quality {reasons}. What it leaves out is left out here.
    """
    model = result.get("model", {})
    fields = {
        "result": result_id,
        "model.id": model.get("id"),
        "model.name": model.get("name"),
        "model.version": model.get("version"),
        "model.sha256": model.get("sha256"),
        "device": result.get("device"),
        "device_name": result.get("device_name"),
        "timings": json.dumps(result["timings"]) if "timings" in result else None,
        "warnings": json.dumps(list(result["warnings"])) if "warnings" in result else None,
        "distrust": json.dumps(list(result["quality"]["reasons"])) if "quality" in result else None,
        "threshold": repr(float(result["threshold"])),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
    }
    return {key: str(value) for key, value in fields.items() if value is not None}


def stamp(node: slicer.vtkMRMLNode, role: str, fields: Mapping[str, str]) -> None:
    """Write the record and the node's role in the result ("segmentation", "probability", "attention_1", ...)."""
    node.SetAttribute(f"{PREFIX}role", role)
    for key, value in fields.items():
        node.SetAttribute(f"{PREFIX}{key}", value)


def read(node: slicer.vtkMRMLNode, key: str) -> str | None:
    """Return one field of the record, or None where the node does not carry it."""
    return node.GetAttribute(f"{PREFIX}{key}")


def write(node: slicer.vtkMRMLNode, key: str, value: str) -> None:
    """Change one field of the record on one node."""
    node.SetAttribute(f"{PREFIX}{key}", value)
