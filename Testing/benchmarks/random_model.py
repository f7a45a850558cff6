"""A model package with random weights, of any size: for what speed and memory depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_random_model(folder: Path, features: Sequence[int], spacing_mm: float) -> Path:
    """Write the package into `folder` (its parent exists) and return it."""
    import torch
    from AttentionUNetSegLib.models import write_package
    from AttentionUNetSegLib.network import build_network

    network = {
        "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
        "features": list(features), "gate": "additive", "norm": "batch", "deep_supervision": False,
    }  # fmt: skip
    torch.manual_seed(0)
    weights = folder.with_suffix(".weights.pt")
    state = build_network(network).state_dict()
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, weights)
    manifest = {
        "format_version": 1,
        "id": "random-weights",
        "version": "0.0.1",
        "name": "Random weights, phantom only",
        "description": "An untrained network for benchmarks.",
        "intended_input": "phantom",
        "default": False,
        "network": network,
        "input": {"spacing_mm": [spacing_mm] * 3, "orientation": "LPS", "window_hu": [-160, 240]},
        "output": {"activation": "sigmoid", "threshold": 0.5},
        "labels": [
            {
                "value": 1,
                "channel": 0,
                "name": "Pancreas",
                "code": {"scheme": "SCT", "value": "15776009", "meaning": "Pancreas"},
                "color": [249, 180, 111],
            }
        ],
        "training": {"summary": "Not trained.", "data": []},
        "performance": [],
        "limitations": "Random weights: the output means nothing.",
        "licence": "Apache-2.0",
        "weights": {"file": "weights.pt", "dtype": "float16"},
    }
    return write_package(folder, manifest, weights).folder
