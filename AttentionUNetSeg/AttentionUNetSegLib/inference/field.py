"""The network over a whole field of view: in one pass where memory allows it, else in overlapping tiles.

Tiles are blended with a Gaussian importance map: logits and attention coefficients with the same weights. Tiles that
hold nothing but air are not computed. What happens when memory is short says `fallback`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .device import ComputeDevice, repeatable
from .fallback import Attempt, Fallback
from .forward_pass import ForwardPass, multiply_adds, peak_bytes
from .fusion import FusedGate, FusedNetwork
from .memory import memory_budget, release_cached_memory
from .observer import Observer, SilentObserver, StageProgress
from .queued_progress import QueuedProgress, brought_home, marks_of
from .tiling import Shape, importance_map, padded_shape, smallest_tile, tile_shape, tiles

# Logits of a place that was not computed, for those who ask for logits: far below every threshold.
AIR_LOGIT = -20.0


@dataclass
class FieldPrediction:
    """What the network says about a field; tensors lie where the field lay.

    Attributes
    ----------
    logits : Tensor
        (out_channels, K, J, I), float32, the field's own shape.
    attention : list[tuple[int, Tensor]]
        Per gate, gate 1 (finest) first: how often its grid is halved against the field's, and its coefficients (K_n,
        J_n, I_n), float32 in 0..1.
    tile_count : int
        1 for a single pass over the whole field, else the tiles computed.
    computed : Tensor | None
        (K, J, I), bool: where the network looked. None: everywhere.
    """

    logits: Tensor
    attention: list[tuple[int, Tensor]]
    tile_count: int
    computed: Tensor | None = None

    def probability(self, channel: int, is_softmax: bool = False) -> Tensor:
        """Probability (K, J, I) of one channel, float32; 0, of every channel, where the network did not look."""
        values = torch.softmax(self.logits, dim=0)[channel] if is_softmax else torch.sigmoid(self.logits[channel])
        return values if self.computed is None else values.masked_fill_(~self.computed, 0.0)


@dataclass
class FieldPredictor:
    """Predicts fields with one network; begins on one device and falls back as `fallback` says.

    Attributes
    ----------
    make_network : Callable[[ComputeDevice], FusedNetwork]
        Makes the fused network for a device, when it is needed there.
    device : ComputeDevice
        Where the network computes, or did last.
    memory_limit_mb : float | None
        Upper limit for one forward pass in MB, or None.
    overlap : float
        Overlap of neighbouring tiles as a part of their side.
    """

    make_network: Callable[[ComputeDevice], FusedNetwork]
    device: ComputeDevice
    memory_limit_mb: float | None = None
    overlap: float = 0.5
    fallback: Fallback = field(init=False)
    _network: FusedNetwork | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.fallback = Fallback(self.device)

    @property
    def network(self) -> FusedNetwork:
        """The network on `device`, brought there if it is not yet; raises what the device says when that fails."""
        if self._network is None:
            self._network = self.make_network(self.device)
        return self._network

    def predict(
        self, intensities: np.ndarray | Tensor, observer: Observer, progress: StageProgress, go_on: bool = False
    ) -> FieldPrediction:
        """Logits and attention coefficients of a field.

        Parameters
        ----------
        intensities : np.ndarray | Tensor
            (K, J, I), float32, 0..1 (see `imaging.HUWindow`); 0 is air and what lies outside.
        observer : Observer
            Hears the warnings.
        progress : StageProgress
            The network's share of the progress, counted in multiply-adds.
        go_on : bool
            Begin with the device and the tiles that the last field ended with: for passes over one CT.

        Raises
        ------
        Cancelled
            The observer asked for it.
        OutOfMemory
            Not even the smallest tile fits into main memory.
        """
        values = torch.as_tensor(intensities)
        return self.fallback.run(lambda attempt: self._predict(attempt, values, progress), observer, go_on)

    def warm_up(self) -> None:
        """Compute the smallest field on `device`, without falling back; raises what the device raises."""
        nothing, silent = torch.zeros((2 * self.network.stride,) * 3), SilentObserver()
        self._predict(Attempt(self.device), nothing, StageProgress(silent, "", 0.0, 1.0))

    def _predict(self, attempt: Attempt, intensities: Tensor, progress: StageProgress) -> FieldPrediction:
        self._move_to(attempt.device)
        plan = self._plan(intensities, attempt.most_voxels)
        attempt.tile, attempt.is_smallest = plan.tile, smallest_tile(plan.tile, self.network.stride)
        progress.restart(plan.multiply_adds)
        with repeatable():
            return self._run(intensities, plan, progress)

    def _move_to(self, device: ComputeDevice) -> None:
        if device != self.device:
            left, self.device, self._network = self.device, device, None
            release_cached_memory(left)

    def _plan(self, intensities: Tensor, most_voxels: float) -> _Plan:
        """Tiles that fit into the memory budget and have at most `most_voxels` voxels."""
        network, stride = self.network, self.network.stride
        budget = memory_budget(self.device, self.memory_limit_mb)

        def fits(sides: Shape) -> bool:
            return math.prod(sides) <= most_voxels and peak_bytes(network, sides, self.device) <= budget

        shape = padded_shape(intensities.shape, stride)
        tile = tile_shape(shape, stride, fits)
        corners = tiles(shape, tile, stride, self.overlap)
        if len(corners) > 1:
            corners = [corner for corner in corners if _holds_more_than_air(intensities, corner, tile)]
        return _Plan(shape, tile, corners, multiply_adds(network, tile) * max(len(corners), 1))

    def _run(self, intensities: Tensor, plan: _Plan, progress: StageProgress) -> FieldPrediction:
        queued = QueuedProgress(progress, marks_of(self.device.device)) if self.device.kind == "cuda" else None
        forward = ForwardPass(self.network, self.device, queued.advance if queued else progress.advance)
        shape, place = intensities.shape, intensities.device
        if plan.tile == plan.shape:
            logits, coefficients = forward.run(_tile_tensor(intensities, (0, 0, 0), plan.tile))
            if queued:
                queued.finish()
            levels = self._gate_levels()
            maps = [_cropped(alpha, shape, level) for level, alpha in zip(levels, coefficients, strict=True)]
            logits, *maps = brought_home([_cropped(logits, shape, 0), *maps], place)
            return FieldPrediction(logits, list(zip(levels, maps, strict=True)), 1)
        blend = _Blend(plan.shape, importance_map(plan.tile))
        for corner in plan.corners:
            logits, coefficients = forward.run(_tile_tensor(intensities, corner, plan.tile))
            blend.add(logits.cpu().numpy(), coefficients_of=self._per_gate(coefficients), corner=corner)
        blended, alphas, computed = blend.finished(self.network.out_channels, self._gate_levels())

        def cut(array: np.ndarray, level: int) -> Tensor:
            return _cropped(torch.from_numpy(array), shape, level).to(place)

        attention = [(level, cut(alpha, level)) for level, alpha in alphas]
        return FieldPrediction(cut(blended, 0), attention, len(plan.corners), cut(computed, 0))

    def _gate_levels(self) -> list[int]:
        """How often each gate's grid is halved against the field's."""
        gates = [gate for gate in self.network.gates if isinstance(gate, FusedGate)]
        return [level + gate.is_grid for level, gate in enumerate(gates)]

    def _per_gate(self, coefficients: list[Tensor]) -> list[tuple[int, Tensor]]:
        return list(zip(self._gate_levels(), coefficients, strict=True))


@dataclass(frozen=True)
class _Plan:
    shape: Shape
    tile: Shape
    corners: list[Shape]
    multiply_adds: float


class _Blend:
    """Weighted means of overlapping tiles, on the field's grid and on each gate's."""

    def __init__(self, shape: tuple[int, int, int], importance: np.ndarray) -> None:
        self.shape, self.importances = shape, {0: importance}
        self.sums: dict[object, np.ndarray] = {}
        self.weights: dict[int, np.ndarray] = {}

    def add(
        self, logits: np.ndarray, coefficients_of: list[tuple[int, torch.Tensor]], corner: tuple[int, int, int]
    ) -> None:
        """Add one tile: logits (C, K, J, I) and [(level, coefficients (K_n, J_n, I_n)), ...] at `corner`."""
        self._add("logits", logits, corner, 0)
        for number, (level, alpha) in enumerate(coefficients_of):
            self._add(number, alpha.cpu().numpy(), corner, level)
        for level in {0, *(level for level, _ in coefficients_of)}:
            where = _window(corner, self.importances[0].shape, level)
            self._array(self.weights, level, (), level)[where] += self._importance(level)

    def finished(self, channels: int, levels: list[int]) -> tuple[np.ndarray, list[tuple[int, np.ndarray]], np.ndarray]:
        """Blended logits, [(level, coefficients), ...], and where any tile was."""
        for level in {0, *levels}:
            self._array(self.weights, level, (), level)
        logits = self._array(self.sums, "logits", (channels,), 0)
        covered = self.weights[0] > 0
        np.divide(logits, self.weights[0], out=logits, where=covered)
        logits[:, ~covered] = AIR_LOGIT
        attention = []
        for number, level in enumerate(levels):
            alpha, weight = self._array(self.sums, number, (), level), self.weights[level]
            np.divide(alpha, weight, out=alpha, where=weight > 0)
            attention.append((level, alpha))
        return logits, attention, covered

    def _add(self, key: object, values: np.ndarray, corner: tuple[int, int, int], level: int) -> None:
        total = self._array(self.sums, key, values.shape[:-3], level)
        window = _window(corner, self.importances[0].shape, level)
        total[(Ellipsis,) + window] += values * self._importance(level)

    def _importance(self, level: int) -> np.ndarray:
        """The tile's importance map on a grid `level` times halved: the mean of the places that each place covers."""
        if level not in self.importances:
            k, j, i = (side // 2**level for side in self.importances[0].shape)
            factor = 2**level
            parts = self.importances[0].reshape(k, factor, j, factor, i, factor)
            self.importances[level] = parts.mean(axis=(1, 3, 5))
        return self.importances[level]

    def _array(self, store: dict[Any, np.ndarray], key: object, channels: tuple[int, ...], level: int) -> np.ndarray:
        if key not in store:
            store[key] = np.zeros((*channels, *(length // 2**level for length in self.shape)), np.float32)
        return store[key]


def _window(corner: tuple[int, int, int], tile: tuple[int, ...], level: int) -> tuple[slice, ...]:
    factor = 2**level
    return tuple(slice(start // factor, (start + side) // factor) for start, side in zip(corner, tile, strict=True))


def _holds_more_than_air(intensities: Tensor, corner: Shape, tile: Shape) -> bool:
    return bool((intensities[_window(corner, tile, 0)] > 0).any())


def _tile_tensor(intensities: Tensor, corner: Shape, tile: Shape) -> Tensor:
    """(1, 1, K, J, I) tensor of one tile; beyond the field there is air."""
    part = intensities[_window(corner, tile, 0)]
    missing = [(0, side - length) for side, length in zip(tile, part.shape, strict=True)]
    return F.pad(part, [amount for pair in reversed(missing) for amount in pair])[None, None]


def _cropped(values: Tensor, shape: Sequence[int], level: int) -> Tensor:
    """The part of a tensor, `level` times halved, that covers a field of `shape`."""
    return values[(Ellipsis,) + tuple(slice(0, -(-length // 2**level)) for length in shape)]
