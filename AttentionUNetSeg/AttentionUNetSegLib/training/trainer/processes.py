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
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from ...errors import BadInput


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes
    ----------
    rank : its number, 0 for the one that writes files and talks to the person.
    count : how many there are.
    local_rank : its number on this machine, which is that of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

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
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def joined_processes(on_cuda: bool) -> Iterator[Processes]:
    """The processes that torchrun started, connected while the block runs; one alone where it did not.

    Parameters
    ----------
    on_cuda : whether the network runs on GPUs (nccl) or not (gloo).
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if on_cuda:
        torch.cuda.set_device(local_rank)
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, local_rank)
    finally:
        distributed.destroy_process_group()
