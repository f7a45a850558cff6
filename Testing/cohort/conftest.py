"""Small phantoms, many of them, and orders to segment them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from AttentionUNetSegLib.cohort import Case, Order
from AttentionUNetSegLib.phantom import Phantom, make_phantom, write_phantom

if find_spec("distributed") is None:  # not imported: that takes a second in every worker that only collects
    pytest.skip("the extra `cohort` is not installed", allow_module_level=True)

COUNT = 16
THRESHOLD = 0.44  # the random weights of the tiny model give something there


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return make_phantom(0, (5.0, 5.0, 5.0))


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory) -> Path:
    """Phantoms in files of their own (of two anatomies: drawing them takes longer than segmenting them)."""
    folder = tmp_path_factory.mktemp("cohort") / "in"
    folder.mkdir()
    for seed in range(2):
        write_phantom(make_phantom(seed, (7.0, 7.0, 7.0)), folder / f"case_{seed:02}.nrrd")
    for number in range(2, COUNT):
        shutil.copy(folder / f"case_{number % 2:02}.nrrd", folder / f"case_{number:02}.nrrd")
    return folder


@pytest.fixture
def order_for(tiny_model_package, tmp_path):
    """Makes an order for a path."""

    def make(path: Path, name: str | None = None, **others) -> Order:
        package = tiny_model_package
        settings = {"run": "this", "device": "cpu", "threshold": THRESHOLD, "threads": 1, **others}
        return Order(
            Case(name or path.stem, str(path)), str(tmp_path / "out"), str(package.folder), package.weights_sha256,
            **settings,
        )  # fmt: skip

    return make
