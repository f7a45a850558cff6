"""Two trained networks in one model package: the first looks at the whole abdomen, the second, finer one once more."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...inference.weights import SECOND_LOOK
from ...models import ModelPackage, verify_weights, write_package

# Two networks in float16 are more than a package may have; see `rounded`.
SIGNIFICANT_BITS = 9


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
    both = {**stored_weights(first), **{SECOND_LOOK + name: tensor for name, tensor in stored_weights(finer).items()}}
    weights = {name: rounded(tensor) if tensor.dtype == torch.float16 else tensor for name, tensor in both.items()}
    manifest = {key: value for key, value in (card or first.manifest).items() if key != "weights"}
    manifest["second_look"] = {
        "network": finer.network,
        "spacing_mm": list(finer.spacing_mm),
        "margin_mm": margin_mm,
        "share": share,
    }
    manifest["weights"] = {"file": "weights.pt", "dtype": first.manifest["weights"]["dtype"]}
    with tempfile.TemporaryDirectory() as scratch:
        path, smaller = Path(scratch) / "weights.pt", Path(scratch) / "smaller.pt"
        torch.save(weights, path)
        _deflated(path, smaller)
        return write_package(folder, manifest, smaller)


def rounded(weights: torch.Tensor) -> torch.Tensor:
    """float16 numbers rounded to 9 of their 11 significant bits, which a .zip then stores in three quarters.

    A CPU computes with 8 (bfloat16).
    """
    step = 1 << (11 - SIGNIFICANT_BITS)
    bits = weights.contiguous().view(torch.int16)
    # Sign and magnitude: what is carried goes on into the exponent, as it should.
    magnitude = ((bits & 0x7FFF) + step // 2) & ~(step - 1)
    return (magnitude | (bits & -0x8000)).to(torch.int16).view(torch.float16)


def _deflated(source: Path, target: Path) -> None:
    """The same zip archive with its members compressed, which `torch.save` does not do and `torch.load` reads."""
    with zipfile.ZipFile(source) as stored, zipfile.ZipFile(target, "w") as new:
        for member in stored.infolist():
            # By its name alone it would get the time of day, and the same weights another hash.
            entry = zipfile.ZipInfo(member.filename)
            new.writestr(entry, stored.read(member), zipfile.ZIP_DEFLATED, 9)


def stored_weights(package: ModelPackage) -> dict[str, torch.Tensor]:
    """The weights of a package as they lie in it, by name; raises BadModel where they are damaged."""
    verify_weights(package)
    weights: dict[str, torch.Tensor] = torch.load(package.weights_path, map_location="cpu", weights_only=True)
    return weights
