"""The committed phantom-only model: small, marked as what it is, and good on a phantom it never saw."""

from __future__ import annotations

import pytest
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import verify_weights
from AttentionUNetSegLib.training import evaluate_phantom_model
from AttentionUNetSegLib.training.phantom import make_phantom
from AttentionUNetSegLib.training.phantom_model import EVALUATION_SEEDS


@pytest.fixture(scope="module")
def package(phantom_model_package):
    return phantom_model_package


def test_it_cannot_be_mistaken_for_a_model_of_patients(package):
    assert package.is_phantom_only and not package.is_default
    assert "phantom only" in package.name and "phantom" in package.id
    assert "real CT" in package.manifest["limitations"]


def test_it_is_small_and_intact(package):
    verify_weights(package)
    assert package.weights_path.stat().st_size < 4e6
    assert len(package.network["features"]) == 5  # four gates


def test_its_manifest_tells_a_measured_dice(package):
    (entry,) = package.manifest["performance"]
    assert entry["metric"] == "Dice" and entry["n"] >= 10
    assert entry["mean"] >= 0.85 and entry["minimum"] <= entry["mean"]


def test_dice_on_an_unseen_phantom(package, monkeypatch):
    monkeypatch.setattr(evaluate_phantom_model, "SPACINGS_MM", ((1.6, 1.6, 3.0),))
    (report,) = evaluate_phantom_model.evaluate(package, EVALUATION_SEEDS[:1])
    assert report.dice > 0.8
    assert report.volume_ml == pytest.approx(report.true_volume_ml, rel=0.3)
    assert len(report.gates) == 4
    assert any(gate.high - gate.low > 0.1 for gate in report.gates)


def test_it_warns_loudly_on_anything_but_a_phantom(package):
    image = make_phantom(12, (5, 5, 5)).ct
    segmenter = Segmenter(package, "cpu")
    assert not any("phantom" in text for text in segmenter.segment(Volume(image, "x", True, ())).warnings)
    assert any("DO NOT USE" in text for text in segmenter.segment(Volume(image, "x", False, ())).warnings)
