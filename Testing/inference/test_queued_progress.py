"""Progress of a device with a queue, whose stand-in passes its marks when the test says so."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from AttentionUNetSegLib.errors import Cancelled
from AttentionUNetSegLib.inference import queued_progress
from AttentionUNetSegLib.inference.observer import SilentObserver, StageProgress
from AttentionUNetSegLib.inference.queued_progress import MOST_AHEAD, QueuedProgress, brought_home


class Device:
    """Passes one mark each time the host sleeps. Nobody can wait for it: there is nothing to wait with."""

    def __init__(self, monkeypatch) -> None:
        self.queue: deque[Device.Mark] = deque()
        self.longest = 0
        monkeypatch.setattr(queued_progress.time, "sleep", lambda seconds: self.work())

    class Mark:
        passed = False

        def query(self) -> bool:
            return self.passed

    def mark(self) -> Mark:
        self.queue.append(self.Mark())
        self.longest = max(self.longest, len(self.queue))
        return self.queue[-1]

    def work(self) -> None:
        self.queue.popleft().passed = True


class Watcher(SilentObserver):
    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.stop = False

    def progress(self, fraction: float, stage: str) -> None:
        self.fractions.append(fraction)

    def cancelled(self) -> bool:
        return self.stop


def test_what_is_shown_is_what_the_device_has_done_and_it_never_runs_empty(monkeypatch):
    device, watcher = Device(monkeypatch), Watcher()
    queued = QueuedProgress(StageProgress(watcher, "Network", 0.0, 1.0, 20.0), device.mark)
    for slab in range(1, 21):
        queued.advance(1.0)
        assert watcher.fractions[-1] == pytest.approx(max(0, slab - MOST_AHEAD) / 20)
        assert len(device.queue) == min(slab, MOST_AHEAD)
    assert device.longest == MOST_AHEAD + 1
    queued.finish()
    assert watcher.fractions[-1] == pytest.approx(1.0) and watcher.fractions == sorted(watcher.fractions)


def test_a_cancel_does_not_wait_for_what_is_queued(monkeypatch):
    device, watcher = Device(monkeypatch), Watcher()
    queued = QueuedProgress(StageProgress(watcher, "Network", 0.0, 1.0, 20.0), device.mark)
    for _slab in range(3):
        queued.advance(1.0)
    watcher.stop = True
    with pytest.raises(Cancelled):
        queued.finish()
    assert len(device.queue) == 3


def test_what_the_device_could_not_do_is_raised(monkeypatch):
    class Failed:
        def query(self) -> bool:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    queued = QueuedProgress(StageProgress(Watcher(), "Network", 0.0, 1.0), Failed)
    with pytest.raises(RuntimeError, match="illegal memory"):
        queued.advance(1.0)


def test_tensors_stay_where_they_are_wanted():
    tensors = [torch.arange(4.0), torch.ones(2, 3)]
    assert [one is other for one, other in zip(brought_home(tensors, torch.device("cpu")), tensors, strict=True)] == [
        True,
        True,
    ]
