"""Small generated CTs with labels, in memory and on disk."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import write_image
from AttentionUNetSegLib.training.labelled_scan import LabelledScan, LoadedScan
from AttentionUNetSegLib.training.trainer import TrainingConfiguration

SIDE = 28
SPACING_MM = 8.0
PANCREAS_HU, LIVER_HU, SOFT_HU = 160, 100, 30
PACKAGE_ROOT = Path(__file__).resolve().parents[3] / "AttentionUNetSeg"


def drawn(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """HU (int16) and labels (uint8): 1 a bright ball, the pancreas; 2 a larger, darker one, the liver."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1)
    middle = (side - 1) / 2
    body = np.linalg.norm((places - middle)[..., 1:], axis=-1) < side * 0.46
    pancreas = np.linalg.norm(places - (middle + rng.uniform(-3, 3, 3)), axis=-1) < 3.5
    liver = (np.linalg.norm(places - (np.array([1, -2, -7]) + middle), axis=-1) < 4.5) & ~pancreas & body
    hu = np.where(body, SOFT_HU, -1000) + rng.normal(0, 5, body.shape)
    hu[liver], hu[pancreas] = LIVER_HU, PANCREAS_HU
    return np.rint(hu).astype(np.int16), (pancreas + 2 * liver).astype(np.uint8)


def as_image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([SPACING_MM] * 3)
    return image


def make_scan(
    seed: int, data_set: str = "balls", labels_by: str = "synthetic",
    structures: tuple[str, ...] = ("pancreas", "liver"), ignore: np.ndarray | None = None, weight: float = 1.0,
) -> LabelledScan:  # fmt: skip
    def load() -> LoadedScan:
        hu, labels = drawn(seed)
        values = {"pancreas": 1, "liver": 2}
        masks = {name: as_image((labels == values[name]).astype(np.uint8)) for name in structures}
        return LoadedScan(as_image(hu), masks, None if ignore is None else as_image(ignore))

    return LabelledScan(f"{data_set}/{seed}", f"patient {seed}", load, labels_by, weight, "CC0-1.0", "nobody")


@pytest.fixture
def scans() -> list[LabelledScan]:
    return [make_scan(seed) for seed in range(3)]


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., TrainingConfiguration]:
    return lambda **changes: tiny_configuration(tmp_path, **changes)


def tiny_configuration(folder: Path, **changes: object) -> TrainingConfiguration:
    values = {
        "out": folder / "balls-model", "spacing_mm": SPACING_MM, "patch": (16, 16, 16), "features": (4, 8, 8),
        "structures": ("pancreas", "liver"), "steps": 6, "batch": 2, "device": "cpu", "threads": 1, "rate": 0.01,
        "settling_batches": 3, "averaging": 0.9,
    }  # fmt: skip
    return TrainingConfiguration(**{**values, **changes})


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three scans in the layout `table`."""
    folder = tmp_path_factory.mktemp("balls")
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "label", "structures", "name", "patient", "labels_by", "licence", "attribution"))
        for seed in range(3):
            hu, labels = drawn(seed)
            write_image(as_image(hu), folder / f"ct{seed}.nrrd")
            write_image(as_image(labels), folder / f"label{seed}.nrrd")
            files = (f"ct{seed}.nrrd", f"label{seed}.nrrd")
            names = (f"ball{seed}", f"patient {seed}", "synthetic", "CC0-1.0", "nobody")
            rows.writerow((*files, "pancreas=1;liver=2", *names))
    return folder


@pytest.fixture
def started() -> Callable[..., subprocess.Popen]:
    """Start `attention-unet-seg train` (or torchrun with it) as a process; it is killed in the end."""
    running: list[subprocess.Popen] = []

    def start(*words: object, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
        paths = [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
        process = subprocess.Popen(
            [sys.executable, *launcher, "-m", "AttentionUNetSegLib.cli", "train", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_WAIT_POLICY": "PASSIVE"},
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def tiny_run(table: Path, out: Path, **changes: object) -> list[str]:
    """The words of a run that takes seconds; an option is --name, with - for _."""
    options = {
        "dataset": f"table:{table}", "out": out, "spacing": SPACING_MM, "patch": "16,16,16", "features": "4,8,8",
        "structures": "pancreas,liver", "batch": 2, "steps": 6, "threads": 1, "device": "cpu",
    } | changes  # fmt: skip
    return [str(word) for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]


def logged(work: Path) -> dict[int, str]:
    """Loss by step, as written into the run's log."""
    with (work / "log.csv").open(encoding="utf-8") as file:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(file)}
