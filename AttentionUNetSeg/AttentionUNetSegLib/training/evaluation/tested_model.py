"""What is known about a model that is being measured: its configuration, and how it was trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...models import ModelPackage
from ...network import build_network

# How the training commands of this package word the summary in a model's card.
_STEPS = re.compile(r"\b([\d,' ]*\d) steps\b")
_MINUTES = re.compile(r"\b([\d.]+) minutes\b")
_PATCH = re.compile(r"patch(?:es)? of (\d+) ?[x×] ?(\d+) ?[x×] ?(\d+)")
COMPUTER_MADE = ("synthetic", "the phantom itself")


def describe_model(package: ModelPackage) -> dict[str, Any]:
    """The facts that a comparison of configurations needs, as JSON values.

    Steps, minutes and patch come from the summary in the model's card; None where it does not tell.
    """
    network, training = package.network, package.manifest["training"]
    patch = _PATCH.search(training["summary"])
    return {
        "id": package.id,
        "version": package.version,
        "name": package.name,
        "weights_sha256": package.weights_sha256,
        "intended_input": package.intended_input,
        "gate": network.get("gate", "none"),
        "features": list(network["features"]),
        "parameters": count_parameters(network),
        "spacing_mm": list(package.spacing_mm),
        "patch": [int(side) for side in patch.groups()] if patch else None,
        "training_steps": _number(_STEPS.search(training["summary"])),
        "training_minutes": _number(_MINUTES.search(training["summary"])),
        "training_data": kind_of_training_data(package.manifest),
        "training_labels": sorted({data["labels_by"] for data in training["data"]}),
        "training_summary": training["summary"],
    }


def count_parameters(network: Mapping[str, Any]) -> int:
    """How many trainable parameters a network of this configuration has."""
    return sum(parameter.numel() for parameter in build_network(network).parameters() if parameter.requires_grad)


def kind_of_training_data(manifest: Mapping[str, Any]) -> str:
    """Either "synthetic only", "real only", "synthetic and real" or "unknown", by who made the labels."""
    kinds = {data["labels_by"] in COMPUTER_MADE for data in manifest["training"]["data"]}
    return {
        frozenset({True}): "synthetic only",
        frozenset({False}): "real only",
        frozenset({True, False}): "synthetic and real",
    }.get(frozenset(kinds), "unknown")


def _number(match: re.Match[str] | None) -> float | int | None:
    if not match:
        return None
    number = float(re.sub(r"[,' ]", "", match[1]))
    return int(number) if number.is_integer() else number
