"""Cases, patches, loss and the training loop of the phantom-only model; small, so that it takes seconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.models import load_package, verify_weights
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.trainer.loss import PartialAnnotationLoss, PatchBatch

from research import train_phantom_model
from research.phantom_cases import PatchSampler, TrainingCase, training_case
from research.phantom_model import EVALUATION_SEEDS, NETWORK, TRAINING_SEEDS, write_phantom_model


@pytest.fixture(scope="module")
def case() -> TrainingCase:
    return training_case(31, (6.0, 6.0, 6.0), (-160.0, 240.0))


def test_a_case_holds_the_body_and_fractions_of_pancreas(case):
    assert case.intensities.shape == case.target.shape
    assert case.intensities.dtype == case.target.dtype == np.float32
    assert case.intensities.min() >= 0 and case.intensities.max() <= 1
    assert 45 < case.target.sum() * 0.216 < 130  # mL
    fractions = case.target[(case.target > 0.1) & (case.target < 0.9)]
    assert len(fractions) > 50


def test_patches_have_their_size_and_most_hold_pancreas(case):
    sampler = PatchSampler([case], (16, 24, 24), np.random.default_rng(0))
    images, targets = sampler.batch(16)
    assert images.shape == targets.shape == (16, 1, 16, 24, 24)
    assert images.min() >= 0 and images.max() <= 1
    assert (targets.amax(dim=(1, 2, 3, 4)) > 0.5).sum() >= 10
    assert not torch.equal(images[0], images[1])


def test_a_patch_larger_than_the_field_is_filled_up(case):
    images, _ = PatchSampler([case], (64, 24, 24), np.random.default_rng(0)).batch(1)
    assert images.shape == (1, 1, 64, 24, 24)


def test_training_lowers_the_loss_and_its_model_can_be_packed(case, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_phantom_model, "PATCH", (16, 32, 32))
    sampler = PatchSampler([case], (16, 32, 32), np.random.default_rng(1))
    images, targets = sampler.batch(4)
    batch, loss = PatchBatch.fully_labelled(images, targets), PartialAnnotationLoss([1])
    torch.manual_seed(0)
    untrained = build_network(NETWORK)
    network, steps = train_phantom_model.train([case], steps=20, minutes=5)
    assert steps == 20 and not network.training
    assert "step   20  loss" in capsys.readouterr().out
    with torch.inference_mode():
        before, after = (loss(n(images), batch) for n in (untrained.eval(), network))
    assert after < before

    package = write_phantom_model(tmp_path / "pancreas-phantom", network.state_dict(), "Test.", "none")
    verify_weights(package)
    stored = torch.load(load_package(package.folder).weights_path, weights_only=True)
    assert set(stored) == set(build_network(NETWORK).state_dict())
    assert all(t.dtype is torch.float16 for t in stored.values() if t.is_floating_point())


def test_evaluation_never_sees_a_training_phantom():
    assert not set(TRAINING_SEEDS) & set(EVALUATION_SEEDS)
    assert len(EVALUATION_SEEDS) >= 10
