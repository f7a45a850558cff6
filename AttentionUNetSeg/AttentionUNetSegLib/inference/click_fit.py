"""How much each of a few known directions should be followed, so that the clicks are met at the lowest cost elsewhere.

The loss has the three parts of back-propagating refinement (Jang and Kim, "Interactive Image Segmentation via
Backpropagating Refinement Scheme", CVPR 2019; Sofiiuk et al., "f-BRS", CVPR 2020): the clicked places, everything else,
which should stay as it was, and the size of the change. As the change is a sum of directions that are known, no pass of
the network is needed to evaluate it. It is minimised with L-BFGS from no change, in double precision on the CPU, so
that the outcome depends on the set of clicks only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_EVALUATIONS = 40
# Log odds that a click asks for; beyond it there is little to gain.
MARGIN = 2.5
# Weights: of 1 mL of tissue that is turned from certain foreground to certain background or back, and of the squared
# amounts. Chosen on phantoms 1 and 2, see Testing/benchmarks/refinement.py.
HELD_PER_ML = 2.0
PROXIMITY = 0.02


@dataclass(frozen=True)
class Aim:
    """What clicks ask of N places; float64.

    Attributes
    ----------
    base : (N,), log odds before.
    balls : (clicks, N), each sums to 1: where each click is measured.
    signs : (clicks,), 1 for foreground, -1 for background.
    held : (N,), mL that each place counts for in the part of the loss that holds it as it was.
    raised, lowered : (N,), share of a positive and of a negative change that is applied: what fades it out.
    """

    base: Tensor
    balls: Tensor
    signs: Tensor
    held: Tensor
    raised: Tensor
    lowered: Tensor

    def applied(self, change: Tensor) -> Tensor:
        """What is left of a change of log odds."""
        share = torch.where(change > 0, self.raised, self.lowered)
        # No change yet: it may become either, and must have a gradient.
        return change * torch.where(change == 0, torch.maximum(self.raised, self.lowered), share)


@dataclass(frozen=True)
class Fit:
    """What was found: how far to go in each direction, the evaluations it took, the loss before and after."""

    amounts: Tensor
    evaluations: int
    losses: tuple[float, float]


def fit_clicks(aim: Aim, start: Tensor, directions: Tensor, largest: float | None = None) -> Fit:
    """Find the amounts.

    Parameters
    ----------
    aim : what the clicks ask.
    start : (N,), a change of log odds that is there already.
    directions : (N, D), the change that each amount of 1 adds.
    largest : amounts beyond -largest..largest are cut off; None: no limit.
    """
    amounts = torch.zeros(directions.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [amounts], lr=1.0, max_iter=MOST_EVALUATIONS, max_eval=MOST_EVALUATIONS, line_search_fn="strong_wolfe"
    )
    held = torch.sigmoid(aim.base)
    seen: list[tuple[float, Tensor]] = []

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        change = start + directions @ amounts
        odds = aim.base + aim.applied(change)
        # Not faded: a change of the wrong sign at a click must have a gradient too.
        clicked = aim.signs * (aim.balls @ (aim.base + change))
        missed = F.softplus(2.0 * (MARGIN - clicked)).sum() / (2.0 * MARGIN)
        changed = (aim.held * (torch.sigmoid(odds) - held) ** 2).sum()
        loss = missed + HELD_PER_ML * changed + PROXIMITY * (amounts**2).sum()
        if amounts.numel():
            loss.backward()
        seen.append((float(loss.detach()), amounts.detach().clone()))
        return loss

    if amounts.numel():
        optimiser.step(evaluate)
    else:  # a network without gates
        evaluate()
    loss, best = min(seen, key=lambda pair: pair[0])
    best = best if largest is None else best.clamp(-largest, largest)
    return Fit(best, len(seen), (seen[0][0], loss))
