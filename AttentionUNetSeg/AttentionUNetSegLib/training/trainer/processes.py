"""Several processes that train one network together (`torchrun`), or one alone.

Each step's batch is drawn as a whole; each process takes its part. The loss adds its sums up over the processes before
it divides, so that loss and gradients are those of one process with the whole batch. Batch normalization is the
exception: on CUDA it is made synchronous, on the CPU (where torch has no synchronous one) each process normalizes by
its own part of the batch; use the norm "instance" there for the same result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import torch
from torch import Tensor, distributed

from ...errors import BadInput

_ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}  # and what they are of one process alone
_LONGEST_WAIT = timedelta(days=30)


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes
    ----------
    rank : its number, 0 for the one that writes files and talks to the person.
    count : how many there are.
    local_rank : its number on this machine, which is that of its GPU.
    waiting : what `wait` waits in, once they are connected.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    waiting: distributed.ProcessGroup | None = field(default=None, compare=False)

    @classmethod
    def started(cls) -> Processes:
        """The processes that torchrun started, by its environment, not connected yet; one alone where it did not."""
        rank, count, local_rank = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT.items())
        return cls(rank, count, local_rank)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and talks."""
        return self.rank == 0

    def part_of(self, batch: int) -> range:
        """The places of a batch of this size that are this process's.

        Raises
        ------
        BadInput : the batch cannot be divided.
        """
        if batch < self.count:
            raise BadInput(
                f"A batch of {batch} is smaller than the number of processes, {self.count}: each needs a patch.",
                f"Give --batch {self.count} or a multiple of it, or start fewer processes.",
            )
        if batch % self.count:
            raise BadInput(f"A batch of {batch} cannot be divided among {self.count} processes.", "Change --batch.")
        share = batch // self.count
        return range(self.rank * share, (self.rank + 1) * share)

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, with gradients."""
        if self.count == 1:
            return tensor
        from torch.distributed.nn.functional import all_reduce

        # Its backward pass adds up the gradients of every process's (equal) loss, and DistributedDataParallel divides
        # by their number: together that is the gradient of one loss over the whole batch.
        return all_reduce(tensor)

    def largest(self, *values: float) -> tuple[float, ...]:
        """The largest of each value over all processes, so that all of them decide alike."""
        if self.count == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            tensor = tensor.cuda()
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return tuple(tensor.tolist())

    def wait(self) -> None:
        """Until all processes are here, however long one of them takes; at once if one of them ended."""
        if self.waiting is not None:
            distributed.barrier(self.waiting)


@contextmanager
def connected(processes: Processes, on_cuda: bool, timeout: timedelta | None = None) -> Iterator[Processes]:
    """The processes, connected while the block runs; one alone stays as it is.

    What takes long and needs no other process, preparing scans first of all, belongs before: the collectives of
    training break off after a timeout, because there a process that is late is one that died.

    Parameters
    ----------
    on_cuda : whether the network runs on GPUs (nccl) or not (gloo).
    timeout : of the collectives of training; the backend's own where None.
    """
    if processes.count == 1:
        yield processes
        return
    if on_cuda:
        torch.cuda.set_device(processes.local_rank)
    distributed.init_process_group("nccl" if on_cuda else "gloo", timeout=timeout)
    try:
        # On CPUs whatever trains: its connections end with the processes, so that waiting needs no timeout.
        yield replace(processes, waiting=distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT))
    finally:
        distributed.destroy_process_group()
