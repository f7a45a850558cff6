"""What `attention-unet-seg segment` takes from the command to its exit, and where the seconds go.

    python -m research.benchmarks.command_line [--slices 321] [--repetitions 3] [--other PYTHON ...] [--write]

The command segments a phantom CT of 512 x 512 x `slices` voxels (a compressed NIfTI) into a new folder, as people run
it: with scene, picture and measurements. Wall seconds are the run's own; processor seconds are those of the command and
of every process that it started, which a busy machine changes less. `--other` names the Python of another installation
(an earlier version): its runs take turns with ours, and the ratio of the medians is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=321)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--ct", type=Path, help="another CT than the phantom")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--other", type=Path, help="Python of another installation, to be compared with")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/command_line.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ct = options.ct or _phantom(Path(folder), options.pixels, options.slices)
        pythons = {"this": Path(sys.executable)} | ({"other": options.other} if options.other else {})
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
        for number in range(options.repetitions):
            for name, python in pythons.items():
                runs[name].append(run(python, ct, Path(folder) / f"{name}_{number}", options.device))
                print(name, json.dumps(runs[name][-1]), flush=True)
    summary = {name: _medians(each) for name, each in runs.items()}
    what = str(options.ct or f"phantom, {options.pixels} x {options.pixels} x {options.slices}")
    results = {"ct": what, "repetitions": options.repetitions, "medians": summary, "runs": runs}
    for name, medians in summary.items():
        print(name, "medians:", ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in medians.items()))
    if options.other:
        for key in ("wall", "processor"):
            print(f"{key}: {summary['this'][key] / summary['other'][key]:.2f} of the other's")
    if options.write:
        from .machine import write_results

        print("written to", write_results("command_line", results))


def run(python: Path, ct: Path, output: Path, device: str) -> dict[str, Any]:
    """Run the command once; return its wall and processor seconds, and its own account of the stages."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    words = ["-m", "AttentionUNetSegLib.cli", "segment", ct, "-o", output, "--device", device]
    done = subprocess.run([python, *words], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"The command failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(next(output.glob("*_report.json")).read_text(encoding="utf-8"))
    return {
        "wall": wall,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "stages": report["timings"],
        "scene_mb": next(output.glob("*_scene.mrb")).stat().st_size / 1e6,
    }


def _phantom(folder: Path, pixels: int, slices: int) -> Path:
    import SimpleITK as sitk
    from AttentionUNetSegLib.phantom import make_phantom

    side = 409.6 / pixels
    path = folder / "ct.nii.gz"
    sitk.WriteImage(make_phantom(1, (side, side, 1.0), "portal_venous", (409.6, 409.6, float(slices))).ct, str(path))
    return path


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    stages = {stage: statistics.median(each["stages"].get(stage, 0.0) for each in runs) for stage in runs[0]["stages"]}
    return {key: statistics.median(each[key] for each in runs) for key in ("wall", "processor")} | stages


if __name__ == "__main__":
    main()
