"""What the phantom-only model is: its network, its input, its seeds and its manifest."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from AttentionUNetSegLib.models import ModelPackage, write_package
from AttentionUNetSegLib.training.trainer.export import PANCREAS, packaged_weights

MODEL_ID = "pancreas-phantom"
# Five levels, so that there are four gates; few channels, so that the weights stay below 4 MB in float16.
NETWORK = {
    "architecture": "AttentionUNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "features": [16, 32, 48, 64, 96],
    "gate": "additive",
    "norm": "batch",
    "deep_supervision": False,
}
# Coarse on purpose: a phantom's pancreas survives it (an ideal network reaches Dice 0.95), and training and the demo
# take seconds where 2 mm would take minutes.
SPACING_MM = (4.0, 4.0, 4.0)
WINDOW_HU = (-160.0, 240.0)
THRESHOLD = 0.5

# Apart from each other and from the small numbers that tests and the demo use.
TRAINING_SEEDS = range(100_000, 100_080)
EVALUATION_SEEDS = range(200_000, 200_010)

LIMITATIONS = (
    "Knows computer-made phantoms and nothing else: it never saw a patient. On a real CT its output is meaningless. "
    "Not for diagnosis, treatment or research on people."
)


def write_phantom_model(folder: Path, state: Mapping[str, torch.Tensor], summary: str, command: str) -> ModelPackage:
    """Write the package: `state` (of the network without its supervision heads) in float16, and the manifest.

    Parameters
    ----------
    folder : the package folder; replaced as a whole.
    state : the state dict.
    summary, command : how it was trained, for the manifest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "weights.pt"
        torch.save(packaged_weights(state), weights)
        return write_package(folder, _manifest(summary, command), weights)


def _manifest(summary: str, command: str) -> dict[str, Any]:
    return {
        "format_version": 1,
        "id": MODEL_ID,
        "version": "0.1.0",
        "name": "Pancreas, phantom only (for tests and the demo)",
        "description": "Attention U-Net trained on computer-made phantoms only. It shows how everything works; "
        "it cannot find a pancreas in a patient.",
        "intended_input": "phantom",
        "default": False,
        "network": NETWORK,
        "input": {"spacing_mm": list(SPACING_MM), "orientation": "LPS", "window_hu": list(WINDOW_HU)},
        "output": {"activation": "sigmoid", "threshold": THRESHOLD},
        "labels": [PANCREAS],
        "training": {
            "summary": summary,
            "command": command,
            "date": datetime.date.today().isoformat(),
            "data": [
                {
                    "name": "Procedural phantoms of AttentionUNetSegLib.phantom",
                    "n": len(TRAINING_SEEDS),
                    "licence": "Apache-2.0",
                    "attribution": "The AttentionUNetSeg authors",
                    "labels_by": "the phantom itself",
                }
            ],
        },
        "performance": [],
        "limitations": LIMITATIONS,
        "licence": "Apache-2.0",
        "weights": {"file": "weights.pt", "dtype": "float16"},
    }
