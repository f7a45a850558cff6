"""Muon on convolutions: every direction of a weight's matrix moves alike, in place, in either memory layout."""

from __future__ import annotations

import pytest
import torch
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.trainer.muon import MuonWithAdamW

RATE = 0.01


def _network(memory_format: torch.memory_format) -> torch.nn.Module:
    torch.manual_seed(0)
    layers = (torch.nn.Conv3d(4, 8, 3, padding=1, bias=False), torch.nn.BatchNorm3d(8), torch.nn.Conv3d(8, 6, 1),
              torch.nn.Conv3d(6, 1, 1))  # fmt: skip
    return torch.nn.Sequential(*layers).to(memory_format=memory_format)


def _stepped(memory_format: torch.memory_format) -> tuple[list[torch.Tensor], torch.nn.Module]:
    network = _network(memory_format)
    before = [weight.detach().clone() for weight in network.parameters()]
    optimizer = MuonWithAdamW(network.parameters(), lr=1.0, weight_decay=0.0)
    optimizer.param_groups[0]["lr"] = RATE  # as the schedule sets it
    for weight in network.parameters():
        weight.grad = torch.randn(weight.shape).contiguous(
            memory_format=memory_format if weight.ndim > 2 else torch.contiguous_format
        )
    optimizer.step()
    return before, network


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_a_convolution_moves_alike_in_all_directions_and_the_rest_as_with_adamw(memory_format):
    before, network = _stepped(memory_format)
    for old, weight in zip(before, network.parameters(), strict=True):
        change = (weight.detach() - old).reshape(len(old), -1)
        if old.ndim > 2 and len(old) > 1:
            # The orthogonal factor, 0.2 sqrt(longer side) large; five Newton-Schulz steps leave 0.7 to 1.2 of it.
            sizes = torch.linalg.svdvals(change) / (RATE * 0.2 * max(change.shape) ** 0.5)
            assert sizes.min() > 0.5 and sizes.max() < 1.4
        else:
            assert change.abs().max().item() == pytest.approx(RATE, rel=0.1)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_the_layout_in_memory_makes_no_difference():
    plain, channels_last = (_stepped(each)[1] for each in (torch.contiguous_format, torch.channels_last_3d))
    for one, other in zip(plain.parameters(), channels_last.parameters(), strict=True):
        assert torch.allclose(one, other, atol=RATE * 0.05)


def test_a_torch_without_muon_says_so(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(BadInput, match=r"torch 2\.9"):
        MuonWithAdamW(_network(torch.contiguous_format).parameters(), lr=1.0, weight_decay=0.0)
