"""Supervised attention: asked for in the gland and around it, and nothing is asked where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from AttentionUNetSegLib.inference import device
from AttentionUNetSegLib.training.trainer import TrainingReporter, train
from AttentionUNetSegLib.training.trainer.attention_loss import attention_loss
from AttentionUNetSegLib.training.trainer.checkpoint import initial_weights
from AttentionUNetSegLib.training.trainer.loss import PatchBatch


def batch() -> PatchBatch:
    target = torch.zeros(1, 1, 32, 32, 32)
    target[..., 14:18, 14:18, 14:18] = 1
    return PatchBatch.fully_labelled(torch.zeros(1, 1, 32, 32, 32), target)


def maps(inside: float, outside: float) -> list[torch.Tensor]:
    alphas = []
    for side in (32, 16, 8):
        alpha = torch.full((1, 1, side, side, side), outside)
        low, high = 10 * side // 32, -(-22 * side // 32)
        alpha[..., low:high, low:high, low:high] = inside
        alphas.append(alpha)
    return alphas


def test_looking_at_the_gland_costs_less_than_looking_away_or_everywhere():
    looks = ((0.95, 0.05), (0.5, 0.5), (0.05, 0.95))
    right, everywhere, away = (attention_loss(maps(*values), batch()) for values in looks)
    assert right < 0.1 < everywhere < away


def test_what_is_not_known_asks_for_nothing():
    whole = batch()
    unknown = replace(whole, known=torch.zeros(1, 1))
    uncertain = replace(whole, certain=torch.zeros_like(whole.certain))
    for nothing in (unknown, uncertain):
        assert float(attention_loss(maps(0.05, 0.95), nothing)) == pytest.approx(0, abs=1e-6)


def test_coarse_gates_are_left_alone():
    alphas = maps(0.95, 0.05)
    before = float(attention_loss(alphas, batch()))
    alphas[2] = 1 - alphas[2]
    assert float(attention_loss(alphas, batch())) == before


def test_a_run_with_supervised_attention_in_bfloat16_ends_with_a_package(scans, configured, monkeypatch):
    monkeypatch.setattr(device, "_cpu_computes_bfloat16", lambda: True)
    package = train(configured(attention_weight=0.2, precision="bfloat16", augmentation="wide"), scans)
    assert package.network["gate"] == "additive"


def test_a_processor_without_bfloat16_trains_in_float32_and_says_so(scans, configured, monkeypatch, tmp_path):
    monkeypatch.setattr(device, "_cpu_computes_bfloat16", lambda: False)
    notes = []

    class Reporter(TrainingReporter):
        def note(self, sentence):
            notes.append(sentence)

    asked = train(configured(out=tmp_path / "asked", precision="bfloat16"), scans, Reporter())
    assert any("no instructions for bfloat16" in note for note in notes)
    notes.clear()
    plain = train(configured(out=tmp_path / "plain"), scans, Reporter())
    assert not any("bfloat16" in note for note in notes)
    one, other = (initial_weights(package.folder) for package in (asked, plain))
    assert all(torch.equal(one[name], other[name]) for name in one)
