"""The trained network as a model package: the pancreas channel, float16 weights and the model card."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import BadInput, BadModel, CannotWrite, InternalError
from ...models import ModelPackage, SegmentLabel, write_package
from ...models.manifest import MANIFEST_FILE, check_manifest
from ...network import AttentionUNet
from ..labelled_scan import LabelledScan
from .configuration import TrainingConfiguration
from .sampling import data_set_of

THRESHOLD = 0.5
_LABEL = SegmentLabel()
PANCREAS: dict[str, Any] = {
    "value": 1,
    "channel": 0,
    "name": _LABEL.name,
    "code": {"scheme": _LABEL.scheme, "value": _LABEL.code, "meaning": _LABEL.meaning},
    "color": list(_LABEL.color),
}
# What torch.save adds to the weights: names, a pickle and the zip's directory.
OVERHEAD_BYTES = 300_000


def export_package(
    network: AttentionUNet, configuration: TrainingConfiguration, scans: Sequence[LabelledScan], summary: str
) -> ModelPackage:
    """Write the package of a trained network; one that is there is replaced in one step.

    Parameters
    ----------
    network : with one output channel per structure, the pancreas first.
    scans : that were trained on, for the model card.
    summary : how it was trained.

    Raises
    ------
    InternalError : a weight has no float16 value, or the file is larger than it may be.
    """
    weights = pancreas_weights(network.state_dict())
    infinite = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if infinite:
        raise CannotWrite(
            f"The trained weights cannot be written as float16: {infinite[0]} has values that are not finite there.",
            "The checkpoint is kept; train on with a lower rate.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "weights.pt"
        torch.save(weights, path)
        if path.stat().st_size > configuration.largest_package_mb * 1e6:
            raise InternalError(
                f"The weights have {path.stat().st_size / 1e6:.1f} MB, more than {configuration.largest_package_mb:g}."
            )
        return write_package(configuration.out, _manifest(configuration, scans, summary), path)


def pancreas_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict with the head's first channel only and without the heads of deep supervision, in float16."""
    head = {name: state[name][:1] for name in ("head.weight", "head.bias")}
    return packaged_weights({**state, **head})


def packaged_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict as a package holds it: without the heads of deep supervision, on the CPU, in float16."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous().clone()
        for name, tensor in state.items()
        if not name.startswith("deep_supervision_heads.")
    }


def check_model_card(configuration: TrainingConfiguration, scans: Sequence[LabelledScan]) -> None:
    """Refuse a model card or a folder that could not be written in the end, before hours of training.

    Raises
    ------
    BadInput : saying which field is wrong, or what lies in the folder.
    """
    card = _manifest(configuration, scans, "Not trained yet.")
    card["weights"]["sha256"] = "0" * 64
    try:
        check_manifest(card, "the model card")
    except BadModel as error:
        raise BadInput(error.message, "See --id, --name, --description and --licence.") from error
    out = configuration.out
    if out.exists() and not (out.is_dir() and ((out / MANIFEST_FILE).is_file() or not any(out.iterdir()))):
        raise BadInput(f"{out} exists and is not a model package.", "Choose another folder with --out.")


def check_package_size(network: AttentionUNet, largest_mb: float) -> None:
    """Refuse a network whose package would be too large, before hours of training.

    Raises
    ------
    BadInput : saying how large it would be.
    """
    expected = sum(tensor.numel() * 2 for tensor in pancreas_weights(network.state_dict()).values()) + OVERHEAD_BYTES
    if expected > largest_mb * 1e6:
        raise BadInput(
            f"The weights of this network would have {expected / 1e6:.1f} MB, more than {largest_mb:g} MB.",
            "Use fewer --features, or allow it with --largest-package.",
        )


def _manifest(configuration: TrainingConfiguration, scans: Sequence[LabelledScan], summary: str) -> dict[str, Any]:
    network = {**configuration.network, "out_channels": 1, "deep_supervision": False}
    return {
        "format_version": 1,
        "id": configuration.id,
        "version": "0.1.0",
        "name": configuration.name,
        "description": configuration.description,
        "intended_input": "ct",
        "default": False,
        "network": network,
        "input": {
            "spacing_mm": [configuration.spacing_mm] * 3,
            "orientation": "LPS",
            "window_hu": list(configuration.window_hu),
        },
        "output": {"activation": "sigmoid", "threshold": THRESHOLD},
        "labels": [PANCREAS],
        "training": {
            "summary": summary,
            "command": configuration.command or "AttentionUNetSegLib.training.trainer.train",
            "date": datetime.date.today().isoformat(),
            "data": training_data(scans),
        },
        "performance": [],
        "limitations": limitations(training_data(scans)),
        "licence": configuration.licence,
        "weights": {"file": "weights.pt", "dtype": "float16"},
    }


def training_data(scans: Sequence[LabelledScan]) -> list[dict[str, Any]]:
    """One entry per data set, licence, attribution and kind of label, with the number of scans."""
    groups: dict[tuple[str, str, str, str], int] = {}
    for scan in scans:
        key = (data_set_of(scan), scan.licence, scan.attribution, scan.labels_by)
        groups[key] = groups.get(key, 0) + 1
    return [
        {"name": name, "n": count, "licence": licence, "attribution": attribution, "labels_by": labels_by}
        for (name, licence, attribution, labels_by), count in groups.items()
    ]


def limitations(data: Sequence[Mapping[str, Any]]) -> str:
    """What the model card says about what the data (see `training_data`) cannot teach."""
    scans = sum(entry["n"] for entry in data)
    manual, synthetic = (
        sum(entry["n"] for entry in data if entry["labels_by"] == kind) for kind in ("manual", "synthetic")
    )
    by_models = scans - manual - synthetic
    sentences = [
        "Research use only: not a medical device, not for diagnosis or treatment; every result has to be checked.",
        f"Trained on {scans} scans: {manual} with manual labels, {by_models} labelled by another model, "
        f"{synthetic} synthetic.",
    ]
    if by_models:
        sentences.append("It inherits the errors of the model that made the labels.")
    if synthetic and not manual:
        sentences.append("No manual contour of a real pancreas was seen in training.")
    sentences.append(
        "Expect failures on what the data hardly holds: tumours, cysts, pancreatitis, stents, after surgery, children, "
        "and scans that show only a part of the upper abdomen."
    )
    return " ".join(sentences)
