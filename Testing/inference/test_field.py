"""Whole field and tiles agree; air is skipped; running out of memory is a warning, not a crash."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.errors import Cancelled, OutOfMemory
from AttentionUNetSegLib.inference import SilentObserver
from AttentionUNetSegLib.inference.device import ComputeDevice
from AttentionUNetSegLib.inference.field import AIR_LOGIT, FieldPredictor
from AttentionUNetSegLib.inference.forward_pass import ForwardPass, peak_bytes
from AttentionUNetSegLib.inference.fusion import FusedNetwork
from AttentionUNetSegLib.inference.observer import StageProgress
from AttentionUNetSegLib.inference.tiling import importance_map, tile_shape, tile_starts, tiles
from AttentionUNetSegLib.network import AttentionUNet, build_network
from hypothesis import given, settings
from hypothesis import strategies as st

CPU_FLOAT32 = ComputeDevice(torch.device("cpu"), torch.float32, torch.channels_last_3d, True, "this CPU")
STRIDE = 4


@pytest.fixture(scope="module", params=["additive", "grid"])
def predictor_of(request):
    torch.manual_seed(1)
    network = AttentionUNet(3, 1, 1, (4, 6, 8), request.param).eval()

    def make(limit_mb=None):
        return FieldPredictor(lambda device: FusedNetwork(network).on(device), CPU_FLOAT32, limit_mb)

    return make


def predict(predictor, intensities, observer=None):
    observer = observer or SilentObserver()
    return predictor.predict(intensities, observer, StageProgress(observer, "Network", 0.0, 1.0))


def limit_for_tiles(predictor, shape, part=0.3):
    """A memory limit in MB that a whole field of `shape` exceeds."""
    return part * peak_bytes(predictor.network, shape, CPU_FLOAT32) / 1e6


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_tiles_agree_with_the_whole_field(predictor_of):
    intensities = np.random.default_rng(0).random((70, 61, 66), dtype=np.float32)
    whole = predict(predictor_of(), intensities)
    tiled_predictor = predictor_of(limit_for_tiles(predictor_of(), (72, 64, 68)))
    tiled = predict(tiled_predictor, intensities)
    assert whole.tile_count == 1 and tiled.tile_count >= 4
    assert whole.logits.shape == tiled.logits.shape == (1, 70, 61, 66)
    difference = np.abs(sigmoid(whole.logits) - sigmoid(tiled.logits))[0, 8:-8, 8:-8, 8:-8]
    assert difference.max() < 0.02
    for (level, alpha), (same_level, stitched) in zip(whole.attention, tiled.attention, strict=True):
        assert level == same_level and alpha.shape == stitched.shape
        assert np.abs(alpha - stitched)[2:-2, 2:-2, 2:-2].max() < 0.02


def test_a_field_smaller_than_the_stride_works(predictor_of):
    prediction = predict(predictor_of(), np.random.default_rng(0).random((1, 3, 2), dtype=np.float32))
    assert prediction.logits.shape == (1, 1, 3, 2)


def test_tiles_of_air_are_skipped(predictor_of):
    intensities = np.zeros((96, 64, 64), np.float32)
    intensities[:20] = np.random.default_rng(0).random((20, 64, 64), dtype=np.float32)
    limit = limit_for_tiles(predictor_of(), intensities.shape)
    everything = predict(predictor_of(limit), np.full_like(intensities, 0.5))
    prediction = predict(predictor_of(limit), intensities)
    assert 0 < prediction.tile_count < everything.tile_count
    assert (prediction.logits[0, -8:] == AIR_LOGIT).all()
    assert all((alpha[-2:] == 0).all() for _, alpha in prediction.attention)
    nothing = predict(predictor_of(limit), np.zeros_like(intensities))
    assert nothing.tile_count == 0 and (nothing.logits == AIR_LOGIT).all()


class FailingAtFirst:
    """Stands in for a device's memory: raises `error` for the first `times` passes, then lets the real pass run.

    No machine of the tests has a GPU whose memory could really run out.
    """

    def __init__(self, monkeypatch, error, times):
        self.real, self.error, self.left, self.sizes = ForwardPass.run, error, times, []
        monkeypatch.setattr(ForwardPass, "run", lambda forward, field: self(forward, field))

    def __call__(self, forward, field):
        if self.left > 0:
            self.left -= 1
            self.sizes.append(tuple(field.shape[2:]))
            raise self.error
        return self.real(forward, field)


def test_out_of_memory_means_smaller_tiles_and_a_warning(predictor_of, monkeypatch):
    intensities = np.random.default_rng(0).random((64, 64, 64), dtype=np.float32)
    expected = predict(predictor_of(), intensities)
    failing = FailingAtFirst(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory."), 2)
    observer = SilentObserver()
    prediction = predict(predictor_of(), intensities, observer)
    assert np.prod(failing.sizes[1]) < np.prod(failing.sizes[0]) == 64**3
    assert len(observer.warnings) == 2 and all("ran out of memory" in warning for warning in observer.warnings)
    inside = (0, slice(8, -8), slice(8, -8), slice(8, -8))
    assert np.abs(sigmoid(prediction.logits[inside]) - sigmoid(expected.logits[inside])).max() < 0.02


def test_when_nothing_fits_the_error_says_so(predictor_of, monkeypatch):
    FailingAtFirst(monkeypatch, MemoryError(), 1000)
    with pytest.raises(OutOfMemory, match="smallest tile"):
        predict(predictor_of(), np.full((40, 40, 40), 0.5, np.float32))


@pytest.mark.parametrize(
    ("error", "times", "words"),
    [
        (
            RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore"),
            1,
            "no kernel image",
        ),
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), 12, "too little free memory"),
    ],
)
def test_a_failing_gpu_hands_over_to_the_cpu(predictor_of, monkeypatch, error, times, words):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8e9, 8e9))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    gpu = ComputeDevice(torch.device("cuda"), torch.float32, torch.channels_last_3d, True, "a GPU")
    network = build_network({"architecture": "AttentionUNet", "features": (4, 6, 8)}).eval()
    fused = FusedNetwork(network)
    monkeypatch.setattr(FusedNetwork, "on", lambda self, device: self)
    failing = FailingAtFirst(monkeypatch, error, times)
    predictor = FieldPredictor(lambda device: fused, gpu)
    failing.left = times if "kernel" in words else 10_000

    def only_on_gpu(forward, field):
        if forward.device.kind == "cuda":
            raise error
        return failing.real(forward, field.to(forward.device.dtype))

    monkeypatch.setattr(ForwardPass, "run", only_on_gpu)
    monkeypatch.setattr("AttentionUNetSegLib.inference.field.cpu_device", lambda: CPU_FLOAT32)
    observer = SilentObserver()
    prediction = predict(predictor, np.full((40, 40, 40), 0.5, np.float32), observer)
    assert prediction.logits.shape == (1, 40, 40, 40) and predictor.device.kind == "cpu"
    assert words in observer.warnings[-1] and "using the CPU" in observer.warnings[-1]


def test_cancel_is_not_mistaken_for_a_failure(predictor_of):
    class Impatient(SilentObserver):
        def __init__(self):
            super().__init__()
            self.steps = 0

        def progress(self, fraction, stage):
            self.steps += 1

        def cancelled(self):
            return self.steps > 4

    observer = Impatient()
    with pytest.raises(Cancelled):
        predict(predictor_of(), np.full((40, 40, 40), 0.5, np.float32), observer)
    assert observer.steps < 8 and not observer.warnings


def test_progress_rises_to_its_end(predictor_of):
    class Recording(SilentObserver):
        def __init__(self):
            super().__init__()
            self.fractions = []

        def progress(self, fraction, stage):
            self.fractions.append(fraction)

    observer = Recording()
    intensities = np.random.default_rng(0).random((64, 48, 48), dtype=np.float32)
    predict(predictor_of(limit_for_tiles(predictor_of(), (64, 48, 48))), intensities, observer)
    assert observer.fractions == sorted(observer.fractions)
    assert observer.fractions[0] == 0 and observer.fractions[-1] == pytest.approx(1)
    assert len(set(observer.fractions)) > 20


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(1, 40).map(lambda n: n * STRIDE),
    tile=st.integers(4, 20).map(lambda n: n * STRIDE),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_tiles_cover_everything_and_start_at_multiples_of_the_stride(length, tile, overlap):
    starts = tile_starts(length, tile, STRIDE, overlap)
    covered = np.zeros(length, bool)
    for start in starts:
        assert start % STRIDE == 0 and (start + tile <= length or starts == [0])
        covered[start : start + tile] = True
    assert covered.all()


@settings(max_examples=100, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 300)] * 3), places=st.integers(1000, 10**7))
def test_tile_shape_fits_or_is_the_smallest(shape, places):
    tile = tile_shape(shape, STRIDE, lambda sides: np.prod(sides) <= places)
    assert all(side % STRIDE == 0 for side in tile)
    assert np.prod(tile) <= places or max(tile) <= 4 * STRIDE
    assert all(side <= -(-length // STRIDE) * STRIDE for side, length in zip(tile, shape, strict=True))
    assert len(tiles(tuple(-(-n // STRIDE) * STRIDE for n in shape), tile, STRIDE)) >= 1


def test_importance_map_is_a_gaussian_that_never_vanishes():
    importance = importance_map((16, 8, 24))
    assert importance.shape == (16, 8, 24) and importance.dtype == np.float32
    assert importance.min() > 0 and importance.max() <= 1
    assert importance[8, 4, 12] > 0.8 and importance[0, 0, 0] < 1e-4
    assert np.allclose(importance, importance[::-1, ::-1, ::-1])
