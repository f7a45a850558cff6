"""`attention-unet-seg evaluate`, with the real segmenter on labelled scans on disk."""

from __future__ import annotations

import csv
import json
import math
import shutil

import numpy as np
import pytest
from AttentionUNetSegLib.models import load_package, verify_weights
from PIL import Image


@pytest.fixture(scope="session")
def model(tiny_model_package, tmp_path_factory):
    """A copy of the tiny package, for --record."""
    folder = tmp_path_factory.mktemp("recorded") / "package"
    shutil.copytree(tiny_model_package.folder, folder)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "deep" / "evaluation"


@pytest.fixture
def done(evaluate, table, model, folder):
    """The files of one evaluation of three scans, which the tests share."""
    if not folder.exists():
        outcome = evaluate(
            "--dataset", f"table:{table}", "--model", model, "--out", folder, "--device", "cpu", "--threshold", 0.4,
            "--tta", "--pictures", 2, "--resamples", 200, "--record", "--json",
        )  # fmt: skip
        assert outcome.code == 0, outcome.stderr
        assert outcome.answer == json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


def test_all_files_are_there_and_agree(done, folder):
    names = {path.name for path in folder.iterdir()}
    pictures = set(done["pictures"].values())
    assert names == {"evaluation.json", "evaluation.md", "cases.csv", "calibration.png"} | pictures
    assert len(pictures) == 2 and list(folder.parent.iterdir()) == [folder]
    with open(folder / "cases.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [case["name"] for case in done["cases"]]
    for row, case in zip(rows, done["cases"], strict=True):
        assert float(row["dice"]) == case["dice"]
    worst = sorted(case["dice"] for case in done["cases"])
    assert [next(c["dice"] for c in done["cases"] if c["name"] == name) for name in done["pictures"]] == worst[:2]
    for name in pictures:
        assert len(np.unique(np.asarray(Image.open(folder / name)))) > 50


def test_the_document_holds_what_a_reader_needs(done, model):
    case = done["cases"][0]
    assert set(case) >= {
        "name", "patient", "labels_by", "dice", "hd95_mm", "nsd", "recall", "precision", "predicted_ml", "labelled_ml",
        "volume_error_ml", "volume_error_percent", "largest_false_positive_ml", "is_failure", "seconds", "gates",
    }  # fmt: skip
    assert len(case["gates"]) == 2 and case["seconds"] > 0
    assert case["volume_error_ml"] == pytest.approx(case["predicted_ml"] - case["labelled_ml"], abs=1e-3)
    assert done["run"]["threshold"] == 0.4 and done["run"]["tta"] is True
    assert done["run"]["command"].startswith("attention-unet-seg evaluate --model tiny-random --dataset table:phantoms")
    facts = done["model"]
    assert facts["weights_sha256"] == load_package(model).weights_sha256 and facts["gate"] == "additive"
    assert facts["parameters"] > 1000 and facts["training_data"] == "unknown" and facts["training_steps"] is None


def test_accuracy_and_agreement_are_never_averaged(done, folder):
    synthetic, model = done["groups"]
    assert (synthetic["labels_by"], synthetic["cases"], synthetic["patients"]) == ("synthetic", 2, 2)
    assert (model["labels_by"], model["cases"]) == ("OtherNet", 1)
    assert synthetic["metrics"]["dice"]["name"] == "Dice"
    assert model["metrics"]["dice"]["name"] == "Dice against labels by OtherNet"
    assert "not accuracy" in model["meaning"] and model["is_agreement"] and not synthetic["is_agreement"]
    dice = [case["dice"] for case in done["cases"][:2]]
    values = synthetic["metrics"]["dice"]
    assert values["mean"] == pytest.approx(np.mean(dice), abs=1e-3) and values["minimum"] == min(dice)
    low, high = values["interval_95"]
    assert low == pytest.approx(min(dice), abs=1e-3) and high == pytest.approx(max(dice), abs=1e-3)  # two patients
    assert model["metrics"]["dice"]["interval_95"] is None and "One patient only" in " ".join(model["remarks"])
    assert "Only 2 patients" in " ".join(synthetic["remarks"])
    text = (folder / "evaluation.md").read_text(encoding="utf-8")
    assert "## Agreement with labels by OtherNet" in text and "| Dice against labels by OtherNet |" in text
    assert all(line.count("|") == 9 for line in text.splitlines() if line.startswith("| Dice"))


def test_partial_labels_are_said(done):
    partial = done["cases"][2]
    assert partial["labels_by"] == "OtherNet" and "partial" in partial["remarks"][0]


def test_the_result_is_recorded_in_the_card(done, model, tiny_model_package):
    package = load_package(model)
    verify_weights(package)
    assert package.weights_path.read_bytes() == tiny_model_package.weights_path.read_bytes()
    entries = {(entry["metric"], entry["n"]): entry for entry in package.manifest["performance"]}
    dice = entries["Dice", 2]
    assert dice["mean"] == done["groups"][0]["metrics"]["dice"]["mean"] and dice["command"] == done["run"]["command"]
    assert "table:phantoms: 2 scans" in dice["data"] and dice["minimum"] <= dice["mean"]
    assert "labels_by" not in dice
    agreement = entries["Dice", 1]
    assert agreement["labels_by"] == "OtherNet" and "not accuracy" in agreement["data"]
    assert not any(math.isnan(entry["mean"]) for entry in package.manifest["performance"])


def test_patients_are_chosen_and_people_see_lines(evaluate, table, tiny_model_package, folder, done, tmp_path):
    words = (
        "--dataset",
        f"table:{table}",
        "--model",
        tiny_model_package.folder,
        "--device",
        "cpu",
        "--out",
        tmp_path / "e",
    )
    outcome = evaluate(*words, "--leave-out", "P1", "P3", "--keep-largest", "--pictures", 0)
    assert outcome.code == 0, outcome.stderr
    assert "1/1  phantoms/case 2  Dice" in outcome.stderr and "DO NOT USE" not in outcome.stdout
    assert outcome.stdout.count("\n") == 2 and "1 scans, 1 patients" in outcome.stdout
    assert {path.name for path in (tmp_path / "e").iterdir()} == {
        "evaluation.json", "evaluation.md", "cases.csv", "calibration.png",
    }  # fmt: skip
    # Side by side with the other run: only the scan of both counts.
    compared = evaluate("--compare", f"all={folder}", f"two={tmp_path / 'e'}", "--out", tmp_path / "compared", "--json")
    assert compared.code == 0, compared.stderr
    (group,) = compared.answer["groups"]
    assert list(group["rows"][0]["per_case"]) == ["phantoms/case 2"] and [r["name"] for r in group["rows"]] == [
        "all",
        "two",
    ]
    assert "threshold is all 0.4, two 0.5" in " ".join(compared.answer["remarks"])
    assert {path.name for path in (tmp_path / "compared").iterdir()} == {"comparison.json", "comparison.md"}


def test_a_scan_that_cannot_be_read_is_named_and_the_others_are_measured(evaluate, table, tiny_model_package, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(table, broken)
    (broken / "ct_1.nrrd").write_bytes(b"NRRD0004\nnothing")
    words = ("--dataset", f"table:{broken}", "--model", tiny_model_package.folder, "--device", "cpu", "--json")
    outcome = evaluate(*words, "--out", tmp_path / "e", "--only", "P1", "P2")
    assert outcome.code == 0, outcome.stderr
    assert [case["patient"] for case in outcome.answer["cases"]] == ["P2"]
    assert outcome.answer["not_evaluated"][0]["name"] == "data/case 1"
    assert "## Not evaluated" in (tmp_path / "e" / "evaluation.md").read_text(encoding="utf-8")
    nothing = evaluate(*words, "--out", tmp_path / "none", "--only", "P1")
    assert nothing.code == 2 and "Not one scan" in nothing.answer["error"]["message"]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "OUT"], "nothing to evaluate on"),
        (["--dataset", "table:TABLE"], "no place for the results"),
        (["--dataset", "table:TABLE", "--out", "OUT", "--only", "Nobody"], "no patient `Nobody`"),
        (["--dataset", "table:TABLE", "--out", "OUT", "--only", "P1", "--leave-out", "P1"], "both in --only"),
        (["--dataset", "table:TABLE", "--out", "OUT", "--leave-out", "P1", "P2", "P3"], "no scans to evaluate"),
        (["--dataset", "table:TABLE", "--out", "OUT", "--threshold", "1.5"], "threshold"),
        (["--dataset", "table:TABLE", "--out", "OUT", "--resamples", "3"], "too few"),
        (["--dataset", "table:TABLE", "--out", "TABLE"], "no part of an evaluation"),
        (["--dataset", "phantom:9-3", "--out", "OUT"], "no phantom seeds"),
        (["--compare", "a", "b", "--out", "OUT"], "NAME=FOLDER"),
        (["--compare", "a=TABLE", "--out", "OUT"], "no evaluation at"),
    ],
)
def test_wrong_use_costs_one_sentence(words, sentence, evaluate, table, tiny_model_package, tmp_path):
    words = [word.replace("TABLE", str(table)).replace("OUT", str(tmp_path / "out")) for word in words]
    outcome = evaluate("--model", tiny_model_package.folder, *words)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert sentence in outcome.stderr and list(tmp_path.iterdir()) == []
