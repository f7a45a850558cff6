"""The script that trains on a lent GPU packs, trains and sums up without one, on a few small scans."""

from __future__ import annotations

import importlib.util
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.imaging import write_image
from AttentionUNetSegLib.inference.weights import SECOND_LOOK
from AttentionUNetSegLib.models import Catalogue, load_package
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME, write_table
from AttentionUNetSegLib.training.synthesis.part_map import INDEX

from research import pancreas_ct_manual as recipe
from research.pancreas_ct_second_look import LEVELS

_specification = importlib.util.spec_from_file_location(
    "train_pancreas_ct", Path(__file__).with_name("train_pancreas_ct.py")
)
script = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(script)


def write_set(folder: Path, patients: list[str], with_pancreas: bool = True) -> None:
    """CTs of a bright ball in a body, labelled."""
    folder.mkdir(parents=True)
    k, j, i = np.indices((24, 40, 40)) - np.array([12, 20, 20]).reshape(3, 1, 1, 1)
    body, ball = j**2 + i**2 < 18**2, k**2 + j**2 + i**2 < 5**2
    rows = []
    for patient in patients:
        hu = np.where(body, 40, -1000) + np.where(ball & with_pancreas, 80, 0)
        for name, array in (("ct", hu.astype(np.int16)), ("label", (ball & with_pancreas).astype(np.uint8))):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((5.0, 5.0, 5.0))
            write_image(image, folder / f"{patient}_{name}.nrrd")
        rows.append({"image": f"{patient}_ct.nrrd", "label": f"{patient}_label.nrrd", "patient": patient,
                     "structures": "pancreas=1", "labels_by": "manual"})  # fmt: skip
    write_table(folder / TABLE_NAME, rows)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """What is carried: made from a work folder with two patients of one fold, and one of another."""
    root = tmp_path_factory.mktemp("gpu")
    one, *_ = recipe.read_folds()[0]
    other, *_ = recipe.read_folds()[1]
    write_set(root / "data" / "nih_pancreas", [one, other])
    write_set(root / "work" / "reduced", ["somebody"])
    write_set(root / "work" / "negative", ["nobody"], with_pancreas=False)
    maps = root / "work" / "painted"
    maps.mkdir()
    parts = np.zeros((40, 48, 48), np.uint8)
    parts[8:32, 8:40, 8:40] = 1
    entries = []
    for name in ("parts_1", "parts_2"):
        np.savez_compressed(maps / f"{name}.npz", parts=parts)
        entries.append({"name": name, "patient": name, "licence": "CC0-1.0", "attribution": "nobody"})
    (maps / INDEX).write_text(json.dumps(entries), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTIONUNETSEG_DATA", str(root / "data"))
        for look in ("first", "second"):
            words = ["pack", "--look", look, "--work", root / "work", "--to", root / "packed" / look, "--most", 1]
            assert script.main([*map(str, words)]) == 0
    return root / "packed"


@pytest.mark.parametrize(
    ("look", "spacing", "levels"), [("first", 2.5, recipe.FEATURES), ("second", 1.75, recipe.FEATURES[:LEVELS])]
)
def test_it_packs_trains_and_tells_what_the_time_went_into(
    packed, tmp_path, monkeypatch, capsys, look, spacing, levels
):
    with tarfile.open(packed / look / script.ARCHIVE) as archive:
        index = json.load(archive.extractfile(f"./work/painted/{INDEX}"))
    assert len(index) == 1
    monkeypatch.setattr(script, "RESERVED_SECONDS", 0.0)
    monkeypatch.setattr(script.recipe_of(look), "PATCH", script.recipe_of(look).PATCH)  # put back afterwards
    monkeypatch.setenv("ATTENTIONUNETSEG_DATA", "set by the script")
    words = ["--look", look, "--packed", packed / look, "--minutes", 0.05, "--device", "cpu", "--patch", 16, 16, 16]
    code = script.main(["train", *map(str, words), "--out", str(tmp_path)])
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    (row,) = summary["parts"]
    assert row["part"] == "final" and row["steps"] >= 1 and summary["look"] == look
    whole = row["seconds_in_steps"] + row["seconds_waiting_for_patches"] + row["seconds_around"]
    assert whole == pytest.approx(row["seconds"], abs=0.2) and 0 < summary["share_in_steps"] < 1
    assert code == (summary["share_in_steps"] < script.LEAST_SHARE)
    assert "were training steps; 90% are wanted" in capsys.readouterr().out
    package = load_package(tmp_path / "final" / "model")
    assert package.network["features"] == list(levels) and package.spacing_mm == (spacing,) * 3
    # Not from scratch: a few steps at a rising rate leave the weights next to those of the bundled look.
    bundled = Catalogue().get("pancreas-ct")
    own, start = (torch.load(each.weights_path, weights_only=True) for each in (package, bundled))
    name = next(name for name, tensor in own.items() if tensor.ndim == 5 and tensor.shape[1] > 1)
    begun = start[name if look == "first" else SECOND_LOOK + name].float()
    assert (own[name].float() - begun).norm() < 0.5 * begun.norm()


def test_what_cannot_travel_is_refused(packed, tmp_path, monkeypatch, capsys):
    """The working tree travels as well."""
    assert script.working_tree_mib() > 5
    root = packed.parent
    monkeypatch.setenv("ATTENTIONUNETSEG_DATA", str(root / "data"))
    monkeypatch.setattr(script, "LARGEST_MIB", script.working_tree_mib())
    words = ["pack", "--work", root / "work", "--to", tmp_path / "packed", "--most", 1]
    assert script.main([*map(str, words)]) == 1
    assert "it cannot travel" in capsys.readouterr().err


def test_a_fold_does_not_begin_with_a_model_that_has_seen_its_patients(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTIONUNETSEG_DATA", "set by the script")
    with pytest.raises(SystemExit, match=r"fold_0 begins with pancreas-ct 0\.3\.0: pack it along"):
        script.main(
            ["train", "--packed", str(packed / "first"), "--parts", "fold_0", "--device", "cpu", "--out", str(tmp_path)]
        )
    bundled = script.ROOT / "AttentionUNetSeg" / "Resources" / "Models" / "pancreas-ct"
    with pytest.raises(SystemExit, match=r"folds begin with 0\.3\.0"):
        script.main(["pack", "--work", str(tmp_path), "--before", str(bundled), "--to", str(tmp_path / "packed")])
