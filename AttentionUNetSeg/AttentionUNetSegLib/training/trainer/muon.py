"""Muon for the convolutions of a network, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from ...errors import BadInput

MOMENTUM = 0.95


class MuonWithAdamW(torch.optim.Optimizer):
    """Steps of even size in all directions of a convolution's weight, where Adam prefers few.

    A convolution's weight is taken as a matrix, one row an output channel, as K. Jordan et al. 2024 ("Muon: An
    optimizer for hidden layers in neural networks") do it; its update is the nearest orthogonal matrix to the momentum,
    as large as AdamW's usual one (J. Liu et al. 2025, "Muon is scalable for LLM training", section 2.2), so that rates
    that were found with AdamW hold. Norms, biases and outputs of a single channel are no such matrices: AdamW.

    Parameters
    ----------
    parameters : of a network that stays where it is: on its device, in its memory format.
    lr, weight_decay : of both, decoupled.

    Raises
    ------
    BadInput : this torch has no Muon (2.9 is the first that has).
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise BadInput(
                f"The optimizer muon needs torch 2.9 or newer; this is torch {torch.__version__}.",
                "Install a newer torch, or train with --optimizer adamw.",
            )
        parameters = list(parameters)
        super().__init__(parameters, {"lr": lr})
        self._matrices = [weight for weight in parameters if weight.ndim > 2 and min(weight.shape[:2]) > 1]
        known = {id(weight) for weight in self._matrices}
        # They share the weights' memory: a step on the one is a step on the other.
        self._views = [torch.nn.Parameter(_as_matrix(weight.detach(), weight)) for weight in self._matrices]
        self._muon = torch.optim.Muon(
            self._views, lr=lr, weight_decay=weight_decay, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(
            [weight for weight in parameters if id(weight) not in known], lr, weight_decay=weight_decay
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the rate of ``param_groups``."""
        if closure is not None:
            raise TypeError("Closures are not supported.")
        for group in self._muon.param_groups + self._adamw.param_groups:
            group["lr"] = self.param_groups[0]["lr"]
        for weight, view in zip(self._matrices, self._views, strict=True):
            view.grad = None if weight.grad is None else _as_matrix(weight.grad, weight)
        self._muon.step()
        self._adamw.step()
        for view in self._views:
            view.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._muon.load_state_dict(state_dict["muon"])
        self._adamw.load_state_dict(state_dict["adamw"])


def _as_matrix(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A tensor of a weight's shape as a matrix whose columns lie as in the memory of `like`: for itself, a view.

    The order of columns makes no difference to the update.
    """
    if not like.is_contiguous():
        tensor = tensor.movedim(1, -1)  # channels last
    return tensor.reshape(len(tensor), -1)
