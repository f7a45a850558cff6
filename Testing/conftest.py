"""What tests of several rooms share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# CI tries the same examples every time; everywhere else hypothesis looks for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Before torch is imported: its threads must not spin while they wait, or tests crawl on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "Testing") not in sys.path:
    sys.path.insert(0, str(ROOT / "Testing"))

from phantom_package import PHANTOM_MODEL  # noqa: E402


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real scans (never part of the repository); the test is skipped where it is missing."""
    folder = Path(os.environ.get("ATTENTIONUNETSEG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}: set ATTENTIONUNETSEG_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def phantom_model_package():
    """The trained model for phantoms: what a test takes where a result has to make sense."""
    from AttentionUNetSegLib.models import load_package

    return load_package(PHANTOM_MODEL)


@pytest.fixture(scope="session")
def tiny_model_package(tmp_path_factory: pytest.TempPathFactory):
    """A valid package of a small Attention U-Net with random weights at 4 mm: it runs fast and means nothing."""
    torch = pytest.importorskip("torch")
    from AttentionUNetSegLib.models import write_package
    from AttentionUNetSegLib.network import build_network

    network = {
        "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
        "features": [8, 16, 32], "gate": "additive", "norm": "batch", "deep_supervision": False,
    }  # fmt: skip
    manifest = {
        "format_version": 1,
        "id": "tiny-random",
        "version": "0.0.1",
        "name": "Random weights, phantom only",
        "description": "An untrained network for tests.",
        "intended_input": "phantom",
        "default": False,
        "network": network,
        "input": {"spacing_mm": [4, 4, 4], "orientation": "LPS", "window_hu": [-160, 240]},
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
        "training": {"summary": "Not trained.", "command": "none", "date": "2026-01-01", "data": []},
        "performance": [],
        "limitations": "Random weights: the output means nothing.",
        "licence": "Apache-2.0",
        "weights": {"file": "weights.pt", "dtype": "float32"},
    }
    folder = tmp_path_factory.mktemp("tiny_model")
    torch.manual_seed(0)
    torch.save(build_network(network).state_dict(), folder / "weights.pt")
    return write_package(folder / "package", manifest, folder / "weights.pt")
