"""Two trained networks in one model package: the first looks at the whole abdomen, the second, finer one once more."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...inference.weights import SECOND_LOOK
from ...models import ModelPackage, verify_weights, write_package


def join_second_look(
    first: ModelPackage,
    finer: ModelPackage,
    folder: Path | str,
    margin_mm: float,
    share: float,
    card: Mapping[str, Any] | None = None,
) -> ModelPackage:
    """Write a package with the networks of two.

    Parameters
    ----------
    first : ModelPackage
        Looks at the whole scan.
    finer : ModelPackage
        Looks at the surroundings of what `first` finds; its grid, its network and its weights are taken, no more.
    folder : Path | str
        The package to write; one that is there is replaced in one step.
    margin_mm : float
        How much the second look sees around the box of what was found.
    share : float
        Its part of the final probability, above 0 to 1.
    card : Mapping[str, Any] | None
        The manifest, without the second look; default: that of `first`.

    Raises
    ------
    BadModel
        Weights are damaged, or the networks do not go together.
    """
    weights = {
        **_weights(first),
        **{SECOND_LOOK + name: tensor for name, tensor in _weights(finer).items()},
    }
    manifest = {key: value for key, value in (card or first.manifest).items() if key != "weights"}
    manifest["second_look"] = {
        "network": finer.network,
        "spacing_mm": list(finer.spacing_mm),
        "margin_mm": margin_mm,
        "share": share,
    }
    manifest["weights"] = {"file": "weights.pt", "dtype": first.manifest["weights"]["dtype"]}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "weights.pt"
        torch.save(weights, path)
        return write_package(folder, manifest, path)


def _weights(package: ModelPackage) -> dict[str, torch.Tensor]:
    verify_weights(package)
    weights: dict[str, torch.Tensor] = torch.load(package.weights_path, map_location="cpu", weights_only=True)
    return weights
