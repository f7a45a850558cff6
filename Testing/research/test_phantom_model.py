"""The committed phantom-only model: small, marked as what it is, and good on a phantom it never saw."""

from __future__ import annotations

import pytest
from AttentionUNetSegLib.imaging import PHANTOM_KEY, Volume
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import verify_weights
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.training.labelled_scan import LabelledScan, LoadedScan

from research.phantom_model import EVALUATION_SEEDS


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
    entries = {entry["metric"]: entry for entry in package.manifest["performance"]}
    dice = entries["Dice"]
    assert dice["n"] >= 10 and dice["mean"] >= 0.85 and dice["minimum"] <= dice["mean"]
    assert f"phantom:{EVALUATION_SEEDS[0]}-{EVALUATION_SEEDS[-1]}" in dice["command"]


def test_dice_on_an_unseen_phantom(package):
    pytest.importorskip("monai", reason="the extra `train` is not installed")
    from AttentionUNetSegLib.training.evaluation import evaluate_scans

    phantom = make_phantom(EVALUATION_SEEDS[0], (1.6, 1.6, 3.0))
    phantom.ct.SetMetaData(PHANTOM_KEY, "1")
    loaded = LoadedScan(phantom.ct, {"pancreas": phantom.pancreas})
    scan = LabelledScan("unseen", "unseen", lambda: loaded, "synthetic")
    (measured,) = evaluate_scans(Segmenter(package, "cpu"), [scan])
    metrics = measured.result.metrics
    assert metrics.dice > 0.8 and metrics.nsd > 0.8 and metrics.hd95_mm < 10
    assert abs(metrics.volume_error_percent) < 30
    assert len(measured.result.gates) == 4
    assert any(gate.high - gate.low > 0.1 for gate in measured.result.gates)


def test_it_warns_loudly_on_anything_but_a_phantom(package):
    image = make_phantom(12, (5, 5, 5)).ct
    segmenter = Segmenter(package, "cpu")
    assert not any("phantom" in text for text in segmenter.segment(Volume(image, "x", True, ())).warnings)
    assert any("DO NOT USE" in text for text in segmenter.segment(Volume(image, "x", False, ())).warnings)
