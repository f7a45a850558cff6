"""``model.json``: read with suspicion, checked against the schema and then for what a schema cannot say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import BadModel
from .schema import violations

MANIFEST_FILE = "model.json"
SCHEMA_FILE = Path(__file__).with_name("model.schema.json")
LARGEST_MANIFEST_BYTES = 2**20
MOST_PROBLEMS_SHOWN = 5
# Names that Windows gives to devices, whatever follows the first dot.
RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def parse_manifest(content: bytes, where: str) -> dict[str, Any]:
    """The manifest in `content`, checked.

    Parameters
    ----------
    content : bytes
        The bytes of ``model.json``.
    where : str
        What to call it in messages, usually its path.

    Raises
    ------
    BadModel
        Not JSON, or not a manifest; the message names every wrong field.
    """
    if len(content) > LARGEST_MANIFEST_BYTES:
        raise BadModel(f"{where} is no model manifest: it is larger than {LARGEST_MANIFEST_BYTES // 2**20} MiB.")
    try:
        manifest: dict[str, Any] = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object_without_repetition,
            parse_float=_finite_number,
            parse_constant=_finite_number,
        )
    except (ValueError, RecursionError) as error:
        raise BadModel(
            f"{where} cannot be read as JSON: {error}.", "Get the model again from where it came."
        ) from error
    check_manifest(manifest, where)
    return manifest


def check_manifest(manifest: Any, where: str) -> None:
    """Refuse what is not a manifest this version can use.

    Raises
    ------
    BadModel
        Naming the wrong fields.
    """
    if isinstance(manifest, Mapping) and _is_newer_format(manifest.get("format_version")):
        raise BadModel(
            f"{where} has format_version {manifest['format_version']}, and this version of AttentionUNetSeg reads 1.",
            "Update AttentionUNetSeg.",
        )
    problems = list(violations(manifest, manifest_schema()))
    if not problems:
        problems = list(_contradictions(manifest))
    if problems:
        shown = " ".join(problems[:MOST_PROBLEMS_SHOWN])
        if len(problems) > MOST_PROBLEMS_SHOWN:
            shown += f" And {len(problems) - MOST_PROBLEMS_SHOWN} more."
        raise BadModel(
            f"{where} is not a valid model manifest: {shown}",
            "Ask whoever made the model for one that follows model.schema.json.",
        )


@cache
def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of ``model.json``, which lies beside this file."""
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def _contradictions(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a manifest that follows the schema."""
    network, weights_file = manifest["network"], manifest["weights"]["file"]
    # The $ of a pattern also matches before a final line break.
    for field, value in (("id", manifest["id"]), ("version", manifest["version"]), ("weights.file", weights_file)):
        if value != value.strip():
            yield f"{field}: ends with a line break."
    for field, value in (("id", manifest["id"]), ("weights.file", weights_file)):
        if value.split(".")[0].lower() in RESERVED_NAMES:
            yield f"{field}: {value} is the name of a device on Windows."
    for field, each in (("network", network), ("second_look.network", manifest.get("second_look", {}).get("network"))):
        if each and (each["architecture"] == "AttentionUNet") != ("gate" in each):
            yield f"{field}.gate: expected for the architecture AttentionUNet, and for no other."
    if "second_look" in manifest:
        yield from _contradictions_of_second_look(manifest)
    low, high = manifest["input"]["window_hu"]
    if not low < high:
        yield f"input.window_hu: the low end first and below the high end expected, got {low} and {high}."
    yield from _contradictions_of_labels(manifest)
    yield from _impossible_dates(manifest)


def _contradictions_of_second_look(manifest: Mapping[str, Any]) -> Iterator[str]:
    network = manifest["second_look"]["network"]
    if network["spatial_dims"] != 3 or network["out_channels"] != 1:
        yield "second_look.network: a 3D network with one output channel expected."
    if manifest["output"]["activation"] != "sigmoid" or len(manifest["labels"]) != 1:
        yield "second_look: expected only beside a first network with one label and the activation sigmoid."


def _contradictions_of_labels(manifest: Mapping[str, Any]) -> Iterator[str]:
    labels, activation = manifest["labels"], manifest["output"]["activation"]
    channels = manifest["network"]["out_channels"]
    # Softmax needs a channel for "none of them"; by convention it is the first.
    expected = list(range(1 if activation == "softmax" else 0, channels))
    if sorted(label["channel"] for label in labels) != expected:
        yield (
            f"labels: with network.out_channels {channels} and {activation}, one label expected for each of the "
            f"channels {expected}, got {[label['channel'] for label in labels]}."
        )
    for field in ("value", "name"):
        values = [label[field] for label in labels]
        if len(set(values)) < len(values):
            yield f"labels: every label needs its own {field}."


def _impossible_dates(manifest: Mapping[str, Any]) -> Iterator[str]:
    dates = [("training.date", manifest["training"].get("date"))]
    dates += [(f"performance[{i}].date", entry.get("date")) for i, entry in enumerate(manifest["performance"])]
    for field, text in dates:
        try:
            date.fromisoformat(text or "2000-01-01")
        except ValueError:
            yield f"{field}: {text} is no date."


def _is_newer_format(version: Any) -> bool:
    return isinstance(version, int) and version > 1


def _object_without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return document


def _finite_number(text: str) -> int | float:
    """A JSON number; whole ones as int, as 16.0 channels are 16. NaN and infinities are not JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that can be used")
    return int(number) if number.is_integer() else number
