"""The network over a whole field of view: in one pass where memory allows it, else in overlapping tiles.

Tiles are blended with a Gaussian importance map: logits and attention coefficients with the same weights. When a
device runs out of memory the tiles become smaller, and in the end the CPU computes; each step is a warning, never a
crash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..errors import Cancelled, OutOfMemory
from .device import ComputeDevice, cpu_device
from .forward_pass import ForwardPass, multiply_adds, peak_bytes
from .fusion import FusedNetwork
from .memory import memory_budget
from .observer import Observer, StageProgress
from .tiling import importance_map, padded_shape, smallest_tile, tile_shape, tiles

# Logit of a place that was not computed because there is only air: a probability of 2e-9.
AIR_LOGIT = -20.0


@dataclass
class FieldPrediction:
    """What the network says about a field.

    Attributes
    ----------
    logits : (out_channels, K, J, I), float32, the field's own shape.
    attention : per gate, gate 1 (finest) first: how often its grid is halved against the field's, and its
        coefficients (K_n, J_n, I_n), float32 in 0..1.
    tile_count : 1 for a single pass over the whole field, else the tiles computed.
    """

    logits: np.ndarray
    attention: list[tuple[int, np.ndarray]]
    tile_count: int


@dataclass
class FieldPredictor:
    """Predicts fields with one network on one device; falls back to smaller tiles and to the CPU.

    Attributes
    ----------
    make_network : makes the fused network for a device; called again when the CPU takes over.
    device : where to compute. After a failure the CPU takes over: for one prediction where memory was short (it
        may be free again next time), for good where the device cannot run the network at all.
    memory_limit_mb : upper limit for one forward pass in MB, or None.
    overlap : overlap of neighbouring tiles as a part of their side.
    """

    make_network: Callable[[ComputeDevice], FusedNetwork]
    device: ComputeDevice
    memory_limit_mb: float | None = None
    overlap: float = 0.5
    network: FusedNetwork = field(init=False)
    preferred: ComputeDevice = field(init=False)

    def __post_init__(self) -> None:
        self.preferred = self.device
        self.network = self.make_network(self.device)

    def predict(self, intensities: np.ndarray, observer: Observer, progress: StageProgress) -> FieldPrediction:
        """Logits and attention coefficients of a field.

        Parameters
        ----------
        intensities : (K, J, I), float32, 0..1 (see `imaging.HUWindow`); 0 is air and what lies outside.
        observer : hears the warnings.
        progress : the network's share of the progress, counted in multiply-adds.

        Raises
        ------
        Cancelled : the observer asked for it.
        OutOfMemory : not even the smallest tile fits into main memory.
        """
        self._move_to(self.preferred)
        largest = math.inf
        while True:
            plan = self._plan(intensities, largest)
            progress.restart(plan.multiply_adds)
            try:
                return self._run(intensities, plan, progress)
            except Cancelled:
                raise
            except (RuntimeError, MemoryError, NotImplementedError) as error:
                largest = self._after_failure(error, plan, observer)

    def _plan(self, intensities: np.ndarray, largest: float) -> _Plan:
        """Tiles that fit into the memory budget and have at most `largest` voxels."""
        network, stride = self.network, self.network.stride
        budget = memory_budget(self.device, self.memory_limit_mb)

        def fits(sides: tuple[int, int, int]) -> bool:
            return math.prod(sides) <= largest and peak_bytes(network, sides, self.device) <= budget

        shape = padded_shape(intensities.shape, stride)
        tile = tile_shape(shape, stride, fits)
        corners = tiles(shape, tile, stride, self.overlap)
        if len(corners) > 1:
            corners = [corner for corner in corners if _holds_more_than_air(intensities, corner, tile)]
        return _Plan(shape, tile, corners, multiply_adds(network, tile) * max(len(corners), 1))

    def _run(self, intensities: np.ndarray, plan: _Plan, progress: StageProgress) -> FieldPrediction:
        forward = ForwardPass(self.network, self.device, self._reporter(progress))
        if plan.tile == plan.shape:
            logits, coefficients = forward.run(_tile_tensor(intensities, (0, 0, 0), plan.tile))
            return FieldPrediction(
                _cropped(logits.cpu().numpy(), intensities.shape, 0),
                [(n, _cropped(alpha.cpu().numpy(), intensities.shape, n)) for n, alpha in self._per_gate(coefficients)],
                1,
            )
        blend = _Blend(plan.shape, importance_map(plan.tile))
        for corner in plan.corners:
            logits, coefficients = forward.run(_tile_tensor(intensities, corner, plan.tile))
            blend.add(logits.cpu().numpy(), coefficients_of=self._per_gate(coefficients), corner=corner)
        logits, attention = blend.finished(self.network.out_channels, self._gate_levels())
        return FieldPrediction(
            _cropped(logits, intensities.shape, 0),
            [(n, _cropped(alpha, intensities.shape, n)) for n, alpha in attention],
            len(plan.corners),
        )

    def _gate_levels(self) -> list[int]:
        """How often each gate's grid is halved against the field's."""
        gates = [gate for gate in self.network.gates if hasattr(gate, "is_grid")]
        return [level + gate.is_grid for level, gate in enumerate(gates)]

    def _per_gate(self, coefficients: list) -> list[tuple[int, torch.Tensor]]:
        return list(zip(self._gate_levels(), coefficients, strict=True))

    def _reporter(self, progress: StageProgress) -> Callable[[float], None]:
        if self.device.kind != "cuda":
            return progress.advance

        def advance(units: float) -> None:
            # Kernels are only queued when they return: without waiting, progress would run ahead of the work.
            torch.cuda.synchronize(self.device.device)
            progress.advance(units)

        return advance

    def _after_failure(self, error: Exception, plan: _Plan, observer: Observer) -> float:
        """Voxels that a tile may have in the next attempt; raises `error` again when no other attempt can help."""
        if not _is_out_of_memory(error):
            if self.device.kind == "cpu":
                raise error
            observer.warning(f"{self.device.name} could not run this network ({_first_line(error)}): using the CPU.")
            self.preferred = cpu_device()
            return self._move_to(self.preferred)
        if self.device.kind == "cuda":
            torch.cuda.empty_cache()
        if not smallest_tile(plan.tile, self.network.stride):
            observer.warning(
                f"{self.device.name} ran out of memory with tiles of {_sides(plan.tile)} voxels: trying smaller ones."
            )
            return math.prod(plan.tile) / 2
        if self.device.kind == "cpu":
            raise OutOfMemory(
                f"Not enough main memory for even the smallest tile of {_sides(plan.tile)} voxels.",
                "Close other programs and try again.",
            ) from error
        observer.warning(f"{self.device.name} has too little free memory for this network: using the CPU.")
        return self._move_to(cpu_device())

    def _move_to(self, device: ComputeDevice) -> float:
        """Compute on `device` from now on, with tiles of any size."""
        if device != self.device:
            self.device, self.network = device, self.make_network(device)
        return math.inf


@dataclass(frozen=True)
class _Plan:
    shape: tuple[int, int, int]
    tile: tuple[int, int, int]
    corners: list[tuple[int, int, int]]
    multiply_adds: float


class _Blend:
    """Weighted means of overlapping tiles, on the field's grid and on each gate's."""

    def __init__(self, shape: tuple[int, int, int], importance: np.ndarray) -> None:
        self.shape, self.importances = shape, {0: importance}
        self.sums: dict[object, np.ndarray] = {}
        self.weights: dict[int, np.ndarray] = {}

    def add(self, logits: np.ndarray, coefficients_of: list, corner: tuple[int, int, int]) -> None:
        """Add one tile: logits (C, K, J, I) and [(level, coefficients (K_n, J_n, I_n)), ...] at `corner`."""
        self._add("logits", logits, corner, 0)
        for number, (level, alpha) in enumerate(coefficients_of):
            self._add(number, alpha.cpu().numpy(), corner, level)
        for level in {0, *(level for level, _ in coefficients_of)}:
            where = _window(corner, self.importances[0].shape, level)
            self._array(self.weights, level, (), level)[where] += self._importance(level)

    def finished(self, channels: int, levels: list[int]) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
        """Blended logits and [(level, coefficients), ...]; air where no tile was."""
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
        return logits, attention

    def _add(self, key: object, values: np.ndarray, corner: tuple[int, int, int], level: int) -> None:
        total = self._array(self.sums, key, values.shape[:-3], level)
        total[(..., *_window(corner, self.importances[0].shape, level))] += values * self._importance(level)

    def _importance(self, level: int) -> np.ndarray:
        """The tile's importance map on a grid `level` times halved: the mean of the places that each place covers."""
        if level not in self.importances:
            k, j, i = (side // 2**level for side in self.importances[0].shape)
            factor = 2**level
            parts = self.importances[0].reshape(k, factor, j, factor, i, factor)
            self.importances[level] = parts.mean(axis=(1, 3, 5))
        return self.importances[level]

    def _array(self, store: dict, key: object, channels: tuple[int, ...], level: int) -> np.ndarray:
        if key not in store:
            store[key] = np.zeros((*channels, *(length // 2**level for length in self.shape)), np.float32)
        return store[key]


def _window(corner: tuple[int, int, int], tile: tuple[int, ...], level: int) -> tuple[slice, ...]:
    factor = 2**level
    return tuple(slice(start // factor, (start + side) // factor) for start, side in zip(corner, tile, strict=True))


def _holds_more_than_air(intensities: np.ndarray, corner: tuple[int, int, int], tile: tuple[int, int, int]) -> bool:
    return bool((intensities[_window(corner, tile, 0)] > 0).any())


def _tile_tensor(intensities: np.ndarray, corner: tuple[int, int, int], tile: tuple[int, int, int]) -> torch.Tensor:
    """(1, 1, K, J, I) tensor of one tile; beyond the field there is air."""
    part = intensities[_window(corner, tile, 0)]
    missing = [(0, side - length) for side, length in zip(tile, part.shape, strict=True)]
    return torch.from_numpy(np.pad(part, missing))[None, None]


def _cropped(array: np.ndarray, shape: tuple[int, ...], level: int) -> np.ndarray:
    return array[(..., *(slice(0, -(-length // 2**level)) for length in shape))]


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    # The last is what oneDNN says when it finds no memory for a convolution's scratch space.
    words = ("out of memory", "can't allocate memory", "not enough memory", "could not create a primitive")
    return any(word in str(error).lower() for word in words)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sides(tile: tuple[int, int, int]) -> str:
    return " x ".join(str(side) for side in reversed(tile))
