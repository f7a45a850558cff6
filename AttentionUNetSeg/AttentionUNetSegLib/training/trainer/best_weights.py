"""The averaged weights that did best of all validations of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...network import AttentionUNet

_STATE = ("step", "validations", "scores", "weights")


class BestWeights:
    """What a run exports where it validates: the weights that did best, not the last ones.

    The Dice by which they were chosen flatters them a little, the more so the fewer patients it is the mean of: a
    figure for a paper takes patients that no choice was made on.

    Parameters
    ----------
    state : `state` of an earlier process of the same run, as its checkpoint holds it.

    Attributes
    ----------
    step : after which they were taken; 0 where nothing was validated yet.
    scores : Dice of each validation case at that step.
    validations : how many there were.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.step, self.validations = 0, 0
        self.scores: list[float] = []
        self._weights: dict[str, torch.Tensor] = {}
        if state:
            self.step, self.validations, self.scores, self._weights = (state[name] for name in _STATE)

    @property
    def dice(self) -> float:
        """Mean of the scores; NaN where nothing was validated yet."""
        return sum(self.scores) / len(self.scores) if self.scores else float("nan")

    @property
    def state(self) -> dict[str, Any] | None:
        """For the checkpoint: numbers and tensors."""
        if not self.validations:
            return None
        return dict(zip(_STATE, (self.step, self.validations, self.scores, self._weights), strict=True))

    def offer(self, step: int, scores: Sequence[float], network: torch.nn.Module) -> None:
        """Count a validation, and keep a copy of the weights where none was better; a tie goes to the later."""
        self.validations += 1
        if self.validations == 1 or sum(scores) >= sum(self.scores):
            self.step, self.scores = step, [float(score) for score in scores]
            self._weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}

    def put_into(self, network: AttentionUNet) -> AttentionUNet:
        """The network, with the best weights."""
        network.load_state_dict(self._weights)
        return network
