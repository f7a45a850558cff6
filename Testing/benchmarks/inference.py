"""Our inference against MONAI's sliding window: the same network, the same field, one run.

    python Testing/benchmarks/inference.py [--slices 200 400] [--features 16 32 64 128 256] [--spacing 2] [--write]

A phantom of 512 x 512 x `slices` voxels is brought to the model's grid once and cropped to the patient. The very same
field then goes through
  - ours: the fused network in the device's precision, whole or in tiles as memory allows (`FieldPredictor`),
  - ours in float32, to tell the precision's part of the gain from the rest,
  - `monai.inferers.sliding_window_inference`, ROI 96 x 96 x 96, Gaussian importance, overlap 0.25 and 0.5, with the
    network as it was trained (float32, no folding), in inference mode.
Each runs in a process of its own, the peak of whose resident memory is read at the end; the time is the median of the
repetitions, after one small warm-up pass. Ratios are theirs divided by ours. MONAI gets no attention coefficients:
ours computes them in the same pass.

Default weights are random (the speed does not depend on them); `--model FOLDER` takes a model package's instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENGINES = ("ours", "ours float32", "MONAI overlap 0.25", "MONAI overlap 0.5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[200, 400])
    parser.add_argument("--features", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--spacing", type=float, default=2.0, help="of the model's grid in mm")
    parser.add_argument("--model", type=Path, help="model package; its network and spacing replace the two above")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="commit the numbers to results/inference-<device>.json")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--field", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure(arguments)))
        return
    results = [compare(arguments, slices) for slices in arguments.slices]
    if arguments.write:
        from machine import write_results

        print("written to", write_results(f"inference-{arguments.device}", results))


def compare(arguments: argparse.Namespace, slices: int) -> dict:
    """All engines on one field; prints a table and returns the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        field = Path(folder) / "field.npy"
        shape = make_field(field, slices, _spacing(arguments))
        rows = {}
        for engine in ENGINES:
            command = [sys.executable, __file__, *sys.argv[1:], "--engine", engine, "--field", str(field)]
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode:
                raise SystemExit(f"{engine} failed:\n{finished.stderr}")
            rows[engine] = json.loads(finished.stdout.splitlines()[-1])
        outputs = {engine: np.load(f"{field}.{engine}.npy", mmap_mode="r") for engine in ENGINES}
        interior = tuple(slice(16, -16) for _ in range(3))
        for engine in ENGINES:
            difference = np.abs(outputs[engine] - outputs["ours"])
            rows[engine]["largest_difference"] = float(difference.max())
            rows[engine]["largest_interior_difference"] = float(difference[interior].max())
            rows[engine]["mean_difference"] = float(difference.mean())
    ours = rows["ours"]
    print(f"\n512 x 512 x {slices}, field {' x '.join(map(str, shape[::-1]))} voxels, {arguments.device}")
    print(f"{'':22}{'seconds':>9}{'ratio':>8}{'memory MB':>11}{'ratio':>8}{'max |dp|':>10}{'interior':>10}{'mean':>9}")
    for engine, row in rows.items():
        row["time_ratio"] = row["seconds"] / ours["seconds"]
        row["memory_ratio"] = row["memory_mb"] / ours["memory_mb"]
        print(
            f"{engine:22}{row['seconds']:9.2f}{row['time_ratio']:8.2f}{row['memory_mb']:11.0f}"
            f"{row['memory_ratio']:8.2f}{row['largest_difference']:10.4f}{row['largest_interior_difference']:10.4f}"
            f"{row['mean_difference']:9.5f}",
            flush=True,
        )
    return {"slices": slices, "field_kji": shape, "network": _network_words(arguments), "engines": rows}


def make_field(path: Path, slices: int, spacing: tuple[float, float, float]) -> list[int]:
    """Write the network's input for a phantom of 512 x 512 x `slices` voxels (0.8 x 0.8 x 1 mm); return its shape."""
    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import HUWindow, body_box, to_model_grid
    from AttentionUNetSegLib.training.phantom import make_phantom

    phantom = make_phantom(1, (0.8, 0.8, 1.0), "portal_venous", (409.6, 409.6, float(slices)))
    assert phantom.ct.GetSize() == (512, 512, slices)
    coarse = to_model_grid(phantom.ct, spacing)
    field = HUWindow(-160, 240).apply(sitk.GetArrayViewFromImage(coarse)[body_box(coarse)])
    np.save(path, field)
    return list(field.shape)


def measure(arguments: argparse.Namespace) -> dict:
    """Time and memory of one engine, in this process."""
    import torch

    field = np.load(arguments.field)
    network = _network(arguments)
    run = _ours(arguments, network) if arguments.engine.startswith("ours") else _monai(arguments, network)
    run(field[:32, :32, :32])
    # Resets the kernel's high-water mark: what loading and warming up needed does not count. (ru_maxrss would even
    # count the parent's memory.)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _status_mb("VmRSS")
    if arguments.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(arguments.repetitions):
        started = time.perf_counter()
        probability = run(field)
        seconds.append(time.perf_counter() - started)
    memory = _status_mb("VmHWM") - before
    if arguments.device == "cuda":
        memory = torch.cuda.max_memory_allocated() / 1e6
    np.save(f"{arguments.field}.{arguments.engine}.npy", probability)
    return {"seconds": statistics.median(seconds), "all_seconds": seconds, "memory_mb": memory}


def _ours(arguments: argparse.Namespace, network):
    import dataclasses

    import torch
    from AttentionUNetSegLib.inference import SilentObserver, choose_device
    from AttentionUNetSegLib.inference.field import FieldPredictor
    from AttentionUNetSegLib.inference.fusion import FusedNetwork
    from AttentionUNetSegLib.inference.observer import StageProgress

    device = choose_device(arguments.device)
    if arguments.engine == "ours float32":
        device = dataclasses.replace(device, dtype=torch.float32)
    predictor = FieldPredictor(lambda where: FusedNetwork(network, where.transposed_upsampling).on(where), device)
    observer = SilentObserver()

    def run(field):
        prediction = predictor.predict(field, observer, StageProgress(observer, "Network", 0.0, 1.0))
        return prediction.probability(0).numpy()

    return run


def _monai(arguments: argparse.Namespace, network):
    import torch
    from monai.inferers import sliding_window_inference

    overlap = float(arguments.engine.split()[-1])
    network = network.to(arguments.device)

    @torch.inference_mode()
    def run(field):
        tensor = torch.from_numpy(field)[None, None].to(arguments.device)
        logits = sliding_window_inference(
            tensor, (96, 96, 96), 1, network, overlap=overlap, mode="gaussian", sigma_scale=0.125
        )
        return torch.sigmoid(logits)[0, 0].cpu().numpy()

    return run


def _network(arguments: argparse.Namespace):
    import torch
    from AttentionUNetSegLib.inference.segmenter import load_network
    from AttentionUNetSegLib.models import load_package
    from AttentionUNetSegLib.network import AttentionUNet

    if arguments.model:
        return load_network(load_package(arguments.model))
    torch.manual_seed(0)
    return AttentionUNet(3, 1, 1, arguments.features, "additive", "batch").eval()


def _spacing(arguments: argparse.Namespace) -> tuple[float, float, float]:
    if arguments.model:
        from AttentionUNetSegLib.models import load_package

        return load_package(arguments.model).spacing_mm
    return (arguments.spacing,) * 3


def _network_words(arguments: argparse.Namespace) -> str:
    if arguments.model:
        return f"model package {arguments.model.name}"
    return f"AttentionUNet {tuple(arguments.features)}, additive gates, random weights, {arguments.spacing:g} mm"


def _status_mb(key: str) -> float:
    """A value of /proc/self/status in MB: VmRSS is the resident memory now, VmHWM its peak. Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1]) * 1024 / 1e6
    raise SystemExit("This benchmark reads /proc/self/status: run it on Linux.")


if __name__ == "__main__":
    main()
