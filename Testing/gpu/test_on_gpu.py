"""What cannot run without a GPU; `measure.py` runs it first. Here it is skipped, saying so."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device here: run Testing/gpu/measure.py where there is one", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from AttentionUNetSegLib.imaging import Volume  # noqa: E402
from AttentionUNetSegLib.inference import Segmenter, SilentObserver  # noqa: E402
from AttentionUNetSegLib.inference.fusion import FusedNetwork  # noqa: E402
from AttentionUNetSegLib.models import Catalogue, load_package  # noqa: E402
from AttentionUNetSegLib.phantom import make_phantom  # noqa: E402
from phantom_package import PHANTOM_MODEL  # noqa: E402


@pytest.fixture(scope="module")
def volume():
    return Volume(make_phantom(3, (2.0, 2.0, 3.0)).ct, "phantom", True, ())


@pytest.fixture(scope="module")
def gpu():
    return Segmenter(load_package(PHANTOM_MODEL), "cuda")


@pytest.fixture(scope="module")
def on_cpu(volume):
    return Segmenter(load_package(PHANTOM_MODEL), "cpu").segment(volume)


def whole(result, volume):
    return sitk.GetArrayFromImage(sitk.Resample(result.probability, volume.image, sitk.Transform())).astype(int)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_gpu_finds_what_the_cpu_finds(gpu, volume, on_cpu):
    observer = SilentObserver()
    result = gpu.segment(volume, None, observer)
    assert result.device == "cuda" and result.tile_count == 1 and not observer.warnings
    a, b = whole(result, volume), whole(on_cpu, volume)
    assert dice(a >= 128, b >= 128) > 0.999
    print("largest difference of the probability:", np.abs(a - b).max() / 255)


def test_the_same_ct_gives_the_same_bits(gpu, volume):
    torch.backends.cudnn.benchmark = True  # as training leaves it
    first, second = gpu.segment(volume), gpu.segment(volume)
    fresh = Segmenter(load_package(PHANTOM_MODEL), "cuda").segment(volume)
    for other in (second, fresh):
        assert other.tile_count == first.tile_count
        pairs = zip([first.probability, *first.attention], [other.probability, *other.attention], strict=True)
        assert all(np.array_equal(*map(sitk.GetArrayFromImage, pair)) for pair in pairs)


def test_a_network_on_the_gpu_can_be_fused(gpu):
    FusedNetwork(Segmenter(load_package(PHANTOM_MODEL), "cpu").network.cuda())


@pytest.mark.parametrize("left_mb", [300, 5])
def test_a_gpu_that_is_nearly_full_is_no_crash(volume, on_cpu, left_mb):
    """A real allocation takes the memory: first tiles, then even the weights do not fit."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(int(free - left_mb * 1e6), 1), dtype=torch.uint8, device="cuda")
    try:
        result = Segmenter(load_package(PHANTOM_MODEL), "cuda").segment(volume)
    finally:
        del taken
        torch.cuda.empty_cache()
    assert dice(whole(result, volume) >= 128, whole(on_cpu, volume) >= 128) > 0.98


def test_training_validates_and_exports(tmp_path, volume):
    pytest.importorskip("monai", reason="training needs MONAI")
    from AttentionUNetSegLib.cli import main

    folder = tmp_path / "set"
    folder.mkdir()
    phantom = make_phantom(3, (2.0, 2.0, 3.0))
    rows = ["image,label,structures,name,patient,labels_by,licence,attribution"]
    for name in ("a", "b"):
        sitk.WriteImage(phantom.ct, str(folder / f"{name}.nrrd"))
        sitk.WriteImage(phantom.pancreas, str(folder / f"{name}-label.nrrd"))
        rows.append(f"{name}.nrrd,{name}-label.nrrd,pancreas=1,{name},{name},synthetic,CC0-1.0,nobody")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["train", "--dataset", f"table:{folder / 'cases.csv'}", "--out", str(tmp_path / "model"),
             "--spacing", "4", "--patch", "32,32,32", "--features", "8,16,16", "--structures", "pancreas",
             "--batch", "2", "--steps", "20", "--validate-on", "b", "--validation-minutes", "0",
             "--device", "cuda"]  # fmt: skip
    assert main(words) == 0
    assert Segmenter(load_package(tmp_path / "model"), "cuda").segment(volume).device == "cuda"


def test_both_looks_of_the_bundled_model_find_what_they_find_on_the_cpu(volume):
    package = Catalogue().default()
    assert package.second_look is not None
    host, device = (Segmenter(package, where).segment(volume) for where in ("cpu", "cuda"))
    assert device.device == "cuda" and device.timings["second_look"] > 0
    a, b = whole(device, volume), whole(host, volume)
    print("both looks, largest difference of the probability:", np.abs(a - b).max() / 255)
    assert (b >= 128).sum() > 1000 and dice(a >= 128, b >= 128) >= 0.999


def test_what_was_warmed_up_gives_the_same(volume):
    package = Catalogue().default()
    warm = Segmenter(package, "cuda")
    for _step in warm.warm_up():
        pass
    pair = (sitk.GetArrayFromImage(each.segment(volume).probability) for each in (warm, Segmenter(package, "cuda")))
    assert np.array_equal(*pair)


def test_a_pass_is_never_synchronised_on_the_way(gpu, volume, monkeypatch):
    def refused(*_arguments):
        raise AssertionError("the host waits for the whole device")

    monkeypatch.setattr(torch.cuda, "synchronize", refused)
    assert gpu.segment(volume).device == "cuda"
