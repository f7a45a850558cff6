"""Where the cases run: worker processes of this machine, or a Dask cluster that is already there."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import BadInput, InternalError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# What one process takes for a CT of 512 x 512 x 400 voxels: torch, the model, the CT and the network's work.
PROCESS_BYTES = 3.0e9


@dataclass(frozen=True)
class Cluster:
    """Workers that take orders.

    Attributes
    ----------
    client : Dask's.
    dashboard : address of Dask's own page; "" where there is none.
    gpus : of this machine, where each worker of a local cluster takes its own; 0 otherwise.
    threads : for the processor, of each local worker; None for workers elsewhere.
    local : the local cluster, None elsewhere.
    """

    client: Client
    dashboard: str = ""
    gpus: int = 0
    threads: int | None = None
    local: LocalCluster | None = None

    @property
    def worker_count(self) -> int:
        """How many workers there are now."""
        return len(self.client.nthreads())

    def kill_workers(self) -> None:
        """End the local workers at once, whatever they do; workers elsewhere finish the case they have begun."""
        if self.local is not None:
            for nanny in list(self.local.workers.values()):
                with suppress(OSError, TypeError, AttributeError):
                    os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


@contextmanager
def local_cluster(processes: int | None = None, device: str = "auto") -> Iterator[Cluster]:
    """Start workers on this machine and end them with the block.

    One process for each GPU; without GPUs as many as processors and memory (3 GB each) allow, and the processors are
    divided among them.

    Parameters
    ----------
    processes : how many; None for what the machine allows.
    device : as for `Segmenter`; GPUs are looked for only where it may be one.

    Raises
    ------
    BadInput : Dask distributed is not installed.
    InternalError : the workers cannot be started.
    """
    distributed = _library()
    from distributed.system import MEMORY_LIMIT

    cores = _cores()
    gpus = _gpu_count() if device in ("auto", "cuda") else 0
    count = processes or (gpus or max(1, min(cores, int(MEMORY_LIMIT // PROCESS_BYTES))))
    threads = max(1, cores // count)
    with tempfile.TemporaryDirectory(prefix="attention-unet-seg-cohort-") as scratch, _quiet():
        try:
            local = distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0" if _has_dashboard() else None, memory_limit=None,
                local_directory=scratch, silence_logs=logging.CRITICAL,
                env={f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")},
            )  # fmt: skip
        except (OSError, RuntimeError, TimeoutError) as error:
            raise InternalError(f"The local workers cannot be started ({str(error).rstrip('.')}).") from error
        cluster = None
        try:
            client = distributed.Client(local)
            link = client.dashboard_link if _has_dashboard() else ""
            cluster = Cluster(client, link, gpus, threads, local)
            yield cluster
        except BaseException:
            if cluster is not None:
                cluster.kill_workers()
            raise
        finally:
            with suppress(Exception):
                client.close(timeout=5)
            with suppress(Exception):
                local.close(timeout=10)


@contextmanager
def joined_cluster(address: str) -> Iterator[Cluster]:
    """Join the scheduler at an address such as tcp://host:8786, or of a scheduler file; it goes on after the block.

    Raises
    ------
    BadInput : Dask distributed is not installed, or there is no scheduler at the address.
    """
    distributed = _library()
    with _quiet():
        try:
            given = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
            client = distributed.Client(**given, timeout=20)
        except (OSError, ValueError, TimeoutError) as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise BadInput(
                f"There is no Dask scheduler at {address} ({reason}).",
                "Start one with dask scheduler, or leave it out.",
            ) from None
        try:
            yield Cluster(client, client.dashboard_link or "")
        finally:
            with suppress(Exception):
                client.close(timeout=5)


def _library() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise BadInput(
            f"Dask distributed is not installed (there is no module {error.name}).",
            "Install it with pip install 'attention-unet-seg[cohort]'.",
        ) from None
    return distributed


def _cores() -> int:
    from dask.system import CPU_COUNT

    return CPU_COUNT


def _gpu_count() -> int:
    """How many NVIDIA GPUs there are, asked without loading torch."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    with suppress(OSError, subprocess.SubprocessError):
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=True)
        return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    return 0


def _has_dashboard() -> bool:
    return importlib.util.find_spec("bokeh") is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """What Dask logs of workers that come and go is told by the progress and the table."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.nanny", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
