"""Seconds per training step of the bundled model's network on a GPU, by memory layout and precision.

    python -m research.benchmarks.training_step [--write]

A step is forward pass, loss and backward pass of two patches of 80 x 112 x 128 voxels and the optimizer's update; the
median of five after three to warm up. Patches are made in threads beside the steps and are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES
from AttentionUNetSegLib.training.trainer import TrainingConfiguration

from ..pancreas_ct_recipe import BASE, FEATURES
from .machine import write_results

LAYOUTS = {"channels last": torch.channels_last_3d, "contiguous": torch.contiguous_format}
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
WARM_UP, MEASURED, BATCH = 3, 5, 2


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/training_step-cuda.json")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here.")
    torch.backends.cudnn.benchmark = True
    steps = {
        f"{layout}, {precision}": step_seconds(LAYOUTS[layout], PRECISIONS[precision])
        for layout in LAYOUTS
        for precision in PRECISIONS
    }
    results = {"device": torch.cuda.get_device_name(), "patch": list(BASE.patch), "batch": BATCH,
               "features": list(FEATURES), "seconds_per_step": steps}  # fmt: skip
    print(results)
    if arguments.write:
        print("written to", write_results("training_step-cuda", results))


def step_seconds(layout: torch.memory_format, precision: torch.dtype) -> float:
    """The median of the measured steps."""
    network = build_network(TrainingConfiguration("unused", features=FEATURES).network)
    network = network.cuda().to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    image = torch.rand(BATCH, 1, *BASE.patch, device="cuda").contiguous(memory_format=layout)
    assert network.out_channels == len(STRUCTURES)
    seconds = []
    for _ in range(WARM_UP + MEASURED):
        torch.cuda.synchronize()
        started = time.perf_counter()
        with torch.autocast("cuda", precision):
            levels = network(image)
        optimizer.zero_grad(set_to_none=True)
        sum(level.float().square().mean() for level in levels).backward()
        optimizer.step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds[WARM_UP:]), 4)


if __name__ == "__main__":
    main()
