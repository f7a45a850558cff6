"""Configurations side by side."""

from __future__ import annotations

import pytest
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.evaluation import compare_evaluations, comparison_markdown, read_evaluation
from AttentionUNetSegLib.training.evaluation.tested_model import describe_model, kind_of_training_data


def document(gate: str, dices: dict[str, float], labels_by: str = "manual", **run: object) -> dict:
    cases = [
        {
            "name": name, "patient": name, "labels_by": labels_by, "dice": dice, "nsd": dice, "is_failure": dice < 0.3,
            "hd95_mm": None if dice == 0 else 20 - 10 * dice,
        }
        for name, dice in dices.items()
    ]  # fmt: skip
    model = {
        "id": gate, "gate": gate, "training_data": "synthetic only", "spacing_mm": [2.0, 2.0, 2.0],
        "patch": [40, 64, 64],
        "features": [16, 32], "parameters": 1_234_567, "training_steps": 5000, "training_minutes": 90.5,
        "weights_sha256": "0" * 64,
    }  # fmt: skip
    return {
        "model": model,
        "groups": [],
        "cases": cases,
        "run": {"threshold": 0.5, "tta": False, "keep_largest": False, **run},
    }


def test_differences_are_paired_by_scan():
    first = document("additive", {"a": 0.8, "b": 0.6, "c": 0.9, "only here": 0.1})
    second = document("none", {"c": 0.85, "b": 0.55, "a": 0.75})
    comparison = compare_evaluations({"gates": first, "plain": second})
    (group,) = comparison["groups"]
    gates, plain = group["rows"]
    assert group["cases"] == 3 and list(gates["per_case"]) == ["a", "b", "c"]
    assert gates["dice"]["mean"] == pytest.approx(0.7667, abs=1e-4) and gates["dice"]["difference"] is None
    difference = plain["dice"]["difference"]
    assert difference["mean"] == pytest.approx(-0.05) and difference["interval_95"] == pytest.approx([-0.05, -0.05])
    low, high = plain["dice"]["interval_95"]
    assert high - low > 0.1, "the interval of the mean is wide although the paired difference is certain"
    assert "1 of gates" in comparison["remarks"][0] and "Only 3 patients" in " ".join(group["remarks"])
    text = comparison_markdown(comparison)
    row = next(line for line in text.splitlines() if line.startswith("| plain"))
    for cell in ("none", "synthetic only", "2 x 2 x 2", "40 x 64 x 64", "1.23 M", "5000", "90.5", "-0.050"):
        assert f"| {cell}" in row
    assert "| b | 0.600 | 0.550 |" in text


def test_agreement_is_called_so_and_undefined_values_are_left_out():
    first = document("additive", {"a": 0.8, "b": 0.0}, "OtherNet")
    second = document("none", {"a": 0.7, "b": 0.5}, "OtherNet", tta=True)
    comparison = compare_evaluations({"one": first, "two": second})
    (group,) = comparison["groups"]
    assert group["metrics"]["dice"] == "Dice against labels by OtherNet"
    assert group["rows"][0]["hd95_mm"]["n"] == 1 and group["rows"][1]["hd95_mm"]["difference"]["n"] == 1
    assert group["rows"][0]["failures"] == 1
    assert "not run alike: tta" in " ".join(comparison["remarks"])
    assert "## Dice against labels by OtherNet" in comparison_markdown(comparison)


def test_what_cannot_be_compared_is_refused(tmp_path):
    first, other = document("additive", {"a": 0.8}), document("none", {"b": 0.8})
    with pytest.raises(BadInput, match="no scan in common"):
        compare_evaluations({"one": first, "two": other})
    with pytest.raises(BadInput, match="no scan in common"):  # the same scan with labels by somebody else
        compare_evaluations({"one": first, "two": document("none", {"a": 0.8}, "OtherNet")})
    with pytest.raises(BadInput, match="two evaluations"):
        compare_evaluations({"one": first})
    (tmp_path / "evaluation.json").write_text("[1, 2")
    with pytest.raises(BadInput, match="as JSON"):
        read_evaluation(tmp_path)
    (tmp_path / "evaluation.json").write_text("[1, 2]")
    with pytest.raises(BadInput, match="is no evaluation"):
        read_evaluation(tmp_path)


def test_facts_come_from_the_card(tiny_model_package):
    manifest = tiny_model_package.manifest
    data = {"name": "x", "n": 1, "licence": "x", "attribution": "x"}
    summary = "719 steps of 2 patches of 32x48x64 voxels (KJI) from 80 phantoms, AdamW; 16 minutes with 1 CPU thread."
    training = {"summary": summary, "data": [{**data, "labels_by": "the phantom itself"}]}
    package = type(tiny_model_package)(tiny_model_package.folder, {**manifest, "training": training})
    facts = describe_model(package)
    assert (facts["training_steps"], facts["training_minutes"], facts["patch"]) == (719, 16, [32, 48, 64])
    assert facts["training_data"] == "synthetic only"
    training["data"] += [{**data, "labels_by": "manual"}]
    assert kind_of_training_data(package.manifest) == "synthetic and real"
    del training["data"][0]
    assert kind_of_training_data(package.manifest) == "real only"
