"""Labelled scans on disk, masks of known shape, and the command."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

if find_spec("monai") is None:  # which takes seconds to import, in every worker that only collects these tests
    pytest.skip("the extra `train` is not installed", allow_module_level=True)

from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.imaging import image_on_grid
from AttentionUNetSegLib.imaging.geometry import Geometry
from AttentionUNetSegLib.phantom import make_phantom, write_phantom
from AttentionUNetSegLib.training.evaluation import CroppedCase, crop_case
from command_outcome import Outcome

MakeCase = Callable[..., CroppedCase]


@pytest.fixture
def evaluate(capfd):
    """Runs `attention-unet-seg evaluate` with these words, in this process."""

    def run(*words: object) -> Outcome:
        code = main(["evaluate", *(str(word) for word in words)])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> Path:
    """Three phantoms as a table: two with their own labels, one whose labels count as those of a model, in part."""
    folder = tmp_path_factory.mktemp("data") / "phantoms"
    folder.mkdir()
    rows = []
    for seed, labels_by in ((1, "synthetic"), (2, "synthetic"), (3, "OtherNet")):
        phantom = make_phantom(seed, (5, 5, 6))
        write_phantom(phantom, folder / f"ct_{seed}.nrrd")
        sitk.WriteImage(phantom.pancreas, str(folder / f"label_{seed}.nrrd"), True)
        ignore = np.zeros(phantom.ct.GetSize()[::-1], np.uint8)
        ignore[: len(ignore) // 2] = labels_by == "OtherNet"
        image = sitk.GetImageFromArray(ignore)
        image.CopyInformation(phantom.ct)
        sitk.WriteImage(image, str(folder / f"ignore_{seed}.nrrd"), True)
        rows.append({
            "image": f"ct_{seed}.nrrd", "label": f"label_{seed}.nrrd", "ignore": f"ignore_{seed}.nrrd",
            "name": f"case {seed}", "patient": f"P{seed}", "labels_by": labels_by,
        })  # fmt: skip
    with open(folder / "cases.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def make_case() -> MakeCase:
    """Makes a `CroppedCase` of whole-volume masks (KJI), through images on an oblique grid as real ones are."""

    def make(
        predicted: np.ndarray,
        label: np.ndarray,
        spacing_kji: tuple[float, float, float] = (2.0, 1.0, 1.0),
        ignore: np.ndarray | None = None,
        **more: object,
    ) -> CroppedCase:
        turned = (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
        grid = Geometry(
            size=label.shape[::-1], spacing=spacing_kji[::-1], origin=(-11.5, 40.0, 700.0), direction=turned
        )

        def image(mask: np.ndarray) -> sitk.Image:
            return image_on_grid(np.ascontiguousarray(mask, dtype=np.uint8), grid)

        values = image(np.asarray(predicted, np.uint8) * 200 if predicted.dtype == bool else predicted)
        hits = np.argwhere(sitk.GetArrayViewFromImage(values))
        if len(hits):  # as the segmenter returns it: cropped
            low, high = hits.min(axis=0)[::-1].tolist(), (hits.max(axis=0)[::-1] + 1).tolist()
            values = values[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        else:
            values = values[:1, :1, :1]
        return crop_case(image(label), values, 0.5, None if ignore is None else image(ignore), **more)

    return make


@pytest.fixture
def box() -> Callable[..., np.ndarray]:
    """A bool array (40, 50, 60) that is True from `start` to `stop` (KJI)."""

    def make(start: tuple[int, int, int], stop: tuple[int, int, int]) -> np.ndarray:
        mask = np.zeros((40, 50, 60), bool)
        mask[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))] = True
        return mask

    return make


@pytest.fixture
def ball() -> Callable[..., np.ndarray]:
    """A ball of a radius in mm about the middle of a grid with this spacing (KJI)."""

    def make(radius_mm: float, spacing: tuple[float, float, float]) -> np.ndarray:
        shape = [int(60 / side) + 1 for side in spacing]
        squares = [((np.arange(n) - (n - 1) / 2) * side) ** 2 for n, side in zip(shape, spacing, strict=True)]
        return squares[0][:, None, None] + squares[1][:, None] + squares[2] <= radius_mm**2

    return make
