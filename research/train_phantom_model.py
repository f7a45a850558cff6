"""Train the phantom-only model and write its package.

``python -m research.train_phantom_model --out FOLDER``
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.trainer.loss import PartialAnnotationLoss, PatchBatch
from AttentionUNetSegLib.training.trainer.validation import settled
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .phantom_cases import PatchSampler, TrainingCase, training_cases
from .phantom_model import MODEL_ID, NETWORK, SPACING_MM, TRAINING_SEEDS, WINDOW_HU, write_phantom_model

PATCH = (32, 48, 48)  # K, J, I: 128 x 192 x 192 mm, the pancreas and what is around it
BATCH_SIZE = 2
LEARNING_RATE = 4e-3
AVERAGING = 0.98  # decay per step of the moving average of the weights
SETTLING_BATCHES = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and write the package folder."""
    parser = argparse.ArgumentParser(prog="train_phantom_model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="package folder to write")
    parser.add_argument("--steps", type=int, default=900, help="optimizer steps (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="stop earlier after this time (default: %(default)s)"
    )
    parser.add_argument(
        "--phantoms", type=int, default=len(TRAINING_SEEDS), help="training phantoms (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--cache", type=Path, help="folder that keeps the phantoms between runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)

    started = time.monotonic()
    seeds = TRAINING_SEEDS[: options.phantoms]
    print(f"Drawing {len(seeds)} phantoms ...", flush=True)
    cases = list(training_cases(seeds, SPACING_MM, WINDOW_HU, options.cache, options.threads))
    print(f"Drawn in {time.monotonic() - started:.0f} s.", flush=True)
    network, steps = train(cases, options.steps, options.minutes)
    minutes = (time.monotonic() - started) / 60
    summary = (
        f"{steps} steps of {BATCH_SIZE} patches of {'x'.join(map(str, PATCH))} voxels (KJI) from {len(seeds)} "
        f"phantoms, AdamW with a one-cycle rate, Dice and cross-entropy with deep supervision, averaged weights; "
        f"{minutes:.0f} minutes with {options.threads} CPU threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}."
    )
    command = (
        f"python -m research.train_phantom_model --out {MODEL_ID} --steps {options.steps} "
        f"--minutes {options.minutes:g} --phantoms {len(seeds)} --threads {options.threads}"
    )
    package = write_phantom_model(options.out, network.state_dict(), summary, command)
    print(f"{summary}\nWritten to {package.folder} ({package.weights_path.stat().st_size / 2**20:.1f} MiB).")
    return 0


def train(cases: Sequence[TrainingCase], steps: int, minutes: float, seed: int = 0) -> tuple[torch.nn.Module, int]:
    """Train a network on `cases`; returns it in evaluation mode, and the number of steps taken.

    The learning rate follows one cycle over `steps`, or over `minutes` where that is less.
    """
    torch.manual_seed(seed)
    sampler = PatchSampler(cases, PATCH, np.random.default_rng(seed))
    network = build_network({**NETWORK, "deep_supervision": True}).to(memory_format=torch.channels_last_3d).train()
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    loss_function = PartialAnnotationLoss([1])
    started, recent, step = time.monotonic(), [], 0
    while (progress := max(step / steps, (time.monotonic() - started) / (60 * minutes))) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _one_cycle(progress)
        images, targets = sampler.batch(BATCH_SIZE)
        images = images.contiguous(memory_format=torch.channels_last_3d)
        # Not in bfloat16: on the CPU, torch 2.13 now and then returns gradients of 1e30 for the weights of
        # convolutions on the few places of the coarsest level.
        loss = loss_function(network(images), PatchBatch.fully_labelled(images, targets))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        averaged.update_parameters(network)
        recent.append(loss.item())
        step += 1
        if step % 20 == 0:
            elapsed = time.monotonic() - started
            print(f"step {step:4d}  loss {np.mean(recent[-20:]):.4f}  {elapsed:5.0f} s", flush=True)
    batches = (PatchBatch.fully_labelled(*sampler.batch(BATCH_SIZE)) for _ in range(SETTLING_BATCHES))
    return settled(averaged.module, batches), step


def _one_cycle(progress: float) -> float:
    """Learning rate, as a part of the highest: up over the first 20 %, then down to almost nothing (L. Smith 2018)."""
    if progress < 0.2:
        return 0.1 + 0.9 * progress / 0.2
    return 0.005 + 0.995 * 0.5 * (1 + np.cos(np.pi * (progress - 0.2) / 0.8))


if __name__ == "__main__":
    raise SystemExit(main())
