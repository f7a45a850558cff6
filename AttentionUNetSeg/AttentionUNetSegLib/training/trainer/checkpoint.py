"""The state of a run on disk: a killed run leaves the last whole one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import BadInput
from ...models.manifest import MANIFEST_FILE
from ...models.package import load_package, verify_weights
from ...whole_file import whole_file

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """All that a run needs to go on as if it had not been interrupted.

    Patches need no state of their own: they are a function of seed and step (see `sampling`).

    Attributes
    ----------
    identity : `TrainingConfiguration.identity` and the scans, as JSON values.
    step : optimizer steps done.
    seconds : of training so far.
    skipped : steps that were left out because the loss or the gradient was not finite.
    network, averaged, optimizer, scaler : state dicts.
    best : `BestWeights.state`; None where nothing was validated yet.
    """

    identity: dict[str, Any]
    step: int
    seconds: float
    skipped: int
    network: dict[str, Any]
    averaged: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best: dict[str, Any] | None = None


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Replace the folder's checkpoint in one step.

    Raises
    ------
    CannotWrite : the file system refuses.
    """
    path = folder / CHECKPOINT_FILE
    content = {**vars(checkpoint), "identity": json.dumps(checkpoint.identity)}
    with whole_file(path) as beside, beside.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # what torch makes of a disk that is full
            raise OSError(str(error)) from error
        file.flush()
        os.fsync(file.fileno())
    return path


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint, None where there is none.

    Raises
    ------
    BadInput : it is damaged.
    """
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        return None
    content = _loaded(path)
    try:
        return Checkpoint(**{**content, "identity": json.loads(content["identity"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is no checkpoint of a training run.", "Remove it to start anew.") from error


def check_same_run(
    checkpoint: Checkpoint, identity: Mapping[str, Any], folder: Path, ignored: Sequence[str] = ()
) -> None:
    """Refuse to go on with the checkpoint of another run; `ignored` may differ.

    Raises
    ------
    BadInput : naming what differs.
    """
    wanted = json.loads(json.dumps(identity))  # tuples become lists, as in the file
    names = [name for name in {**checkpoint.identity, **wanted} if name not in ignored]
    different = [name for name in names if checkpoint.identity.get(name) != wanted.get(name)]
    if different:
        name = different[0]
        was, now = (_short(each.get(name)) for each in (checkpoint.identity, wanted))
        more = f" (and {', '.join(different[1:])})" if different[1:] else ""
        raise BadInput(
            f"{folder} holds the checkpoint of another run: {name} was {was} and is now {now}{more}.",
            "Use another --work folder, or --no-resume to start anew there.",
        )


def initial_weights(source: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint file, of a run's work folder (its averaged ones), or of a model package.

    Raises
    ------
    BadInput : there is nothing of that kind.
    """
    if (source / MANIFEST_FILE).is_file():
        package = load_package(source)
        verify_weights(package)
        return {name: tensor.float() for name, tensor in _loaded(package.weights_path).items()}
    path = source / CHECKPOINT_FILE if source.is_dir() else source
    if not path.is_file():
        raise BadInput(f"There is no checkpoint and no model package at {source}.")
    content = _loaded(path)
    state = content.get("averaged", content)
    return {name.removeprefix("module."): tensor for name, tensor in state.items() if name != "n_averaged"}


def has_second_look(source: Path) -> bool:
    """Whether this is a model package with a second network, of which `initial_weights` makes no use."""
    return (source / MANIFEST_FILE).is_file() and load_package(source).second_look is not None


def load_what_fits(network: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Load weights by name; heads with another number of structures take the pancreas only.

    Returns
    -------
    Names of the tensors that keep their fresh values.

    Raises
    ------
    BadInput : the weights are of a network with other levels or features.
    """
    own = network.state_dict()
    fresh = []
    for name, tensor in own.items():
        given = weights.get(name)
        is_head = name.startswith(("head.", "deep_supervision_heads."))
        if given is not None and given.shape == tensor.shape:
            tensor.copy_(given)
        elif is_head and given is not None and given.shape[1:] == tensor.shape[1:]:
            tensor[:1].copy_(given[:1])
            fresh.append(name)
        elif is_head:
            fresh.append(name)
        else:
            found = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise BadInput(
                f"The weights to start from do not fit: {name} is {found}, this network needs {tuple(tensor.shape)}.",
                "Use the features, gate and norm of the run they come from.",
            )
    return fresh


def _loaded(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(f"{path} cannot be read: {type(error).__name__}.", "Remove it to start anew.") from error


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
