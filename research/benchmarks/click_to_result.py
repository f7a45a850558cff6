"""From the click on Segment to the segment in the scene, cold and warm, stage by stage; and what the threshold costs.

    python -m research.benchmarks.click_to_result [--model FOLDER] [--slices 200] [--write]

The session segments a phantom CT of 512 x 512 x `slices` voxels in a real MRML scene. Cold: no worker runs, so its
start (Python, torch) and the model's loading are part of the time. Warm: the same worker, again. Then the threshold is
moved over the result as a slider does, each step until the segment in the scene has changed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from phantom_package import PHANTOM_MODEL


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=PHANTOM_MODEL, help="model package (default: the phantom model)")
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--write", action="store_true", help="keep the numbers in results/click_to_result[-<model>]-<device>.json"
    )
    arguments = parser.parse_args()
    result = measure(arguments)
    for run in ("cold", "warm"):
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in result[run]["timings"].items())
        print(f"{run}: {result[run]['seconds']:.2f} s from click to segment ({stages})")
    step = result["threshold_milliseconds"]
    print(f"threshold: median {step['median']:.0f} ms, slowest {step['largest']:.0f} ms of {step['steps']} steps")
    if arguments.write:
        from .machine import write_results

        model = "" if arguments.model == PHANTOM_MODEL else f"-{arguments.model.resolve().name}"
        print("written to", write_results(f"click_to_result{model}-{result['device']}", result))


def measure(arguments: argparse.Namespace) -> dict:
    """Run cold, warm, and the threshold steps; return all times."""
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.models import load_package
    from AttentionUNetSegLib.phantom import make_phantom
    from AttentionUNetSegLib.scene import add_volume, open_standalone_scene, set_threshold
    from AttentionUNetSegLib.session import SegmentRequest, Session

    package = load_package(arguments.model.resolve())
    phantom = make_phantom(1, (0.8, 0.8, 1.0), "portal_venous", (409.6, 409.6, float(arguments.slices)))
    _app, scene = open_standalone_scene()
    node = add_volume(scene, Volume(phantom.ct, "phantom", True, ()))
    request = SegmentRequest(model=package, device=arguments.device)
    runs = {}
    with Session() as session:
        for run in ("cold", "warm"):
            started = time.perf_counter()
            result = session.wait(session.segment(node, request))
            runs[run] = {"seconds": time.perf_counter() - started, "timings": result.timings}
    steps = []
    for percent in range(10, 95, 2):
        started = time.perf_counter()
        set_threshold(result.nodes, percent / 100)
        steps.append((time.perf_counter() - started) * 1000)
    milliseconds = {"median": statistics.median(steps), "largest": max(steps), "steps": len(steps)}
    return {
        "ct": f"512 x 512 x {arguments.slices}",
        "model": f"{package.id} {package.version}",
        "device": result.device,
        "device_name": result.device_name,
        **runs,
        "threshold_milliseconds": milliseconds,
    }


if __name__ == "__main__":
    main()
