"""The networks of a model package with their weights, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import BadModel
from ..models import ModelPackage, verify_weights
from ..network import AttentionUNet, build_network

# What the names of the second look's weights begin with, in the one file of a package.
SECOND_LOOK = "second_look."


def load_network(package: ModelPackage) -> AttentionUNet:
    """The package's network with its weights, float32, evaluation mode, on the CPU; see `load_networks`."""
    return load_networks(package)[0]


def load_networks(package: ModelPackage) -> tuple[AttentionUNet, AttentionUNet | None]:
    """The package's network and, where it has one, that of its second look: float32, evaluation mode, on the CPU.

    Raises
    ------
    BadModel
        The file's hash, its content, or a tensor's shape is not what the manifest says; the sentence names it.
    """
    verify_weights(package)
    try:
        weights = torch.load(package.weights_path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadModel(
            f'The weights of the model "{package.id}" cannot be read: {type(error).__name__}.',
            "Install the model again.",
        ) from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise BadModel(f'The weights file of the model "{package.id}" holds no state dict.')
    finer = package.second_look
    if finer is None:
        return _with_weights(package, package.network, weights), None
    first = {name: tensor for name, tensor in weights.items() if not name.startswith(SECOND_LOOK)}
    second = {name: tensor for name, tensor in weights.items() if name.startswith(SECOND_LOOK)}
    return (
        _with_weights(package, package.network, first),
        _with_weights(package, finer.network, second, SECOND_LOOK),
    )


def _with_weights(
    package: ModelPackage, configuration: dict[str, Any], weights: Mapping[str, torch.Tensor], prefix: str = ""
) -> AttentionUNet:
    network = build_network(configuration)
    if configuration.get("spatial_dims") != 3 or configuration.get("in_channels") != 1:
        raise BadModel(f'The model "{package.id}" is no 3D network with one input channel; only such models can run.')
    _check_weights(package.id, {prefix + name: tensor for name, tensor in network.state_dict().items()}, weights)
    network.load_state_dict({
        name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    })  # fmt: skip
    return network.eval().requires_grad_(False)


def _check_weights(model: str, expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in weights:
            raise BadModel(f'The weights of the model "{model}" lack {name!r}, which its network needs.')
        if weights[name].shape != tensor.shape:
            raise BadModel(
                f'In the weights of the model "{model}", {name!r} has shape {tuple(weights[name].shape)}; '
                f"its network needs {tuple(tensor.shape)}."
            )
    unknown = sorted(set(weights) - set(expected))
    if unknown:
        raise BadModel(f'The weights of the model "{model}" hold {unknown[0]!r}, which its network does not have.')
