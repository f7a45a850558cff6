"""Whole field and tiles agree; air is skipped; running out of memory is a warning, not a crash."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.errors import Cancelled
from AttentionUNetSegLib.inference import SilentObserver, field
from AttentionUNetSegLib.inference.device import ComputeDevice
from AttentionUNetSegLib.inference.field import AIR_LOGIT, FieldPredictor
from AttentionUNetSegLib.inference.forward_pass import ForwardPass, peak_bytes
from AttentionUNetSegLib.inference.fusion import FusedNetwork
from AttentionUNetSegLib.inference.observer import StageProgress
from AttentionUNetSegLib.inference.tiling import importance_map, tile_shape, tile_starts, tiles
from AttentionUNetSegLib.network import AttentionUNet
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_looking import trained_looking

CPU_FLOAT32 = ComputeDevice(torch.device("cpu"), torch.float32, torch.channels_last_3d, True, "this CPU")
STRIDE = 4


@pytest.fixture(scope="module", params=["additive", "grid"])
def predictor_of(request):
    network = trained_looking(AttentionUNet(3, 1, 1, (4, 6), request.param))

    def make(limit_mb=None):
        return FieldPredictor(lambda device: FusedNetwork(network).on(device), CPU_FLOAT32, limit_mb)

    return make


def predict(predictor, intensities, observer=None):
    observer = observer or SilentObserver()
    return predictor.predict(intensities, observer, StageProgress(observer, "Network", 0.0, 1.0))


def limit_for_tiles(predictor, shape, part=0.3):
    """A memory limit in MB that a whole field of `shape` exceeds."""
    return part * peak_bytes(predictor.network, shape, CPU_FLOAT32) / 1e6


def noise(shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def difference(expected, got, border=8):
    """Mean difference within a field as a share of how much the expected values vary there."""
    inside = (slice(border, -border),) * 3
    return float((expected - got)[inside].abs().mean() / expected[inside].std())


def whole_and_tiled(predictor_of):
    intensities = noise((54, 45, 50))
    limit = limit_for_tiles(predictor_of(), (54, 46, 50))
    return predict(predictor_of(), intensities), predict(predictor_of(limit), intensities)


def differences(predictor_of):
    """Of the probability and of each gate's coefficients, between one pass and tiles."""
    whole, tiled = whole_and_tiled(predictor_of)
    pairs = [(alpha, stitched) for (_, alpha), (_, stitched) in zip(whole.attention, tiled.attention, strict=True)]
    return [difference(*pair, border=4) for pair in [(whole.probability(0), tiled.probability(0)), *pairs]]


def test_tiles_agree_with_the_whole_field(predictor_of):
    whole, tiled = whole_and_tiled(predictor_of)
    assert whole.tile_count == 1 and tiled.tile_count >= 4
    assert whole.logits.shape == tiled.logits.shape == (1, 54, 45, 50)
    assert whole.probability(0).std() > 0.3
    for (level, alpha), (same_level, stitched) in zip(whole.attention, tiled.attention, strict=True):
        assert level == same_level and alpha.shape == stitched.shape and alpha.std() > 0.05
    assert max(differences(predictor_of)) < 0.1


def test_tiles_that_are_shifted_by_a_voxel_are_found_out(predictor_of, monkeypatch):
    """The mutant that the tolerance above has to tell from rounding and from the tiles' edges."""
    real = field._tile_tensor

    def shifted(intensities, corner, tile):
        is_whole = np.prod(tile) >= intensities.numel()
        return real(intensities, corner, tile) if is_whole else torch.roll(real(intensities, corner, tile), 1, -1)

    monkeypatch.setattr(field, "_tile_tensor", shifted)
    assert min(differences(predictor_of)) > 0.3


def test_a_field_smaller_than_the_stride_works(predictor_of):
    prediction = predict(predictor_of(), np.random.default_rng(0).random((1, 3, 2), dtype=np.float32))
    assert prediction.logits.shape == (1, 1, 3, 2)


def test_tiles_of_air_are_skipped(predictor_of):
    intensities = np.zeros((48, 32, 32), np.float32)
    intensities[:10] = noise((10, 32, 32))
    limit = limit_for_tiles(predictor_of(), intensities.shape)
    everything = predict(predictor_of(limit), np.full_like(intensities, 0.5))
    prediction = predict(predictor_of(limit), intensities)
    assert 0 < prediction.tile_count < everything.tile_count
    assert (prediction.logits[0, -8:] == AIR_LOGIT).all() and (prediction.probability(0)[-8:] == 0).all()
    assert all((alpha[-2:] == 0).all() for _, alpha in prediction.attention)
    nothing = predict(predictor_of(limit), np.zeros_like(intensities))
    assert nothing.tile_count == 0 and (nothing.logits == AIR_LOGIT).all()


def test_what_was_not_computed_has_probability_0_of_every_label():
    """With softmax, equal logits of three labels would mean a third of everything."""
    network = trained_looking(AttentionUNet(3, 1, 3, (4, 6)))
    predictor = FieldPredictor(lambda device: FusedNetwork(network).on(device), CPU_FLOAT32)
    intensities = np.zeros((48, 24, 24), np.float32)
    intensities[:6] = noise((6, 24, 24))
    predictor.memory_limit_mb = limit_for_tiles(predictor, intensities.shape)
    prediction = predict(predictor, intensities)
    assert prediction.tile_count > 0 and not prediction.computed[-8:].any() and prediction.computed[:6].all()
    labels = torch.stack([prediction.probability(channel, is_softmax=True) for channel in range(3)])
    assert (labels[:, -8:] == 0).all()
    assert torch.allclose(labels[:, :6].sum(dim=0), torch.ones(6, 24, 24))


def test_out_of_memory_means_smaller_tiles_and_a_warning(predictor_of, monkeypatch):
    """No machine of the tests has a GPU whose memory could really run out: the first two passes are made to fail."""
    intensities = noise((48, 48, 48))
    expected = predict(predictor_of(), intensities)
    real, sizes = ForwardPass.run, []

    def failing_at_first(forward, field):
        sizes.append(tuple(field.shape[2:]))
        if len(sizes) < 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return real(forward, field)

    monkeypatch.setattr(ForwardPass, "run", failing_at_first)
    observer = SilentObserver()
    prediction = predict(predictor_of(), intensities, observer)
    assert np.prod(sizes[2]) < np.prod(sizes[1]) < np.prod(sizes[0]) == 48**3
    assert len(observer.warnings) == 2 and all("ran out of memory" in warning for warning in observer.warnings)
    assert difference(expected.probability(0), prediction.probability(0)) < 0.5  # tiles of 16 voxels: much edge


def test_a_prediction_is_not_raced_for_and_leaves_the_setting_of_training_alone(predictor_of, monkeypatch):
    seen, real = [], ForwardPass.run

    def run(forward, field):
        seen.append((torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic))
        return real(forward, field)

    monkeypatch.setattr(ForwardPass, "run", run)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    predict(predictor_of(), noise((8, 8, 8)))
    assert seen == [(False, True)] and torch.backends.cudnn.benchmark


def test_cancel_is_not_mistaken_for_a_failure(predictor_of):
    class Impatient(SilentObserver):
        def __init__(self):
            super().__init__()
            self.steps = 0

        def progress(self, fraction, stage):
            self.steps += 1

        def cancelled(self):
            return self.steps > 2

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
