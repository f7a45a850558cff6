"""How much memory a computation may take."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

from .device import ComputeDevice

# Beyond this a larger tile on a CPU saves no time any more, and a desktop with 8 GB stays usable.
CPU_LIMIT = 2.5e9


def memory_budget(device: ComputeDevice, limit_mb: float | None = None) -> float:
    """Bytes that one forward pass may take on `device`.

    Parameters
    ----------
    device : ComputeDevice
        On CUDA 85 % of what is free counts, and what torch keeps of what it freed is free; on the CPU 60 % of what is
        available, at most 2.5 GB.
    limit_mb : float | None
        Upper limit in MB that the person set, or None.
    """
    if device.kind == "cuda":
        kept = torch.cuda.memory_reserved(device.device) - torch.cuda.memory_allocated(device.device)
        budget = 0.85 * (torch.cuda.mem_get_info(device.device)[0] + kept)
    elif device.kind == "mps":
        budget = 0.5 * _physical_memory()
    else:
        budget = min(0.6 * available_memory(), CPU_LIMIT)
    return min(budget, limit_mb * 1e6) if limit_mb else budget


def release_cached_memory(device: ComputeDevice) -> None:
    """Give back what torch keeps for later; what tensors hold stays. A device that fails even here is left alone."""
    with suppress(RuntimeError):
        if device.kind == "cuda":
            torch.cuda.empty_cache()
        elif device.kind == "mps":
            torch.mps.empty_cache()


def available_memory() -> float:
    """Bytes of main memory that programs can still take, by the system's own estimate and the container's limit."""
    available = _meminfo("MemAvailable") or 0.5 * _physical_memory()
    return max(min(available, _container_headroom()), 0.0)


def _meminfo(key: str) -> float:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    for line in lines:
        if line.startswith(key + ":"):
            return float(line.split()[1]) * 1024
    return 0.0


def _container_headroom() -> float:
    """What a control group (a container, a batch job) leaves; infinite where there is none."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="utf-8").strip()
        used = float((folder / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else float(limit) - used


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        # Windows has no sysconf; 8 GB is what Slicer itself asks for.
        return 8e9
