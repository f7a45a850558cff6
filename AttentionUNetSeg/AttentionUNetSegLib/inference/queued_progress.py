"""Progress of work that a GPU does later than it is asked for: seen without ever waiting for the whole of it.

After each slab a mark (a CUDA event) goes into the device's queue. Marks are asked whether the device has passed them,
which costs nothing and holds up nobody; a synchronisation would let the device run empty before the next slab is
queued.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from .observer import StageProgress

# The device never waits for its next slab, and what is still queued when somebody cancels is soon over.
MOST_AHEAD = 4
_SECONDS_BETWEEN_LOOKS = 0.001


class Mark(Protocol):
    """A place in a device's queue."""

    def query(self) -> bool:
        """Whether the device has passed it; raises RuntimeError where the work before it failed."""


class QueuedProgress:
    """Takes the place of `StageProgress.advance` for a device with a queue.

    Parameters
    ----------
    progress : StageProgress
        Hears of slabs when the device has done them, and raises `errors.Cancelled`.
    mark : Callable[[], Mark]
        Puts a mark into the queue, behind all that was asked for.
    """

    def __init__(self, progress: StageProgress, mark: Callable[[], Mark]) -> None:
        self._progress, self._mark = progress, mark
        self._queued: deque[tuple[Mark, float]] = deque()

    def advance(self, units: float) -> None:
        """A slab of so many units was queued. Returns when few are left to do."""
        self._queued.append((self._mark(), units))
        self._wait_until_left(MOST_AHEAD)

    def finish(self) -> None:
        """Return when the device has done all that was queued."""
        self._wait_until_left(0)

    def _wait_until_left(self, most: int) -> None:
        while True:
            while self._queued and self._queued[0][0].query():
                self._progress.advance(self._queued.popleft()[1])
            if len(self._queued) <= most:
                return
            self._progress.advance(0.0)  # raises where the work should stop
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def marks_of(device: torch.device) -> Callable[[], Mark]:
    """What `QueuedProgress` needs on a CUDA device."""

    def mark() -> Mark:
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(device))
        return event

    return mark


def brought_home(tensors: Sequence[Tensor], place: torch.device) -> list[Tensor]:
    """The tensors on `place`; from a CUDA device to main memory with one synchronisation for all of them."""
    source = tensors[0].device
    if source.type != "cuda" or place.type != "cpu":
        return [tensor.to(place) for tensor in tensors]
    home = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for mine, tensor in zip(home, tensors, strict=True):
        mine.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(source).synchronize()
    return home
