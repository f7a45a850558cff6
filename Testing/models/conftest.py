"""Packages whose weights are any bytes: this package never looks into them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from AttentionUNetSegLib.models import Catalogue

WEIGHTS = bytes(range(256)) * 16
MANIFEST: dict[str, Any] = {
    "format_version": 1,
    "id": "pancreas-ct",
    "version": "1.0.0",
    "name": "Pancreas",
    "description": "Finds the pancreas.",
    "intended_input": "ct",
    "default": False,
    "network": {
        "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
        "features": [8, 16, 32], "gate": "additive", "norm": "batch", "deep_supervision": False,
    },
    "input": {"spacing_mm": [2, 2, 2.5], "orientation": "LPS", "window_hu": [-160, 240]},
    "output": {"activation": "sigmoid", "threshold": 0.5},
    "labels": [
        {
            "value": 1, "channel": 0, "name": "Pancreas", "color": [249, 180, 111],
            "code": {"scheme": "SCT", "value": "15776009", "meaning": "Pancreas"},
        }
    ],
    "training": {
        "summary": "Trained for tests.", "command": "none", "date": "2026-02-28",
        "data": [{"name": "A", "n": 3, "licence": "CC BY 4.0", "attribution": "A. Author", "labels_by": "hand"}],
    },
    "performance": [
        {
            "metric": "Dice", "mean": 0.8, "standard_deviation": 0.1, "minimum": 0.5,
            "n": 7, "data": "A", "date": "2026-02-28",
        }
    ],
    "limitations": "Only a test.",
    "licence": "Apache-2.0",
    "weights": {"file": "weights.pt", "sha256": hashlib.sha256(WEIGHTS).hexdigest(), "dtype": "float16"},
}  # fmt: skip


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A valid manifest for `WEIGHTS`, to change at will."""
    return copy.deepcopy(MANIFEST)


@pytest.fixture
def make_package(tmp_path: Path) -> Callable[..., Path]:
    """Writes a package folder as somebody else's program might, with top-level fields changed."""

    def make(folder: str = "source", weights: bytes = WEIGHTS, **changes: Any) -> Path:
        manifest = {**copy.deepcopy(MANIFEST), **changes}
        path = tmp_path / folder
        path.mkdir(parents=True)
        manifest["weights"]["sha256"] = hashlib.sha256(weights).hexdigest()
        (path / "weights.pt").write_bytes(weights)
        (path / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
        return path

    return make


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A catalogue with two empty folders; the user's does not exist yet."""
    (tmp_path / "bundled").mkdir()
    return Catalogue(tmp_path / "bundled", tmp_path / "user" / "models")
