"""A model package: a folder that holds ``model.json`` and the weights, and nothing that could run."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contracts import ModelIdentity
from ..errors import BadInput, BadModel
from .manifest import MANIFEST_FILE, check_manifest, parse_manifest
from .staging import put_in_place, staging_folder

PHANTOM_ONLY = "phantom only"


@dataclass(frozen=True)
class QualityLimits:
    """Beyond which a model's own doubt about a segment is told to the person.

    The defaults are guesses for a model that was not calibrated; ``output.trust`` of a manifest replaces them.

    Attributes
    ----------
    spread : float
        Largest mean of the probability's standard deviation over the passes of test-time augmentation, within the
        segment, 0..0.5.
    mean_probability : float | None
        Lowest mean probability within the segment, 0..1; None where the manifest has other limits only.
    expected_dice : float | None
        Lowest Dice that the network itself expects, 0..1; None where the manifest says nothing of it.
    """

    spread: float = 0.1
    mean_probability: float | None = 0.75
    expected_dice: float | None = None


@dataclass(frozen=True)
class SecondLook:
    """A finer network that looks once more at the surroundings of what the first one found.

    Attributes
    ----------
    network : dict[str, Any]
        Configuration for ``network.build_network``; its weights are in the package's file, their names after
        ``second_look.``.
    spacing_mm : tuple[float, float, float]
        Voxel spacing (x, y, z) in mm that it was trained at.
    margin_mm : float
        It sees so much around the box of what the first look found.
    share : float
        Its part of the final probability, above 0 to 1; the rest is the first look's.
    """

    network: dict[str, Any]
    spacing_mm: tuple[float, float, float]
    margin_mm: float
    share: float


@dataclass(frozen=True)
class ModelPackage:
    """An installed model whose manifest follows the schema. Made by `load_package` and `write_package`.

    Attributes
    ----------
    folder : Path
        Where it lies.
    manifest : dict[str, Any]
        ``model.json`` as it is.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """Lowercase name that is unique in a catalogue and safe as a folder name."""
        return str(self.manifest["id"])

    @property
    def version(self) -> str:
        """Version of the package, as in 1.2.3."""
        return str(self.manifest["version"])

    @property
    def name(self) -> str:
        """Name to show; of a model that was not made for real scans it always says "phantom only"."""
        name = str(self.manifest["name"])
        if self.is_phantom_only and PHANTOM_ONLY not in name.lower():
            return f"{name} ({PHANTOM_ONLY})"
        return name

    @property
    def description(self) -> str:
        """One or two sentences for people."""
        return str(self.manifest["description"])

    @property
    def intended_use(self) -> str:
        """A sentence for people: the manifest's own, or what its intended input means."""
        made_for = "synthetic phantoms only; on a real scan its output means nothing" if self.is_phantom_only else "CT"
        return str(self.manifest.get("intended_use", f"Research on {made_for}."))

    @property
    def intended_input(self) -> str:
        """What the model may be used on: "ct" (real scans) or "phantom" (synthetic ones only)."""
        return str(self.manifest["intended_input"])

    @property
    def is_phantom_only(self) -> bool:
        """Whether the model means nothing on a real scan."""
        return self.intended_input == "phantom"

    @property
    def is_default(self) -> bool:
        """Whether the package asks to be used where nobody chose a model."""
        return bool(self.manifest["default"])

    @property
    def identity(self) -> ModelIdentity:
        """Which package it is, as a result names it."""
        return ModelIdentity(self.id, self.name, self.version, self.weights_sha256)

    @property
    def network(self) -> dict[str, Any]:
        """Configuration for ``network.build_network``."""
        configuration: dict[str, Any] = self.manifest["network"]
        return configuration

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing (x, y, z) in mm that the network was trained at."""
        x, y, z = self.manifest["input"]["spacing_mm"]
        return float(x), float(y), float(z)

    @property
    def second_look(self) -> SecondLook | None:
        """The finer network around what the first one finds; None for a model with one network."""
        given = self.manifest.get("second_look")
        if given is None:
            return None
        x, y, z = given["spacing_mm"]
        return SecondLook(given["network"], (x, y, z), float(given["margin_mm"]), float(given["share"]))

    @property
    def window_hu(self) -> tuple[float, float]:
        """Intensities (low, high) in HU that become 0 and 1."""
        low, high = self.manifest["input"]["window_hu"]
        return float(low), float(high)

    @property
    def activation(self) -> str:
        """What turns logits into probabilities: "sigmoid" or "softmax"."""
        return str(self.manifest["output"]["activation"])

    @property
    def threshold(self) -> float:
        """Probability, between 0 and 1, from which a voxel belongs to the segment unless a person says otherwise."""
        return float(self.manifest["output"]["threshold"])

    @property
    def passes(self) -> int:
        """How often the network looks where nobody asked for test-time augmentation; its results are averaged."""
        return int(self.manifest["output"].get("passes", 1))

    @property
    def quality_limits(self) -> QualityLimits:
        """When the model's own doubt is worth a warning."""
        given = self.manifest["output"].get("trust", {})
        default = QualityLimits()
        expected = given.get("expected_dice_limit")
        return QualityLimits(
            given.get("spread_limit", default.spread),
            given.get("mean_probability_limit", default.mean_probability if expected is None else None),
            expected,
        )

    @property
    def labels(self) -> list[dict[str, Any]]:
        """What the network finds: value, channel, name, terminology code and colour (0..255) of each."""
        labels: list[dict[str, Any]] = self.manifest["labels"]
        return labels

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return str(self.manifest["licence"])

    @property
    def weights_path(self) -> Path:
        """The state dict's file. Load it only after `verify_weights`, and only as plain tensors."""
        return self.folder / str(self.manifest["weights"]["file"])

    @property
    def weights_sha256(self) -> str:
        """What the file's SHA-256 has to be."""
        return str(self.manifest["weights"]["sha256"])


def load_package(folder: Path | str) -> ModelPackage:
    """Read and check a package's manifest. The weights are only looked for; `verify_weights` reads them.

    Raises
    ------
    BadModel
        No manifest, no weights, or a manifest that does not follow the schema; the message names the field.
    """
    folder = Path(folder)
    path = folder / MANIFEST_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadModel(
            f"{folder} is not a model package: it has no {MANIFEST_FILE}.",
            f"Choose the folder that holds {MANIFEST_FILE} and the weights.",
        ) from None
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror or error}.") from error
    package = ModelPackage(folder, parse_manifest(content, str(path)))
    if not package.weights_path.is_file():
        raise BadModel(
            f"The model package {folder} is incomplete: {package.weights_path.name} is missing.",
            "Add the model again from where it came.",
        )
    return package


def verify_weights(package: ModelPackage) -> None:
    """Compare the weights with the manifest's SHA-256.

    Raises
    ------
    BadModel
        The file is missing, unreadable or not the one the manifest was written for.
    """
    actual = _sha256(package.weights_path)
    if actual != package.weights_sha256:
        raise BadModel(
            f"The weights of model {package.id} are damaged or were exchanged: {package.weights_path} has SHA-256 "
            f"{actual}, its manifest says {package.weights_sha256}.",
            "Remove the model and add it again from where it came.",
        )


def write_package(
    folder: Path | str, manifest_without_hash: Mapping[str, Any], weights_file: Path | str
) -> ModelPackage:
    """Make a package folder out of a manifest and a weights file; the hash is filled in here.

    A package that is already at `folder` is replaced in one step; nothing half-written is ever there.

    Parameters
    ----------
    folder : Path | str
        The package folder to make.
    manifest_without_hash : Mapping[str, Any]
        ``model.json`` without ``weights.sha256``; ``weights.file`` may be left out too.
    weights_file : Path | str
        The state dict to copy.

    Raises
    ------
    BadModel
        The manifest does not follow the schema.
    BadInput
        No such weights file, or `folder` holds something that is not a model package.
    InternalError
        The file system refuses.
    """
    folder, weights_file = Path(folder), Path(weights_file)
    if not weights_file.is_file():
        raise BadInput(f"There is no weights file {weights_file}.")
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and any(folder.iterdir()):
        raise BadInput(f"{folder} exists and is not a model package.", "Choose another folder.")
    manifest = copy.deepcopy(dict(manifest_without_hash))
    weights = manifest["weights"] = {"file": "weights.pt", **manifest.get("weights", {})}
    weights["sha256"] = _sha256(weights_file)
    check_manifest(manifest, f"the manifest for {folder}")
    with staging_folder(folder.parent) as staging:
        shutil.copyfile(weights_file, staging / weights["file"])
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (staging / MANIFEST_FILE).write_text(text, encoding="utf-8", newline="\n")
        put_in_place(staging, folder)
    return load_package(folder)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise BadModel(f"The weights {path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()
