"""Peak memory of a 512 x 512 x 1000 int16 CT on the CPU: must stay within 6 GB of resident memory.

    python -m research.benchmarks.memory [--features 16 32 64 128 256] [--spacing 2] [--write]

The real worker process segments the volume (0.8 x 0.8 x 1 mm, a phantom repeated along the patient's axis) with a
network of the size of a full model package (random weights: memory does not depend on them). Its high-water mark of
resident memory is read from the kernel while it still runs. Exits with 1 beyond the limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

LIMIT_GB = 6.0


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--features", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--spacing", type=float, default=2.0, help="of the model's grid in mm")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/memory.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), arguments)
    print(f"512 x 512 x {arguments.slices} int16 on {result['device']}: peak {result['peak_gb']:.2f} GB resident")
    print(f"of that before the run {result['before_gb']:.2f} GB; {result['seconds']:.1f} s; stages {result['timings']}")
    if arguments.write:
        from .machine import write_results

        print("written to", write_results("memory", result))
    if result["peak_gb"] > LIMIT_GB:
        sys.exit(f"More than {LIMIT_GB:g} GB.")


def measure(folder: Path, arguments: argparse.Namespace) -> dict:
    """Run one segment job in a fresh worker and return its peak memory and timings."""
    from AttentionUNetSegLib.worker.client import WorkerClient
    from AttentionUNetSegLib.worker.protocol import Error, Segment
    from AttentionUNetSegLib.worker.transport import SubprocessTransport
    from random_model import write_random_model

    model = write_random_model(folder / "model", arguments.features, arguments.spacing, in_half=True).folder
    write_long_ct(folder / "input.nrrd", arguments.slices)
    with WorkerClient(SubprocessTransport) as client:
        client.start()
        while client.ready is None:
            client.pump(1.0)
        before = _high_water_gb(client.ready.pid)
        started = time.perf_counter()
        client.submit(Segment(job="memory", folder=str(folder), model=str(model), device="cpu"))
        outcome = client.wait("memory")
        if isinstance(outcome, Error):
            raise SystemExit(outcome.message)
        return {
            "slices": arguments.slices,
            "features": arguments.features,
            "spacing_mm": arguments.spacing,
            "before_gb": before,
            "peak_gb": _high_water_gb(client.ready.pid),
            "seconds": time.perf_counter() - started,
            "timings": dict(outcome.timings),
            "device": outcome.device_name,
        }


def write_long_ct(path: Path, slices: int) -> None:
    """Write a phantom of 512 x 512 x 200 voxels, repeated along K, as one int16 CT."""
    from AttentionUNetSegLib.phantom import make_phantom

    part = sitk.GetArrayFromImage(make_phantom(1, (0.8, 0.8, 1.0), "portal_venous", (409.6, 409.6, 200.0)).ct)
    image = sitk.GetImageFromArray(np.concatenate([part] * -(-slices // len(part)))[:slices])
    image.SetSpacing((0.8, 0.8, 1.0))
    sitk.WriteImage(image, str(path))


def _high_water_gb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024 / 1e9
    raise SystemExit("This benchmark reads /proc: run it on Linux.")


if __name__ == "__main__":
    main()
