"""A network from the "network" object of a model package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadModel
from .attention_unet import AttentionUNet, UNet

ARCHITECTURES: dict[str, type[AttentionUNet]] = {"AttentionUNet": AttentionUNet, "UNet": UNet}


def build_network(configuration: Mapping[str, Any]) -> AttentionUNet:
    """Network with fresh weights.

    Parameters
    ----------
    configuration : Mapping[str, Any]
        ``architecture`` ("AttentionUNet" or "UNet") and the keyword arguments of that class.

    Raises
    ------
    BadModel
        Unknown architecture, or arguments that the architecture refuses.
    """
    arguments = dict(configuration)
    architecture = arguments.pop("architecture", None)
    if architecture not in ARCHITECTURES:
        raise BadModel(
            f"The model's network.architecture is {architecture!r}; known are {', '.join(ARCHITECTURES)}.",
            "Install a version of AttentionUNetSeg that knows this architecture.",
        )
    if architecture == "UNet":
        arguments.pop("gate", None)
    try:
        return ARCHITECTURES[architecture](**arguments)
    except (TypeError, ValueError) as error:
        raise BadModel(f"The model's network configuration is not usable: {error}") from error
