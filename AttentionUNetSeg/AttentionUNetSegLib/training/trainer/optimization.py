"""One optimizer step: precision, clipping, the moving average, and what happens to a step that went wrong."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...errors import InternalError
from ...inference.device import ComputeDevice
from ...network import AttentionUNet
from .attention_loss import attention_loss
from .configuration import TrainingConfiguration
from .loss import PartialAnnotationLoss, PatchBatch
from .processes import Processes
from .shallow_convolutions import ShallowConvolutionsInFloat32

LARGEST_GRADIENT = 5.0
# Not a gradient but an error of arithmetic: the step is skipped. NaN compares as larger, too.
ABSURD_GRADIENT = 1e3
MOST_SKIPPED_IN_A_ROW = 20
# Of the run: the rate rises from a tenth to its full value, because Adam's first estimates are poor.
WARM_UP = 0.02

_Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


class Optimization:
    """A network in training.

    Parameters
    ----------
    network : on its device, with its first weights; is trained in place.
    configuration : rate, schedule, optimizer, averaging.
    device : where the network is.
    processes : that share each batch.

    Attributes
    ----------
    averaged : moving average of the weights (`AveragedModel`); its batch statistics are the network's latest.
    skipped, skipped_in_a_row : steps that were left out because loss or gradient was not finite.
    """

    def __init__(
        self, network: AttentionUNet, configuration: TrainingConfiguration, device: ComputeDevice, processes: Processes
    ) -> None:
        self.network, self.configuration, self.device = network, configuration, device
        self.averaged = AveragedModel(network, multi_avg_fn=self._average)
        parameters = network.parameters()
        self.optimizer: torch.optim.Optimizer
        if configuration.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                parameters, configuration.rate, momentum=0.99, nesterov=True, weight_decay=configuration.weight_decay
            )
        else:
            self.optimizer = torch.optim.AdamW(parameters, configuration.rate, weight_decay=configuration.weight_decay)
        channel_weights = [configuration.pancreas_weight] + [1.0] * (len(configuration.structures) - 1)
        self.loss = PartialAnnotationLoss(channel_weights, processes.summed).to(device.device)
        # On a CPU only where asked for, and where it has instructions for it: emulated, a step takes 12 times as
        # long as in float32. MPS has no 3D convolution in it.
        on_cpu = device.kind == "cpu" and configuration.precision == "bfloat16" and device.dtype is torch.bfloat16
        self.reduced = device.dtype if device.kind == "cuda" or on_cpu else None
        self.scaler = _scaler(device, self.reduced is torch.float16)
        self.forward: torch.nn.Module = network
        if processes.count > 1:
            ids = [device.device.index] if device.kind == "cuda" else None
            self.forward = DistributedDataParallel(network, device_ids=ids)
        self.skipped = self.skipped_in_a_row = 0

    def step(self, batch: PatchBatch, fraction: float) -> float:
        """Take one step with the learning rate at this fraction (0..1) of the run; return the loss.

        Raises
        ------
        InternalError : 20 steps in a row had no finite loss or gradient.
        """
        rate = self.configuration.rate * rate_factor(self.configuration.schedule, fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        image = batch.image.contiguous(memory_format=self.device.memory_format)
        weight = self.configuration.attention_weight
        precision = torch.autocast(self.device.kind, self.reduced) if self.reduced else nullcontext()
        shallow = ShallowConvolutionsInFloat32() if self.reduced and self.device.kind == "cpu" else nullcontext()
        with precision, shallow:
            logits, coefficients = self.forward(image, return_attention=True) if weight else (self.forward(image), ())
        loss = self.loss(logits, batch)
        shown = loss.detach()
        if weight:
            loss = loss + weight * attention_loss(coefficients, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        value, norm = torch.stack((shown.float(), norm.float())).tolist()  # the one time that a GPU is waited for
        is_finite = math.isfinite(value) and norm < ABSURD_GRADIENT
        if is_finite:
            self.scaler.step(self.optimizer)
            self.averaged.update_parameters(self.network)
        self.scaler.update()
        self._count(is_finite)
        return value if is_finite else math.nan

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def state(self) -> dict[str, dict[str, Any]]:
        """The state dicts of a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, dict[str, Any]]) -> None:
        """Go on from `state`."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    def _count(self, is_finite: bool) -> None:
        if is_finite:
            self.skipped_in_a_row = 0
            return
        self.skipped += 1
        self.skipped_in_a_row += 1
        # The forward pass has spoilt the batch statistics; the average holds those of the last good step.
        with torch.no_grad():
            for own, good in zip(self.network.buffers(), self.averaged.module.buffers(), strict=True):
                own.copy_(good)
        if self.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise InternalError(
                f"The last {MOST_SKIPPED_IN_A_ROW} steps had no finite loss or gradient: the training has diverged.",
                "Start anew with a lower --rate; the checkpoint holds the last state before.",
            )

    def _average(self, averaged: _Tensors, current: _Tensors, count: torch.Tensor | int) -> None:
        # A short memory in the beginning, or the first, random weights would stay in it for long.
        decay = min(self.configuration.averaging, (1 + float(count)) / (10 + float(count)))
        get_ema_multi_avg_fn(decay)(list(averaged), list(current), count)


def _scaler(device: ComputeDevice, is_needed: bool) -> torch.amp.GradScaler:
    """Keeps float16 gradients from vanishing; does nothing where it is not needed."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.kind, enabled=is_needed)
    return torch.cuda.amp.GradScaler(enabled=is_needed)  # torch 2.2


def rate_factor(schedule: str, fraction: float) -> float:
    """Learning rate at `fraction` (0..1) of a run, as a part of the highest.

    "polynomial": ``(1 - fraction) ** 0.9`` (F. Isensee et al., Nature Methods 2021); "cosine": half a period
    (I. Loshchilov and F. Hutter, ICLR 2017); "halving": by half after each quarter of the run. All after a short linear
    rise.
    """
    fraction = min(max(fraction, 0.0), 1.0)
    rise = min(1.0, 0.1 + 0.9 * fraction / WARM_UP)
    falls = {
        "polynomial": (1 - fraction) ** 0.9,
        "cosine": 0.5 * (1 + math.cos(math.pi * fraction)),
        "halving": 0.5 ** int(4 * fraction),
    }
    return rise * max(falls[schedule], 1e-3)
