"""The pipeline from a CT to its results, with a small network that looks trained and real geometry."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.contracts import ResultFiles
from AttentionUNetSegLib.errors import BadModel, Cancelled, UnavailableDevice
from AttentionUNetSegLib.imaging import (
    HUWindow,
    Volume,
    body_box,
    coarser_grid,
    image_on_grid,
    probability_to_input_grid,
    to_model_grid,
)
from AttentionUNetSegLib.imaging.geometry import Geometry
from AttentionUNetSegLib.inference import (
    Segmenter,
    SegmentOptions,
    SilentObserver,
    available_devices,
    choose_device,
    write_segmentation,
)
from AttentionUNetSegLib.inference.device_grids import DeviceGrids
from AttentionUNetSegLib.inference.mirrored_surroundings import Mirrored
from AttentionUNetSegLib.inference.weights import load_network
from AttentionUNetSegLib.models import load_package, write_package
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.phantom import make_phantom
from trained_looking import trained_looking


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(5, (2.0, 2.0, 4.0), "portal_venous", (320.0, 260.0, 120.0)).ct


@pytest.fixture(scope="module")
def package(tiny_model_package, phantom, tmp_path_factory):
    """A network that looks trained, its last bias moved so that about half of the patient is above the threshold."""
    coarse = to_model_grid(phantom, (4, 4, 4))
    field = HUWindow(-160, 240).apply(sitk.GetArrayViewFromImage(coarse))[body_box(coarse)]
    network = trained_looking(build_network(tiny_model_package.network))
    with torch.inference_mode():
        logits = network(torch.from_numpy(field)[None, None])
    network.head.bias.data -= logits[0, 0][torch.from_numpy(field > 0)].median()
    return spoiled(tiny_model_package, tmp_path_factory.mktemp("half"), network.state_dict())


@pytest.fixture(scope="module")
def segmenter(package):
    return Segmenter(package, "cpu")


def oblique(image):
    """The image turned by 8 degrees about two axes, with I flipped: the same voxels elsewhere in space."""
    angle = np.radians(8)
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    turned = sitk.Image(image)
    turned.SetDirection((about_z @ about_x @ np.diag([-1, 1, 1])).ravel().tolist())
    turned.SetOrigin((30.0, -200.0, 500.0))
    return turned


@pytest.mark.parametrize("turn", [lambda image: image, oblique])
def test_results_lie_where_the_ct_lies(segmenter, phantom, turn):
    image = turn(phantom)
    result = segmenter.segment(Volume(image, "phantom", True, ()))
    first = image.TransformPhysicalPointToContinuousIndex(result.probability.GetOrigin())
    assert np.allclose(first, np.rint(first), atol=1e-4)
    assert np.allclose(result.probability.GetDirection(), image.GetDirection())
    assert np.allclose(result.probability.GetSpacing(), image.GetSpacing())
    size = np.array(image.GetSize())
    assert (np.rint(first) >= 0).all() and (np.rint(first) + result.probability.GetSize() <= size).all()
    assert result.probability.GetPixelID() == sitk.sitkUInt8

    coarse = to_model_grid(image, (4, 4, 4))
    box = body_box(coarse)
    start, stop = [part.start for part in reversed(box)], [part.stop for part in reversed(box)]
    grid = Geometry.of(coarse).cropped(start, np.subtract(stop, start))
    assert len(result.attention) == 2
    for level, alpha in enumerate(result.attention):
        expected = coarser_grid(grid, level)
        assert alpha.GetSize() == expected.size and alpha.GetPixelID() == sitk.sitkUInt8
        assert np.allclose(alpha.GetOrigin(), expected.origin) and np.allclose(alpha.GetSpacing(), expected.spacing)


@pytest.fixture(scope="module")
def published(package, phantom):
    """Probability on the CT's voxels and coefficients on the gates' grids (all 0..1), from the pieces one by one.

    The plain network, in float32, on the CT resampled, mirrored beyond its ends, and windowed.
    """
    coarse = to_model_grid(phantom, (4, 4, 4))
    box = body_box(coarse)
    around = Mirrored.about(box, coarse.GetSize()[::-1], (4, 4, 4), 4)
    field = around.padded(HUWindow(-160, 240).apply(sitk.GetArrayViewFromImage(coarse)[box]))
    padding = [(0, -length % 4) for length in field.shape]
    with torch.inference_mode():
        tensor = torch.from_numpy(np.pad(field, padding))[None, None]
        logits, attention = load_network(package)(tensor, return_attention=True)
    probability = around.cropped(torch.sigmoid(logits)[0, 0].numpy())
    grid = Geometry.of(coarse).cropped([part.start for part in reversed(box)], probability.shape[::-1])
    restored = probability_to_input_grid(image_on_grid(probability, grid), phantom)
    coefficients = [around.cropped(alpha[0, 0].numpy(), level) for level, alpha in enumerate(attention)]
    return restored, coefficients


def shares_of_variation(published, result):
    """Mean differences of probability and coefficients, each as a share of how much what is expected varies."""
    probability, coefficients = published
    assert result.probability.GetSize() == probability.GetSize()
    assert np.allclose(result.probability.GetOrigin(), probability.GetOrigin())
    pairs = [(sitk.GetArrayFromImage(probability) / 255, result.probability)]
    pairs += list(zip(coefficients, result.attention, strict=True))
    assert all(expected.std() > 0.1 for expected, _ in pairs)
    return [share_of_variation(expected, sitk.GetArrayFromImage(got) / 255) for expected, got in pairs]


def share_of_variation(expected, got):
    return float(np.abs(got - expected).mean() / expected.std())


def test_the_network_sees_what_the_published_pieces_say(segmenter, published, phantom):
    assert max(shares_of_variation(published, segmenter.segment(Volume(phantom, "phantom", True, ())))) < 0.06


@pytest.mark.parametrize("fault", ["a field shifted by a voxel", "a window 40 HU off"])
def test_a_fault_in_the_pieces_is_found_out(segmenter, published, phantom, monkeypatch, fault):
    """The mutants that the tolerance above has to tell from bfloat16."""
    if fault == "a window 40 HU off":
        monkeypatch.setattr(segmenter.first, "window_hu", (-120.0, 280.0))
    else:
        padded = Mirrored.padded
        monkeypatch.setattr(Mirrored, "padded", lambda around, field: np.roll(padded(around, field), 1, -1))
    assert min(shares_of_variation(published, segmenter.segment(Volume(phantom, "phantom", True, ())))) > 0.2


def test_a_phantom_only_model_warns_loudly_on_anything_else(segmenter, phantom):
    observer = SilentObserver()
    result = segmenter.segment(Volume(phantom, "patient", False, ("thick slices",)), None, observer)
    assert any("DO NOT USE" in warning for warning in result.warnings)
    assert result.warnings[0] == "thick slices" and observer.warnings == result.warnings
    quiet = segmenter.segment(Volume(phantom, "phantom", True, ()))
    assert not any("DO NOT USE" in warning for warning in quiet.warnings)


def test_volume_counts_the_voxels_at_the_threshold(segmenter, phantom):
    result = segmenter.segment(Volume(phantom, "phantom", True, ()))
    reached = np.count_nonzero(sitk.GetArrayViewFromImage(result.probability) >= 0.5 * 255)
    assert reached > 10_000
    assert result.volume_ml == {"Pancreas": pytest.approx(reached * 2 * 2 * 4 / 1000, abs=1e-3)}
    assert set(result.timings) == {"resample", "network", "restore"}
    assert result.threshold == 0.5 and result.device == "cpu" and result.device_name


@pytest.mark.parametrize("options", [SegmentOptions(), SegmentOptions(max_memory_mb=24)], ids=["whole", "tiles"])
def test_the_same_ct_gives_the_same_bits_and_is_left_alone(segmenter, package, phantom, options):
    before = sitk.GetArrayFromImage(phantom)
    volume = Volume(phantom, "phantom", True, ())
    first, *others = (each.segment(volume, options) for each in (segmenter, segmenter, Segmenter(package, "cpu")))
    for other in others:
        pairs = zip([first.probability, *first.attention], [other.probability, *other.attention], strict=True)
        assert all(np.array_equal(*map(sitk.GetArrayViewFromImage, pair)) for pair in pairs)
        assert (first.volume_ml, first.quality, first.tile_count) == (other.volume_ml, other.quality, other.tile_count)
    assert np.array_equal(before, sitk.GetArrayViewFromImage(phantom))


def test_a_memory_limit_means_tiles_and_the_same_answer(segmenter, phantom):
    whole = segmenter.segment(Volume(phantom, "phantom", True, ()))
    limit_mb = 12 * segmenter.device.dtype.itemsize  # a processor without bfloat16 needs twice the room for a tile
    tiled = segmenter.segment(Volume(phantom, "phantom", True, ()), SegmentOptions(max_memory_mb=limit_mb))
    assert whole.tile_count == 1 < tiled.tile_count
    a, b = (sitk.GetArrayFromImage(each.probability) / 255 for each in (whole, tiled))
    assert share_of_variation(a, b) < 0.2  # tiles are small here: much edge; see test_field for the tiles themselves
    assert share_of_variation(a, np.roll(b, 2, -1)) > 0.4  # as a shift by a voxel (4 mm) would be


def test_progress_is_determinate_and_cancel_is_obeyed(segmenter, phantom):
    class Recording(SilentObserver):
        def __init__(self, stop_at):
            super().__init__()
            self.steps, self.stop_at = [], stop_at

        def progress(self, fraction, stage):
            self.steps.append((fraction, stage))

        def cancelled(self):
            return bool(self.steps) and self.steps[-1][0] > self.stop_at

    observer = Recording(stop_at=2)
    segmenter.segment(Volume(phantom, "phantom", True, ()), None, observer)
    fractions = [fraction for fraction, _ in observer.steps]
    assert fractions == sorted(fractions) and fractions[-1] > 0.95
    assert {"Resampling", "Network"} <= {stage for _, stage in observer.steps}
    with pytest.raises(Cancelled):
        segmenter.segment(Volume(phantom, "phantom", True, ()), None, Recording(stop_at=0.4))


def test_files_of_a_result(segmenter, phantom, tmp_path):
    result = segmenter.segment(Volume(phantom, "phantom", True, ()))
    files = write_segmentation(result, tmp_path)
    assert files == ResultFiles("probability.nrrd", ("attention_1.nrrd", "attention_2.nrrd"))
    read = sitk.ReadImage(str(tmp_path / files.probability))
    assert np.allclose(read.GetOrigin(), result.probability.GetOrigin())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([files.probability, *files.attention])


def spoiled(package, tmp_path, weights=None, **changes):
    """A copy of the package with other weights or manifest values, and a right hash."""
    manifest = json.loads(json.dumps(package.manifest))
    manifest["weights"].pop("sha256", None)
    manifest["network"].update(changes)
    path = tmp_path / "weights.pt"
    if weights is None:
        shutil.copy(package.weights_path, path)
    else:
        torch.save(weights, path)
    return write_package(tmp_path / "package", manifest, path)


def test_weights_of_another_network_are_refused_by_name(tiny_model_package, tmp_path):
    with pytest.raises(BadModel, match=r"has shape .* needs"):
        Segmenter(spoiled(tiny_model_package, tmp_path, features=[8, 16, 24]), "cpu")


def test_missing_and_unknown_weights_are_refused_by_name(tiny_model_package, tmp_path):
    weights = torch.load(tiny_model_package.weights_path, weights_only=True)
    less = {name: tensor for name, tensor in weights.items() if name != "head.bias"}
    with pytest.raises(BadModel, match="head.bias"):
        Segmenter(spoiled(tiny_model_package, tmp_path / "a", _made(tmp_path / "a", less)), "cpu")
    with pytest.raises(BadModel, match="extra.weight"):
        more = {**weights, "extra.weight": torch.zeros(1)}
        Segmenter(spoiled(tiny_model_package, tmp_path / "b", _made(tmp_path / "b", more)), "cpu")


def _made(folder, weights):
    folder.mkdir()
    return weights


def test_weights_that_are_code_are_never_run(tiny_model_package, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "was run"), "w"))

    with pytest.raises(BadModel, match="cannot be read"):
        Segmenter(spoiled(tiny_model_package, tmp_path, {"head.bias": Payload()}), "cpu")
    assert not (tmp_path / "was run").exists()


def test_changed_weights_are_refused_before_they_are_loaded(tiny_model_package, tmp_path):
    folder = shutil.copytree(tiny_model_package.folder, tmp_path / "copy")
    with open(folder / "weights.pt", "r+b") as file:
        file.seek(200)
        file.write(b"x")
    with pytest.raises(BadModel, match="hash|sha|SHA"):
        Segmenter(load_package(folder), "cpu")


def test_devices():
    assert available_devices()[-1] == "cpu"
    assert choose_device("auto").kind == available_devices()[0]
    assert choose_device("cpu").name
    for name in ("tpu", "cuda:x", "cpu:1", "cuda:99", ""):
        with pytest.raises(UnavailableDevice, match="available|no compute device"):
            choose_device(name)


def test_with_its_grids_on_the_device_a_run_gives_the_same(segmenter, phantom, monkeypatch):
    """The device is the CPU here; Testing/gpu runs the same on a GPU."""
    volume = Volume(oblique(phantom), "phantom", True, ())
    host = segmenter.segment(volume)
    monkeypatch.setattr(segmenter, "grids", DeviceGrids(segmenter.device))
    device = segmenter.segment(volume)
    a, b = (sitk.GetArrayFromImage(result.probability).astype(int) for result in (host, device))
    assert a.shape == b.shape and a.std() > 50 and np.abs(a - b).max() <= 2
    a, b = a >= 128, b >= 128
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.999
