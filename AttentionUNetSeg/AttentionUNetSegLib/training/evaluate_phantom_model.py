"""Measure the phantom-only model on phantoms that it never saw, through the whole inference pipeline.

``python -m AttentionUNetSegLib.training.evaluate_phantom_model --model FOLDER`` prints Dice per phantom, on the phantom's own voxel
grid, and what the attention gates do; with ``--record`` it writes the numbers into the package's manifest.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ..imaging import Volume
from ..inference import Segmenter
from ..models import ModelPackage, load_package, write_package
from .phantom import Phantom, make_phantom
from .phantom_model import EVALUATION_SEEDS
from .phantom_tissues import PHASES

# Slice distances of clinical protocols, from thin to thick, in turn.
SPACINGS_MM = ((0.8, 0.8, 2.0), (0.9, 0.9, 2.5), (0.8, 0.8, 5.0), (1.0, 1.0, 3.0), (0.9, 0.9, 4.0))
COMMAND = "python -m AttentionUNetSegLib.training.evaluate_phantom_model --model FOLDER"


@dataclass(frozen=True)
class GateReport:
    """What one gate does on one phantom.

    The mean coefficient in the pancreas (`inside`) and in the rest of the body (`outside`), and the 5th and 95th
    percentile over the body (`low`, `high`), all 0..1. `inside` is NaN where the gate's grid is too coarse to hold
    a place that is mostly pancreas.
    """

    inside: float
    outside: float
    low: float
    high: float


@dataclass(frozen=True)
class CaseReport:
    """Result on one phantom."""

    phantom: Phantom
    dice: float
    volume_ml: float
    true_volume_ml: float
    gates: tuple[GateReport, ...]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print, and record where asked; the exit status is 1 where the mean Dice is below 0.85."""
    parser = argparse.ArgumentParser(prog="evaluate_phantom_model", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model package")
    parser.add_argument("--phantoms", type=int, default=len(EVALUATION_SEEDS), help="how many (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="write the result into the package's manifest")
    options = parser.parse_args(arguments)
    package = load_package(options.model)

    reports = []
    for report in evaluate(package, EVALUATION_SEEDS[: options.phantoms]):
        reports.append(report)
        print(_line(report), flush=True)
    dice = np.array([report.dice for report in reports])
    print(f"Dice on {len(dice)} unseen phantoms: mean {dice.mean():.3f}, sd {_sd(dice):.3f}, minimum {dice.min():.3f}")
    for gate, values in enumerate(zip(*(report.gates for report in reports), strict=True), start=1):
        print(_gate_line(gate, values))
    if options.record:
        _record(package, dice)
        print(f"Recorded in {package.folder}.")
    return 0 if dice.mean() >= 0.85 else 1


def evaluate(package: ModelPackage, seeds: Sequence[int]) -> Iterator[CaseReport]:
    """Segment the phantom of each seed, at a spacing and phase that vary from one to the next."""
    segmenter = Segmenter(package)
    for index, seed in enumerate(seeds):
        phantom = make_phantom(seed, SPACINGS_MM[index % len(SPACINGS_MM)], PHASES[index % len(PHASES)])
        result = segmenter.segment(Volume(phantom.ct, f"phantom {seed}", True, ()))
        found = _on_grid(result.probability, phantom.ct, sitk.sitkNearestNeighbor) >= package.threshold * 255
        truth = sitk.GetArrayViewFromImage(phantom.pancreas) > 0
        voxel_ml = float(np.prod(phantom.ct.GetSpacing())) / 1000
        dice = 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
        yield CaseReport(
            phantom,
            dice,
            np.count_nonzero(found) * voxel_ml,
            np.count_nonzero(truth) * voxel_ml,
            tuple(_gate_report(attention, phantom) for attention in result.attention),
            sum(result.timings.values()),
        )


def _gate_report(attention: sitk.Image, phantom: Phantom) -> GateReport:
    alpha = sitk.GetArrayViewFromImage(attention) / 255
    pancreas = _on_grid(sitk.Cast(phantom.pancreas, sitk.sitkFloat32), attention, sitk.sitkLinear) > 0.5
    body = _on_grid(phantom.ct, attention, sitk.sitkLinear, -1000) > -300
    rest = alpha[body & ~pancreas]
    low, high = np.percentile(alpha[body], (5, 95))
    inside = alpha[pancreas].mean() if pancreas.any() else np.nan
    return GateReport(float(inside), float(rest.mean()), float(low), float(high))


def _on_grid(image: sitk.Image, reference: sitk.Image, interpolator: int, outside: float = 0.0) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), interpolator, outside))


def _line(report: CaseReport) -> str:
    spacing = " x ".join(f"{s:g}" for s in report.phantom.ct.GetSpacing())
    return (
        f"phantom {report.phantom.seed}  {spacing:>15} mm  {report.phantom.phase:<13}  Dice {report.dice:.3f}  "
        f"{report.volume_ml:5.1f} mL (true {report.true_volume_ml:5.1f})  {report.seconds:5.1f} s"
    )


def _gate_line(gate: int, reports: Sequence[GateReport]) -> str:
    inside, outside, low, high = np.nanmean([(r.inside, r.outside, r.low, r.high) for r in reports], axis=0)
    return (
        f"gate {gate}: mean coefficient {inside:.2f} in the pancreas, {outside:.2f} elsewhere in the body, "
        f"5..95 % {low:.2f}..{high:.2f}" + ("  (almost constant: it selects nothing)" if high - low < 0.05 else "")
    )


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _record(package: ModelPackage, dice: np.ndarray) -> None:
    seeds = EVALUATION_SEEDS[: len(dice)]
    entry = {
        "metric": "Dice",
        "mean": round(float(dice.mean()), 4),
        "standard_deviation": round(_sd(dice), 4),
        "minimum": round(float(dice.min()), 4),
        "n": len(dice),
        "data": f"unseen phantoms (seeds {seeds[0]} to {seeds[-1]}), both phases, slices of 2 to 5 mm; "
        "measured on the phantom's own voxels",
        "command": COMMAND,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}, "
        f"SimpleITK {sitk.Version_VersionString()}, Python {platform.python_version()}",
    }
    manifest = {**package.manifest, "performance": [entry]}
    write_package(package.folder, manifest, package.weights_path)


if __name__ == "__main__":
    raise SystemExit(main())
