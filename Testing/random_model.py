"""A model package with random weights, of any size: for what does not depend on the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from AttentionUNetSegLib.models import ModelPackage, write_package


def write_random_model(
    folder: Path, features: Sequence[int], spacing_mm: float, id: str = "random-weights", in_half: bool = False
) -> ModelPackage:
    """Write the package into `folder` (its parent exists) and return it; `in_half` stores the weights as float16."""
    import torch
    from AttentionUNetSegLib.network import build_network
    from AttentionUNetSegLib.training.trainer.export import PANCREAS, packaged_weights

    network = {
        "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
        "features": list(features), "gate": "additive", "norm": "batch", "deep_supervision": False,
    }  # fmt: skip
    torch.manual_seed(0)
    state = build_network(network).state_dict()
    weights = folder.with_suffix(".weights.pt")
    torch.save(packaged_weights(state) if in_half else state, weights)
    manifest = {
        "format_version": 1,
        "id": id,
        "version": "0.0.1",
        "name": "Random weights, phantom only",
        "description": "An untrained network.",
        "intended_input": "phantom",
        "default": False,
        "network": network,
        "input": {"spacing_mm": [spacing_mm] * 3, "orientation": "LPS", "window_hu": [-160, 240]},
        "output": {"activation": "sigmoid", "threshold": 0.5},
        "labels": [PANCREAS],
        "training": {"summary": "Not trained.", "command": "none", "date": "2026-01-01", "data": []},
        "performance": [],
        "limitations": "Random weights: the output means nothing.",
        "licence": "Apache-2.0",
        "weights": {"file": "weights.pt", "dtype": "float16" if in_half else "float32"},
    }
    return write_package(folder, manifest, weights)
