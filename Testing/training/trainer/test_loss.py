"""What the loss punishes, and what it must not see."""

from __future__ import annotations

import pytest
import torch
from AttentionUNetSegLib.training.trainer.loss import PartialAnnotationLoss, PatchBatch


def made_batch(cases: int = 2, channels: int = 3, side: int = 8, **changes: torch.Tensor) -> PatchBatch:
    generator = torch.Generator().manual_seed(1)
    target = torch.zeros(cases, channels, side, side, side)
    target[..., 2:6, 2:6, 2:6] = 1
    values = {
        "image": torch.rand(cases, 1, side, side, side, generator=generator),
        "target": target,
        "certain": torch.ones(cases, 1, side, side, side),
        "known": torch.ones(cases, channels),
        "weight": torch.ones(cases),
        "smoothing": torch.zeros(cases),
    }
    return PatchBatch(**{**values, **changes})


def made_logits(batch: PatchBatch, levels: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    side, (cases, channels) = batch.target.shape[-1], batch.target.shape[:2]
    return tuple(
        torch.randn(cases, channels, *[side // 2**level] * 3, generator=generator).requires_grad_()
        for level in range(levels)
    )


def right(batch: PatchBatch, sign: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    finest = (batch.target * 2 - 1) * 20 * sign
    return finest, torch.nn.functional.avg_pool3d(finest, 2)


def test_small_for_the_truth_and_large_for_its_opposite():
    batch, loss = made_batch(), PartialAnnotationLoss([3, 1, 1])
    assert loss(right(batch), batch) < 0.01
    assert loss(right(batch, -1), batch) > 5
    assert loss(right(batch)[0], batch) == pytest.approx(float(loss(right(batch), batch)), abs=0.01)


def test_a_structure_that_is_not_annotated_gets_no_gradient_at_all():
    known = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    batch = made_batch(known=known)
    logits = made_logits(batch)
    PartialAnnotationLoss([3, 1, 1])(logits, batch).backward()
    for level in logits:
        assert (level.grad[0, 1] == 0).all()
        assert all(level.grad[case, channel].abs().sum() > 0 for case, channel in ((0, 0), (0, 2), (1, 1)))


def test_what_an_unknown_channel_says_changes_nothing():
    batch, loss = made_batch(known=torch.tensor([[1.0, 0.0, 1.0]] * 2)), PartialAnnotationLoss([3, 1, 1])
    logits = right(batch)
    wrong = tuple(level.clone() for level in logits)
    for level in wrong:
        level[:, 1] *= -1
    assert loss(logits, batch) == loss(wrong, batch)


def test_ignored_places_give_the_pancreas_no_gradient_and_the_others_theirs():
    certain = torch.ones(2, 1, 8, 8, 8)
    certain[0, :, :4] = 0
    batch = made_batch(certain=certain)
    logits = made_logits(batch)
    PartialAnnotationLoss([3, 1, 1])(logits, batch).backward()
    for level in logits:
        half = level.shape[2] // 2
        assert (level.grad[0, 0, :half] == 0).all()
        assert (level.grad[0, 0, half:] != 0).all()
        assert (level.grad[0, 1, :half] != 0).all() and (level.grad[1, 0] != 0).all()


def test_a_half_ignored_place_of_a_coarse_level_takes_its_target_from_the_other_half():
    target, certain = torch.zeros(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2)
    target[..., 1, :, :] = 1
    certain[..., 0, :, :] = 0  # the part without pancreas does not count
    batch = made_batch(1, 1, 2, target=target, certain=certain)
    fine = torch.full((1, 1, 2, 2, 2), 20.0)
    coarse = torch.full((1, 1, 1, 1, 1), 20.0)
    assert PartialAnnotationLoss([1])((fine, coarse), batch) < 0.01


def test_a_case_without_weight_in_the_batch_counts_as_if_it_were_not_there():
    batch = made_batch(weight=torch.tensor([1.0, 1e-12]))
    logits = made_logits(batch)
    alone = PatchBatch(*(getattr(batch, name)[:1] for name in PatchBatch.__dataclass_fields__))
    loss = PartialAnnotationLoss([3, 1, 1])
    assert loss(logits, batch).item() == pytest.approx(loss([level[:1] for level in logits], alone).item(), rel=1e-5)


def test_smoothed_labels_punish_certainty():
    certain, smoothed = made_batch(), made_batch(smoothing=torch.full((2,), 0.2))
    loss = PartialAnnotationLoss([1, 1, 1])
    assert loss(right(smoothed), smoothed) > loss(right(certain), certain) + 1
    moderate = tuple(level.clamp(-2.2, 2.2) for level in right(smoothed))  # sigmoid(2.2) = 0.9
    assert loss(moderate, smoothed) < loss(right(smoothed), smoothed)


def test_the_pancreas_counts_as_much_as_it_is_weighted():
    batch = made_batch(channels=2)
    logits = right(batch)[0]
    wrong_pancreas, wrong_other = logits.clone(), logits.clone()
    wrong_pancreas[:, 0] *= -1
    wrong_other[:, 1] *= -1
    loss = PartialAnnotationLoss([3, 1])
    base = float(loss(logits, batch))
    ratio = (float(loss(wrong_pancreas, batch)) - base) / (float(loss(wrong_other, batch)) - base)
    assert ratio == pytest.approx(3, rel=1e-4)


def test_parts_of_a_batch_whose_sums_are_added_give_the_loss_of_the_whole():
    batch = made_batch(cases=4, known=torch.tensor([[1.0, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]]))
    logits = [level.detach() for level in made_logits(batch)]
    whole = PartialAnnotationLoss([3, 1, 1])(logits, batch)
    parts = []
    for half in (slice(0, 2), slice(2, 4)):
        part = PatchBatch(*(getattr(batch, name)[half] for name in PatchBatch.__dataclass_fields__))
        collecting = PartialAnnotationLoss([3, 1, 1], lambda sums: parts.append(sums) or sums)
        collecting([level[half] for level in logits], part)
    together = PartialAnnotationLoss([3, 1, 1], lambda _: parts[0] + parts[1])(logits, batch)
    assert float(together) == pytest.approx(float(whole), rel=1e-6)
