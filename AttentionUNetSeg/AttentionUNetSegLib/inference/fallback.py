"""Where a computation runs when memory is short: one machine whose states are a device and how large a tile may be.

    the device, any tile -> the device, smaller and smaller tiles -> the CPU, any tile -> ... -> OutOfMemory

A failure leads from one state to the next; bringing the weights to the device is part of the work and may fail like
everything else. Each step is a warning, never a crash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import OutOfMemory, is_out_of_memory
from .device import ComputeDevice, cpu_device
from .memory import release_cached_memory
from .observer import Observer
from .tiling import Shape

Result = TypeVar("Result")


@dataclass
class Attempt:
    """One state of the machine, and what the work that runs in it tells of itself.

    Attributes
    ----------
    device : ComputeDevice
        Where to compute.
    most_voxels : float
        A tile may have so many.
    tile : Shape | None
        Sides (K, J, I) of the tiles that the work chose; None while there are none: it loads, or does not tile.
    is_smallest : bool
        Whether no smaller tile can be chosen.
    """

    device: ComputeDevice
    most_voxels: float = math.inf
    tile: Shape | None = None
    is_smallest: bool = True


class Fallback:
    """Runs work where it fits.

    Parameters
    ----------
    preferred : ComputeDevice
        Where everything begins. Where memory was short, it may be free the next time; where a device could not run the
        work at all, the CPU is preferred from then on.
    """

    def __init__(self, preferred: ComputeDevice) -> None:
        self.preferred = preferred
        self._last: Attempt | None = None

    def run(self, work: Callable[[Attempt], Result], observer: Observer, go_on: bool = False) -> Result:
        """What `work` returns, at the first attempt that does not fail.

        Parameters
        ----------
        work : Callable[[Attempt], Result]
            Computes in the state that it is given, and tells it the tiles it chose. It must keep nothing of what it
            made when it raises: memory is given back before the next attempt.
        observer : Observer
            Hears the warnings.
        go_on : bool
            Begin where the last run ended, not anew: for work that belongs together.

        Raises
        ------
        OutOfMemory
            Main memory does not suffice for the smallest tile.
        RuntimeError
            Whatever else went wrong on the CPU, as `work` raised it; and all that is no RuntimeError.
        """
        attempt = Attempt(self._last.device, self._last.most_voxels) if go_on and self._last else None
        attempt = attempt or Attempt(self.preferred)
        while True:
            try:
                result = work(attempt)
            except (RuntimeError, MemoryError) as error:  # NotImplementedError is a RuntimeError
                in_memory = is_out_of_memory(error)
                if attempt.device.kind == "cpu" and not (in_memory and attempt.tile and not attempt.is_smallest):
                    raise _last_error(error, attempt) from error
                words = _first_line(error)
            else:
                self._last = attempt
                return result
            # Not within `except`: only here is the exception gone, and with its traceback the failed pass's tensors.
            release_cached_memory(attempt.device)
            attempt = self._next(attempt, in_memory, words, observer)

    def _next(self, failed: Attempt, in_memory: bool, words: str, observer: Observer) -> Attempt:
        name = failed.device.name
        if not in_memory:
            observer.warning(f"{name} could not run this network ({words}): using the CPU.")
            self.preferred = cpu_device()
            return Attempt(self.preferred)
        if failed.tile and not failed.is_smallest:
            sides = _sides(failed.tile)
            observer.warning(f"{name} ran out of memory with tiles of {sides} voxels: trying smaller ones.")
            return Attempt(failed.device, math.prod(failed.tile) / 2)
        observer.warning(f"{name} has too little free memory for this network: using the CPU.")
        return Attempt(cpu_device())


def _last_error(error: Exception, attempt: Attempt) -> Exception:
    """What to raise where no other attempt can help."""
    if not is_out_of_memory(error):
        return error
    what = f"even the smallest tile of {_sides(attempt.tile)} voxels" if attempt.tile else "this network"
    return OutOfMemory(f"Not enough main memory for {what}.", "Close other programs and try again.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sides(tile: Shape) -> str:
    return " x ".join(str(side) for side in reversed(tile))
