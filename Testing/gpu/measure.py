"""Everything that only a GPU can show, within five minutes: the CUDA tests first, then the figures.

    python Testing/gpu/measure.py --write                                    on a machine with an NVIDIA GPU
    python Testing/gpu/measure.py --device cpu --slices 24 --pixels 96       the same script tried without one

On a machine that is lent bare, with torch alone: carry the wheels (`pip download --only-binary=:all: --no-deps -d .whl
SimpleITK pydicom monai` for its Python), there `pip install --no-index --no-deps --find-links .whl SimpleITK pydicom
monai`, and give `--out $OUT` for what shall come back; then copy gpu.json to research/benchmarks/results.

For each number of slices, in a process of its own: from the CT in memory to the result, cold (libraries, model and
device are loaded in that time) and warm (median of five), the seconds of each stage, the largest memory that tensors
took; the forward pass of the first look alone, all on the same field: ours, ours in float32, the network as it was
trained in one float32 pass, and MONAI's sliding window (96 x 96 x 96, overlap 0.25). For the numbers of slices of
``--compiled`` also what `torch.compile` makes of the network as it was trained, in the device's type, with and without
CUDA graphs: compiling takes a minute each, which is not counted. The share of its bound that the forward pass reaches
is the least time that its convolutions could take, each bound by the arithmetic or by the memory traffic of its input
and output, over the time it took; both limits are measured in the same process. Needs torch, numpy, scipy and
SimpleITK; what else is missing (pytest, MONAI) is said and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in (ROOT / "AttentionUNetSeg", ROOT / "Testing", ROOT):
    sys.path.insert(0, str(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--slices", type=int, nargs="+", default=[200, 321, 1000])
    parser.add_argument("--pixels", type=int, default=512, help="of a slice along both sides")
    parser.add_argument("--model", type=Path, help="model package (default: the bundled model for CT)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--compiled", type=int, nargs="*", default=[321], help="slices for which torch.compile is tried: minutes each"
    )
    parser.add_argument("--no-tests", action="store_true", help="measure only")
    parser.add_argument("--write", action="store_true", help="keep the numbers in research/benchmarks/results/gpu.json")
    parser.add_argument("--out", type=Path, help="folder to keep the numbers in instead")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments, arguments.slices[0])))
        return
    failed = False
    if not arguments.no_tests:
        failed = _tests() != 0
    rows = [_in_a_process(arguments, slices) for slices in arguments.slices]
    for row in rows:
        print(json.dumps(row, indent=2), flush=True)
    if arguments.write or arguments.out:
        from research.benchmarks import machine

        machine.RESULTS = arguments.out or machine.RESULTS
        print("written to", machine.write_results("gpu", rows))
    if failed:
        raise SystemExit("CUDA tests failed: see above.")


def _tests() -> int:
    if importlib.util.find_spec("pytest") is None:
        print("pytest is missing: the CUDA tests are left out.", flush=True)
        return 0
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", str(HERE / "test_on_gpu.py")], cwd=ROOT
    ).returncode


def _in_a_process(arguments: argparse.Namespace, slices: int) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:], "--one", "--slices", str(slices)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{slices} slices failed:\n{finished.stderr[-4000:]}")
    return json.loads(finished.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace, slices: int) -> dict:
    """All figures for one CT."""
    ct = phantom_ct(arguments.pixels, slices)
    started = time.perf_counter()
    import torch
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.inference import Segmenter

    segmenter = Segmenter(_package(arguments), arguments.device)
    volume = Volume(ct, "phantom", True, ())
    segmenter.segment(volume)
    cold = time.perf_counter() - started
    on_cuda = segmenter.device.kind == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    warm, stages = [], []
    for _ in range(arguments.repetitions):
        started = time.perf_counter()
        result = segmenter.segment(volume)
        warm.append(time.perf_counter() - started)
        stages.append(result.timings)
    return {
        "ct": f"{arguments.pixels} x {arguments.pixels} x {slices}",
        "device": result.device_name,
        "model": segmenter.package.id,
        "tiles": result.tile_count,
        "cold_seconds": cold,
        "warm_seconds": statistics.median(warm),
        "warm_slowest_seconds": max(warm),
        "stages_seconds": {key: statistics.median(each[key] for each in stages) for key in stages[0]},
        "warnings": result.warnings,
        "peak_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if on_cuda else None,
        "forward_pass": forward_passes(segmenter, volume, arguments.repetitions, slices in arguments.compiled),
    }


def forward_passes(segmenter, volume, repetitions: int, with_compiled: bool) -> dict:
    """Seconds of the network alone on the field of a CT, by engine, and how far they are from the bound."""
    import numpy as np
    import SimpleITK as sitk
    import torch
    from AttentionUNetSegLib.imaging import HUWindow, body_box, to_model_grid
    from AttentionUNetSegLib.inference import SilentObserver
    from AttentionUNetSegLib.inference.device import repeatable
    from AttentionUNetSegLib.inference.field import FieldPredictor
    from AttentionUNetSegLib.inference.forward_pass import multiply_adds
    from AttentionUNetSegLib.inference.fusion import FusedNetwork
    from AttentionUNetSegLib.inference.observer import StageProgress
    from AttentionUNetSegLib.inference.tiling import padded_shape

    coarse = to_model_grid(volume.image, segmenter.package.spacing_mm)
    intensities = HUWindow(*segmenter.package.window_hu).apply(sitk.GetArrayViewFromImage(coarse)[body_box(coarse)])
    device, network = segmenter.device, segmenter.network
    shape = padded_shape(intensities.shape, network.stride)
    padded = np.pad(intensities, [(0, n - length) for n, length in zip(shape, intensities.shape, strict=True)])
    field = torch.from_numpy(padded).to(device.device)
    silent = SilentObserver()

    def ours(dtype: torch.dtype) -> Callable[[], torch.Tensor]:
        chosen = dataclasses.replace(device, dtype=dtype)
        predictor = FieldPredictor(lambda where: FusedNetwork(network, where.transposed_upsampling).on(where), chosen)
        return lambda: predictor.predict(field, silent, StageProgress(silent, "Network", 0.0, 1.0)).probability(0)

    plain = type(network).forward
    trained = _copy_on(network, device)

    @torch.inference_mode()
    def as_trained() -> torch.Tensor:
        with repeatable():
            return torch.sigmoid(plain(trained, field[None, None]))[0, 0]

    def compiled(mode: str) -> Callable[[], torch.Tensor]:
        run = torch.compile(_copy_on(network, device).to(device.dtype), mode=mode, dynamic=False)
        image = field[None, None].to(device.dtype).contiguous(memory_format=device.memory_format)

        @torch.inference_mode()
        def probability() -> torch.Tensor:
            return torch.sigmoid(run(image).float())[0, 0]

        return probability

    engines = {
        "ours": ours(device.dtype),
        "ours float32": ours(torch.float32),
        "as trained, one float32 pass": as_trained,
    }
    if importlib.util.find_spec("monai") is not None:
        from monai.inferers import sliding_window_inference

        window = tuple(min(96, length) for length in shape)  # a smaller field would be filled up to the window

        @torch.inference_mode()
        def monai() -> torch.Tensor:
            with repeatable():
                logits = sliding_window_inference(
                    field[None, None], window, 1, trained, overlap=0.25, mode="gaussian", sigma_scale=0.125
                )
            return torch.sigmoid(logits)[0, 0]

        engines["MONAI sliding window"] = monai
    if with_compiled:
        engines["torch.compile, own type"] = compiled("default")
        engines["torch.compile with CUDA graphs, own type"] = compiled("reduce-overhead")
    rows, reference = {}, None
    for name, run in engines.items():
        try:
            seconds, probability = _timed(run, device, repetitions)
        except Exception as error:  # compilers fail in ways of their own; the other rows stay
            rows[name] = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"}
            continue
        reference = probability if reference is None else reference
        rows[name] = {"seconds": seconds, "largest_difference": float((probability - reference).abs().max())}
        found, expected = probability >= 0.5, reference >= 0.5
        rows[name]["dice_with_ours"] = float(2 * (found & expected).sum() / max(1, int(found.sum() + expected.sum())))
    fused = FusedNetwork(network, device.transposed_upsampling).on(device)
    peak, bandwidth = _peak_flops(device), _bandwidth(device)
    least = least_seconds(fused, shape, device.dtype.itemsize, peak, bandwidth)
    return {
        "field_kji": list(shape),
        "multiply_adds": multiply_adds(fused, shape),
        "measured_peak_tflops": peak / 1e12,
        "measured_bandwidth_gb_s": bandwidth / 1e9,
        "least_seconds": least,
        "share_of_bound": least / rows["ours"]["seconds"] if "seconds" in rows["ours"] else None,
        "engines": rows,
    }


def least_seconds(network, shape, element_bytes: int, flops: float, bandwidth: float) -> float:
    """The least time for a pass: of each convolution, arithmetic or the traffic of its tensors, whichever is longer."""
    places, total = float(shape[0] * shape[1] * shape[2]), 0.0

    def add(layer, here: float) -> None:
        nonlocal total
        ends = (layer.weight.shape[0], layer.weight.shape[1])
        read, written = ends if layer.upsamples == "transposed" else ends[::-1]
        coarser = 8 if layer.upsamples else 1
        moved = element_bytes * here * (read / coarser + written)
        total += max(2 * layer.multiply_adds * here / flops, moved / bandwidth)

    for level, block in enumerate(network.encoder):
        for layer in block:
            add(layer, places / 8**level)
    for level, gate in enumerate(network.gates):
        here = places / 8**level
        for layer in (network.upsampling[level], *network.decoder[level]):
            add(layer, here)
        if hasattr(gate, "is_grid"):
            for layer in (gate.W_g, gate.W_x, gate.psi):
                add(layer, here / (8 if gate.is_grid else 1))
    add(network.head, places)
    return total


def phantom_ct(pixels: int, slices: int):
    """An int16 CT of a phantom, 0.8 x 0.8 x 1 mm at 512 pixels; each voxel of a coarser one stands twice per axis."""
    import numpy as np
    import SimpleITK as sitk
    from AttentionUNetSegLib.phantom import make_phantom

    side = 409.6 / (pixels // 2)
    height = min(slices, 200)
    part = sitk.GetArrayFromImage(make_phantom(1, (side, side, 2.0), "portal_venous", (409.6, 409.6, float(height))).ct)
    for axis in range(3):
        part = np.repeat(part, 2, axis=axis)
    image = sitk.GetImageFromArray(np.concatenate([part] * -(-slices // len(part)))[:slices].astype(np.int16))
    image.SetSpacing((side / 2, side / 2, 1.0))
    return image


def _package(arguments: argparse.Namespace):
    from AttentionUNetSegLib.models import Catalogue, load_package

    return load_package(arguments.model) if arguments.model else Catalogue().default()


def _copy_on(network, device):
    import copy

    return copy.deepcopy(network).to(device.device, memory_format=device.memory_format)


def _timed(run: Callable, device, repetitions: int) -> tuple[float, object]:
    run()
    seconds = []
    for _ in range(repetitions):
        _wait(device)
        started = time.perf_counter()
        result = run()
        _wait(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


def _wait(device) -> None:
    import torch

    if device.kind == "cuda":
        torch.cuda.synchronize()


def _peak_flops(device) -> float:
    """Operations per second of a large matrix product in the device's precision."""
    import torch

    side = 8192 if device.kind == "cuda" else 512
    left = torch.randn(side, side, device=device.device, dtype=device.dtype)
    seconds, _ = _timed(lambda: left @ left, device, 5)
    return 2 * side**3 / seconds


def _bandwidth(device) -> float:
    """Bytes per second that a copy reads and writes."""
    import torch

    source = torch.zeros(2**30 if device.kind == "cuda" else 2**24, dtype=torch.uint8, device=device.device)
    target = torch.empty_like(source)
    seconds, _ = _timed(lambda: target.copy_(source), device, 5)
    return 2 * source.numel() / seconds


if __name__ == "__main__":
    main()
