"""What tests of several packages share."""

from __future__ import annotations

import copy
import gc
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
# Before numpy is: those of its OpenBLAS always spin, and several processes share the cores here. A scalar product of
# 20,000 numbers took 9 ms instead of 0.1, a phantom 1.6 s instead of 0.9. Processes that tests start inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Modules are imported while tests are collected, and what they make stays: nothing in it is garbage.
gc.disable()

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "Testing"):  # `research` and what tests share
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from longest_first import LONGEST_FIRST  # noqa: E402
from phantom_package import PHANTOM_MODEL  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; all else stays in its order."""
    places = {ROOT / "Testing" / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, in what the tests make and not in all of VTK and SimpleITK."""
    gc.freeze()
    gc.enable()


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
    pytest.importorskip("torch")
    from random_model import write_random_model

    return write_random_model(tmp_path_factory.mktemp("tiny_model") / "package", [8, 16, 32], 4, "tiny-random")


@pytest.fixture(scope="session")
def slow_model_package(tiny_model_package, tmp_path_factory: pytest.TempPathFactory):
    """The tiny model at a fine spacing: one run takes many seconds, long enough to disturb it."""
    from AttentionUNetSegLib.models import write_package

    manifest = copy.deepcopy(tiny_model_package.manifest)
    manifest["id"] = "tiny-slow"
    manifest["input"]["spacing_mm"] = [1.2, 1.2, 1.2]
    del manifest["weights"]["sha256"]
    return write_package(tmp_path_factory.mktemp("slow") / "package", manifest, tiny_model_package.weights_path)
