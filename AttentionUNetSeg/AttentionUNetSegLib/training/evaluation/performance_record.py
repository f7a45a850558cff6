"""Measured results in a model's card. The only place that writes them."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from ...models import ModelPackage, load_package, verify_weights
from ...models.manifest import MANIFEST_FILE, check_manifest
from ...whole_file import whole_file
from .summary import is_made_by_a_model

# What the card tells of a summary; "minimum" only where the lowest value is the worst.
RECORDED = {"dice": True, "hd95_mm": False, "nsd": True}
# What a limit of `poor_results.warning_limits` is called in a manifest.
LIMITS = {"mean_spread": "spread_limit", "mean_probability": "mean_probability_limit"}


def performance_entries(groups: Sequence[Mapping[str, Any]], data: str, command: str) -> list[dict[str, Any]]:
    """The summaries as entries of ``performance`` in ``model.json``.

    Parameters
    ----------
    groups : result of `summary.summarise`.
    data : names of the data sets.
    command : that measured it.
    """
    entries = []
    for group in groups:
        for metric, lowest_is_worst in RECORDED.items():
            values = group["metrics"][metric]
            if not values["n"]:
                continue
            entry = {"metric": values["name"].split(" against labels by ")[0], "mean": values["mean"]}
            if is_made_by_a_model(group["labels_by"]):
                entry["labels_by"] = group["labels_by"]
            elif group["labels_by"] == "manual":
                entry["truth"] = "manual contours"
            if values["standard_deviation"] is not None:
                entry["standard_deviation"] = values["standard_deviation"]
            if lowest_is_worst:
                entry["minimum"] = values["minimum"]
            entries.append({
                **entry,
                "n": values["n"],
                "data": _data(group, values, data),
                "command": command,
                "date": datetime.date.today().isoformat(),
                "machine": machine(),
            })  # fmt: skip
    return entries


def record_performance(package: ModelPackage, entries: Sequence[Mapping[str, Any]]) -> ModelPackage:
    """Write the entries into the package's manifest; the weights are not touched.

    Entries of the same metric that the same command measured are replaced, all others stay.

    Raises
    ------
    BadModel : the weights are not those of the manifest, or the manifest would not follow the schema.
    CannotWrite : the file system refuses.
    """
    new = {(entry["metric"], entry["command"]) for entry in entries}
    kept = [entry for entry in package.manifest["performance"] if (entry["metric"], entry.get("command")) not in new]
    return _rewritten(package, {**package.manifest, "performance": [*kept, *entries]})


def record_warning_limits(package: ModelPackage, limits: Mapping[str, Mapping[str, Any] | None]) -> ModelPackage:
    """Write what `warning_limits` found into the package's manifest; a limit that is None stays as it was.

    Raises
    ------
    BadModel, InternalError : as for `record_performance`.
    """
    found = {LIMITS[name]: entry["limit"] for name, entry in limits.items() if entry}
    output = package.manifest["output"]
    return _rewritten(
        package, {**package.manifest, "output": {**output, "trust": {**output.get("trust", {}), **found}}}
    )


def _rewritten(package: ModelPackage, manifest: Mapping[str, Any]) -> ModelPackage:
    verify_weights(package)
    path = Path(package.folder) / MANIFEST_FILE
    check_manifest(manifest, str(path))
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
    return load_package(package.folder)


def machine() -> str:
    """What the numbers were measured with."""
    return (
        f"{os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}, "
        f"SimpleITK {sitk.Version_VersionString()}, Python {platform.python_version()}"
    )


def _data(group: Mapping[str, Any], values: Mapping[str, Any], data: str) -> str:
    scans = f"{data}: {group['cases']} scans"
    if group["labels_by"] != "synthetic":
        scans += f" of {group['patients']} patients"
    words = [scans, group["meaning"].rstrip(".")]
    if values["interval_95"]:
        low, high = values["interval_95"]
        words.append(f"95 % interval of the mean {low:.4g} to {high:.4g}")
    words.append(f"failures {len(group['failures'])}")
    if values["undefined"]:
        words.append(f"not defined in {values['undefined']}")
    return "; ".join(words)
