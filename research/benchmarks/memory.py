"""Peak memory of a 512 x 512 x 1000 int16 CT on the CPU: each process must stay within 2 GB of resident memory.

    python -m research.benchmarks.memory [--model FOLDER] [--features 16 32 64 128 256] [--command] [--write]

The real worker process segments the volume (0.8 x 0.8 x 1 mm, a phantom repeated along the patient's axis) with the
bundled model, another package, or (`--features`) a network of random weights on a grid of `--spacing` mm: memory does
not depend on weights. Its high-water mark of resident memory is read from the kernel while it still runs. `--command`
measures `attention-unet-seg segment` with all that it writes as well: the high-water marks of its own process and of
its worker, and the most that all of its processes held at one time (proportional set sizes, looked at every 0.05 s).
Exits with 1 beyond the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import SimpleITK as sitk

LIMIT_GB = 2.0
_SECONDS_BETWEEN_LOOKS = 0.05


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--model", type=Path, help="model package (default: the bundled model for CT)")
    parser.add_argument("--features", type=int, nargs="+", help="of a network with random weights instead")
    parser.add_argument("--spacing", type=float, default=2.0, help="of its grid in mm")
    parser.add_argument("--command", action="store_true", help="measure the command line too")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/memory.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job").mkdir()
        write_long_ct(folder / "job" / "input.nrrd", arguments.slices)
        model = _model(folder, arguments)
        result = {"slices": arguments.slices, "model": model.id, "features": model.network["features"]}
        result |= measure_worker(folder / "job", model.folder)
        peaks = {"worker": result["peak_gb"]}
        if arguments.command:
            result["command"] = measure_command(folder / "job" / "input.nrrd", folder / "out", model.folder)
            peaks |= result["command"]["peak_gb"]
    print(f"512 x 512 x {arguments.slices} int16, {model.id}, {result['device']}: {result['peak_gb']:.2f} GB resident")
    print(f"of that before the run {result['before_gb']:.2f} GB; {result['seconds']:.1f} s; stages {result['timings']}")
    if arguments.command:
        print(f"the command: {result['command']}")
    if arguments.write:
        from .machine import write_results

        print("written to", write_results("memory", result))
    if max(peaks.values()) > LIMIT_GB:
        sys.exit(f"More than {LIMIT_GB:g} GB.")


def measure_worker(folder: Path, model: Path) -> dict:
    """Segment `input.nrrd` of a job folder in a fresh worker and return its peak memory and timings."""
    from AttentionUNetSegLib.worker.client import WorkerClient
    from AttentionUNetSegLib.worker.protocol import Error, Segment
    from AttentionUNetSegLib.worker.transport import SubprocessTransport

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
            "before_gb": before,
            "peak_gb": _high_water_gb(client.ready.pid),
            "seconds": time.perf_counter() - started,
            "timings": dict(outcome.timings),
            "device": outcome.device_name,
        }


def measure_command(ct: Path, output: Path, model: Path) -> dict:
    """Run `attention-unet-seg segment` and return the peak of each process, of all at one time, and its timings."""
    words = ["segment", str(ct), "-o", str(output), "--model", str(model), "--device", "cpu", "--json"]
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen([sys.executable, "-m", "AttentionUNetSegLib.cli", *words], stdout=answer)
        peaks: dict[str, float] = {}
        together = 0.0
        while process.poll() is None:
            now = 0.0
            for pid in _tree(process.pid):
                try:
                    name = "command" if pid == process.pid else _name(pid)
                    peaks[name] = max(peaks.get(name, 0.0), _high_water_gb(pid))
                    now += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") * 1024 / 1e9
                except (FileNotFoundError, ProcessLookupError, LookupError):
                    continue  # it has just ended
            together = max(together, now)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        answer.seek(0)
        report = json.load(answer)
    if process.returncode:
        raise SystemExit(report["error"]["message"])
    return {"peak_gb": peaks, "together_gb": together, "timings": report["timings"]}


def _model(folder: Path, arguments: argparse.Namespace):
    from AttentionUNetSegLib.models import Catalogue, load_package

    if arguments.features:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Testing"))
        from random_model import write_random_model

        return write_random_model(folder / "model", arguments.features, arguments.spacing, in_half=True)
    return load_package(arguments.model) if arguments.model else Catalogue().default()


def write_long_ct(path: Path, slices: int) -> None:
    """Write a phantom of 512 x 512 x 200 voxels, repeated along K, as one int16 CT."""
    from AttentionUNetSegLib.phantom import make_phantom

    part = sitk.GetArrayFromImage(make_phantom(1, (0.8, 0.8, 1.0), "portal_venous", (409.6, 409.6, 200.0)).ct)
    image = sitk.GetImageFromArray(np.concatenate([part] * -(-slices // len(part)))[:slices])
    image.SetSpacing((0.8, 0.8, 1.0))
    sitk.WriteImage(image, str(path))


def _high_water_gb(pid: int) -> float:
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM") * 1024 / 1e9


def _kilobytes(path: Path, key: str) -> float:
    """A value of a file below /proc, which only Linux has."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return float(line.split()[1])
    raise LookupError(f"{path} holds no {key}: it ends, or this is no Linux.")


def _tree(pid: int) -> list[int]:
    """A process and all that it started."""
    pids = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):  # of each thread
        with suppress(FileNotFoundError, ProcessLookupError):
            pids += [each for child in children.read_text().split() for each in _tree(int(child))]
    return pids


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    return "worker" if any("worker" in word for word in words) else "others"


if __name__ == "__main__":
    main()
