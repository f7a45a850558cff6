"""Real worker processes, models with random weights, and job folders with a computed body in them."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from AttentionUNetSegLib.worker.client import WorkerClient, WorkerListener
from AttentionUNetSegLib.worker.protocol import Event, Log, Progress, Segment
from AttentionUNetSegLib.worker.transport import SubprocessTransport, WorkerCommand


class Recorder(WorkerListener):
    """Remembers what it is told, and does `then`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.then: Callable[[Event], None] = lambda event: None

    def on_ready(self, event: Event) -> None:
        self.events.append(event)
        self.then(event)

    on_progress = on_log = on_result = on_error = on_ready


class RecordingClient(WorkerClient):
    """A client that remembers its events and its last transport."""

    def __init__(self, command: WorkerCommand | None = None, **options: float) -> None:
        self.recorder = Recorder()
        self.events = self.recorder.events
        self.transport: SubprocessTransport | None = None
        self._command = command
        super().__init__(self._new_transport, self.recorder, **options)

    def _new_transport(self) -> SubprocessTransport:
        self.transport = SubprocessTransport(self._command)
        return self.transport

    def pump_until(self, happened: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"did not happen within {seconds} s; events: {self.events[-5:]}"
            self.pump(0.05)

    def pump_until_network(self, job: str) -> None:
        """Until the network has computed a part of the job, but not all of it."""
        self.pump_until(lambda: any(p.stage == "Network" and 0.15 < p.fraction < 0.7 for p in self.progress_of(job)))

    def progress_of(self, job: str) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress) and event.job == job]

    def cpu_seconds(self) -> float:
        """What the worker's process has computed so far: unlike a clock, it does not know how busy the machine is."""
        times = psutil.Process(self.transport.pid).cpu_times()
        return times.user + times.system

    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Log) and event.level == "warning"]


@pytest.fixture
def new_client() -> Iterator[Callable[..., RecordingClient]]:
    """Makes clients that are closed after the test."""
    clients: list[RecordingClient] = []

    def make(command: WorkerCommand | None = None, **options: float) -> RecordingClient:
        clients.append(RecordingClient(command, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close(grace=0.2)


@pytest.fixture(scope="module")
def warm_client() -> Iterator[RecordingClient]:
    """One client for the tests of a module that leave its worker alive."""
    with RecordingClient(cancel_grace=60.0) as client:  # no worker is killed because the machine is busy
        client.start()
        client.pump_until(lambda: client.ready)
        yield client


@pytest.fixture(scope="session")
def lively_model_package(tiny_model_package, tmp_path_factory: pytest.TempPathFactory):
    """Random weights at 4 mm, scaled so that the probability covers 0..1: it means nothing, but varies."""
    return _random_package(tiny_model_package.manifest, "lively-random", [8, 16, 32], 4, tmp_path_factory)


@pytest.fixture(scope="session")
def slow_model_package(tiny_model_package, tmp_path_factory: pytest.TempPathFactory):
    """Random weights at 1 mm: a run takes long enough to be disturbed in the middle."""
    return _random_package(tiny_model_package.manifest, "slow-random", [16, 32, 64], 1, tmp_path_factory)


def _random_package(like: dict, name: str, features: list[int], spacing_mm: float, folders: pytest.TempPathFactory):
    import torch
    from AttentionUNetSegLib.models import write_package
    from AttentionUNetSegLib.network import build_network

    manifest = copy.deepcopy(like)
    manifest["id"] = name
    manifest["network"]["features"] = features
    manifest["input"]["spacing_mm"] = [spacing_mm] * 3
    del manifest["weights"]["sha256"]
    torch.manual_seed(0)
    network = build_network(manifest["network"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        for _ in range(20):  # the batch normalization learns the statistics of noise
            logits = network(torch.rand(1, 1, 16, 16, 16))
        network.head.weight *= 2 / logits.std()
        network.head.bias.copy_((network.head.bias - logits.mean()) * 2 / logits.std())
    torch.set_num_threads(threads)
    folder = folders.mktemp(name)
    torch.save(network.state_dict(), folder / "weights.pt")
    return write_package(folder / "package", manifest, folder / "weights.pt")


@pytest.fixture(scope="session")
def new_job(lively_model_package, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Segment]:
    """Makes a job folder with a phantom-marked ellipsoid of soft tissue in air, and the request for it."""
    import numpy as np
    import SimpleITK as sitk

    def make(job: str, model: os.PathLike | None = None, size: tuple[int, int, int] = (64, 56, 40)) -> Segment:
        folder = tmp_path_factory.mktemp("job")
        grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in reversed(size)), indexing="ij")
        inside = sum(axis**2 for axis in grid) < 0.9
        noise = np.random.default_rng(0).normal(0, 10, inside.shape)
        image = sitk.GetImageFromArray(np.where(inside, 40 + noise, -1000).astype(np.int16))
        image.SetSpacing((1.5, 1.5, 1.5))
        image.SetMetaData("AttentionUNetSeg_phantom", "1")
        sitk.WriteImage(image, str(folder / "input.nrrd"))
        return Segment(job, str(folder), str(model or lively_model_package.folder), device="cpu")

    return make
