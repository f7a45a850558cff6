"""Running out of memory, anywhere and in whatever words, leads to the next state and a warning; never to a crash."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.errors import Cancelled, ErrorCode, OutOfMemory, is_out_of_memory
from AttentionUNetSegLib.inference import SilentObserver, fallback
from AttentionUNetSegLib.inference.device import ComputeDevice, cpu_device
from AttentionUNetSegLib.inference.fallback import Fallback
from AttentionUNetSegLib.inference.field import FieldPredictor
from AttentionUNetSegLib.inference.fusion import FusedNetwork
from AttentionUNetSegLib.inference.memory import memory_budget
from AttentionUNetSegLib.inference.observer import StageProgress
from AttentionUNetSegLib.network import AttentionUNet
from AttentionUNetSegLib.worker.segmenting import error_of
from trained_looking import trained_looking

GPU = ComputeDevice(torch.device("cuda"), torch.bfloat16, torch.channels_last_3d, True, "a GPU")
# Computes shapes, holds no values: a device that accepts the weights and fails when its results are asked for.
META = ComputeDevice(torch.device("meta"), torch.float32, torch.channels_last_3d, True, "a device without values")
FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 8.00 GB)",
        "could not create a primitive",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
        "std::bad_alloc",
    ],
)
def test_one_reading_of_the_words_for_it(words):
    error = RuntimeError(words)
    assert is_out_of_memory(error) and error_of(error, "1").code is ErrorCode.OUT_OF_MEMORY
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_out_of_memory(ValueError(words))


class Scripted:
    """Work that fails as it is told, and keeps note of the states it was given."""

    def __init__(self, *failures, tiles=()):
        self.failures, self.tiles, self.states = list(failures), list(tiles), []

    def __call__(self, attempt):
        self.states.append((attempt.device.kind, attempt.most_voxels))
        if self.tiles:
            attempt.tile, attempt.is_smallest = self.tiles.pop(0)
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def test_a_gpu_too_full_for_the_weights_hands_over_to_the_cpu_for_this_time():
    machine, observer = Fallback(GPU), SilentObserver()
    work = Scripted(FULL)
    assert machine.run(work, observer) == "done"
    assert work.states == [("cuda", np.inf), ("cpu", np.inf)]
    assert "too little free memory" in observer.warnings[0]
    again = Scripted()
    machine.run(again, observer)
    assert again.states == [("cuda", np.inf)]


def test_smaller_tiles_come_before_the_cpu_and_what_belongs_together_goes_on_with_them():
    machine, observer = Fallback(GPU), SilentObserver()
    work = Scripted(FULL, FULL, tiles=[((64, 64, 64), False), ((32, 64, 64), False), ((32, 32, 64), True)])
    machine.run(work, observer)
    assert work.states == [("cuda", np.inf), ("cuda", 64**3 / 2), ("cuda", 64**3 / 4)]
    assert all("trying smaller ones" in warning for warning in observer.warnings)
    more = Scripted()
    machine.run(more, observer, go_on=True)
    assert more.states == [("cuda", 64**3 / 4)]


def test_a_device_that_cannot_run_the_network_is_left_for_good():
    machine, observer = Fallback(GPU), SilentObserver()
    machine.run(Scripted(NotImplementedError("max_pool3d is not implemented for this device\nmore")), observer)
    assert machine.preferred.kind == "cpu" and "max_pool3d is not implemented for this device)" in observer.warnings[0]


def test_what_the_cpu_cannot_do_is_raised():
    for failure in (RuntimeError("shapes differ"), Cancelled()):
        with pytest.raises(type(failure)):
            Fallback(cpu_device()).run(Scripted(failure), SilentObserver())
    with pytest.raises(OutOfMemory, match="smallest tile of 16 x 8 x 8"):
        Fallback(cpu_device()).run(Scripted(MemoryError(), tiles=[((8, 8, 16), True)]), SilentObserver())
    with pytest.raises(OutOfMemory, match="this network"):
        Fallback(cpu_device()).run(Scripted(MemoryError()), SilentObserver())


def test_memory_is_given_back_when_nothing_holds_the_failed_tensors_any_more(monkeypatch):
    tensors, seen = [], []

    def work(attempt):
        large = torch.zeros(100)
        if not tensors:
            tensors.append(weakref.ref(large))
            raise torch.cuda.OutOfMemoryError(str(FULL))  # a fresh one: who keeps an exception keeps its tensors
        return large

    monkeypatch.setattr(fallback, "release_cached_memory", lambda device: seen.append(tensors[0]()))
    Fallback(GPU).run(work, SilentObserver())
    assert seen == [None]


def test_what_torch_keeps_of_freed_memory_counts_as_free(monkeypatch):
    """The second run of a worker: torch holds 60 GB that no tensor uses any more."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20e9, 85e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 61e9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1e9)
    assert memory_budget(GPU) == pytest.approx(0.85 * 80e9)
    assert memory_budget(GPU, 500) == 500e6


def test_a_prediction_ends_on_the_cpu_whatever_the_device_fails_at():
    network = trained_looking(AttentionUNet(3, 1, 1, (4, 6)))
    field = np.random.default_rng(0).random((16, 12, 14), dtype=np.float32)

    def predicted(make, device):
        predictor, observer = FieldPredictor(make, device), SilentObserver()
        prediction = predictor.predict(field, observer, StageProgress(observer, "Network", 0.0, 1.0))
        assert predictor.device.kind == "cpu"
        return prediction.logits, observer.warnings

    def full(device):
        if device.kind == "cuda":
            raise FULL
        return FusedNetwork(network).on(device)

    expected, _ = predicted(full, cpu_device())
    for make, device in ((full, GPU), (lambda where: FusedNetwork(network).on(where), META)):
        logits, warnings = predicted(make, device)
        assert torch.equal(logits, expected) and len(warnings) == 1 and warnings[0].endswith("using the CPU.")
