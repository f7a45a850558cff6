"""Attention gates, training data, spacing and patch, compared on the same held-out scans, seeds and steps.

``python -m research.benchmarks.model_comparison --synthetic SET/cases.csv --work FOLDER`` trains one small network a
configuration, measures each on the labelled real CTs of ``ATTENTIONUNETSEG_DATA`` and on unseen phantoms, and writes
``research/benchmarks/results/model_comparison.{json,md}``. The networks are small and trained briefly, so that a CPU
can do it: the table compares, it does not show how good a model can become. What the paper is about, gates or none, is
trained with several seeds: how far these lie apart is what a difference between gates has to exceed.

Configurations that train on real CTs are trained once a patient, without that patient (leave one patient out), and
measured on it; the labels of the real CTs were made by other models. ``SET`` is made by ``attention-unet-seg
synthesize``. A run that was interrupted goes on with what it lacks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import torch
from AttentionUNetSegLib.contracts import SegmentOptions
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.evaluation import (
    EvaluationOptions,
    choose_patients,
    compare_evaluations,
    comparison_markdown,
    evaluate_into_folder,
)
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.sampling import data_set_of

from ..development_scans import development_data, write_development_tables
from .machine import RESULTS, description

PHANTOMS = "phantom:210000-210003"
REAL_SHARE = 0.4


@dataclass(frozen=True)
class Arm:
    """One row of the table: what differs from the first row."""

    name: str
    gate: str = "additive"
    data: str = "synthetic"
    spacing_mm: float = 4.0
    patch: tuple[int, int, int] = (24, 40, 40)
    seed: int = 0


GATES = (
    Arm("additive gates"),
    Arm("grid gates", gate="grid"),
    Arm("no gates (U-Net)", gate="none"),
)
OTHERS = (
    Arm("smaller patch", patch=(16, 32, 32)),
    Arm("5 mm", spacing_mm=5.0, patch=(24, 32, 32)),
    Arm("real CTs only", data="real"),
    Arm("synthetic and real", data="both"),
)


def main() -> int:
    """Train, measure and compare; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=Path, required=True, help="table of a synthetic set")
    parser.add_argument("--work", type=Path, required=True, help="folder for tables, caches, models and evaluations")
    parser.add_argument("--steps", type=int, default=1500, help="of each training (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind of gate (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table goes")
    options = parser.parse_args()
    data = development_data()
    if not data.is_dir():
        print(f"Skipped: there are no real CTs at {data}; set ATTENTIONUNETSEG_DATA.")
        return 0
    write_development_tables(data, options.work / "real")
    repeated = [replace(arm, name=f"{arm.name}, seed {seed}", seed=seed)
                for seed in range(1, options.seeds) for arm in GATES]  # fmt: skip
    arms = [*GATES, *OTHERS, *repeated]
    with ProcessPoolExecutor(options.processes, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        documents = dict(zip([arm.name for arm in arms], pool.map(partial(_document, options), arms), strict=True))
    comparison = compare_evaluations(documents)
    comparison |= {
        "dice_by_gate": _dice_by_gate(comparison, [*GATES, *repeated]),
        "machine": description(), "steps": options.steps, "seeds": options.seeds,
        "synthetic_cts": len(open_datasets([f"table:{options.synthetic}"])),
        "command": "python -m research.benchmarks.model_comparison " + " ".join(sys.argv[1:]),
    }  # fmt: skip
    (options.results / "model_comparison.json").write_text(json.dumps(comparison, indent=1) + "\n", encoding="utf-8")
    words = comparison_markdown(comparison) + _markdown_over_seeds(comparison)
    (options.results / "model_comparison.md").write_text(words, encoding="utf-8")
    return 0


def _document(options, arm: Arm) -> dict:
    """The evaluation of one row."""
    real = open_datasets([f"table:{options.work / 'real' / 'cases.csv'}"])
    synthetic = open_datasets([f"table:{options.synthetic}"])
    document = _measured_in_folds(arm, synthetic, real, options)
    print(f"{arm.name}: " + ", ".join(f"{case['name']} {case['dice']:.3f}" for case in document["cases"]), flush=True)
    return document


def _measured_in_folds(arm: Arm, synthetic: Sequence[LabelledScan], real: Sequence[LabelledScan], options) -> dict:
    """The evaluation of one row; of rows with real data, the cases of all its folds together."""
    phantoms = open_datasets([PHANTOMS])
    if arm.data == "synthetic":
        return _trained_and_measured(arm, "", synthetic, [*real, *phantoms], {}, options)
    whole: dict = {}
    for number, held_out in enumerate(real):
        rest = [scan for scan in real if scan.patient != held_out.patient]
        scans = rest if arm.data == "real" else [*rest, *synthetic]
        shares = {} if arm.data == "real" else {data_set_of(rest[0]): REAL_SHARE}
        # The phantoms are measured once, with the first fold's model.
        measured = choose_patients(real, [held_out.patient], []) + (phantoms if number == 0 else [])
        document = _trained_and_measured(arm, held_out.patient, scans, measured, shares, options)
        whole = whole or {**document, "cases": []}
        whole["cases"] += document["cases"]
    return whole


def _trained_and_measured(arm: Arm, fold: str, scans, measured, shares, options) -> dict:
    words = re.sub("[^a-z0-9]+", "-", f"{arm.name} {fold}".lower()).strip("-")
    folder = options.work / words
    result = folder / "evaluation"
    if not (result / "evaluation.json").is_file():
        if not (folder / "model" / "model.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            train(_configuration(arm, folder, shares, options), scans)
        segmenter = Segmenter(load_package(folder / "model"), "cpu")
        evaluate_into_folder(
            segmenter, measured, result, SegmentOptions(keep_largest=True),
            EvaluationOptions("model_comparison.py", ("real CTs, phantoms",), pictures=0),
        )  # fmt: skip
    return json.loads((result / "evaluation.json").read_text(encoding="utf-8"))


def _configuration(arm: Arm, folder: Path, shares, options) -> TrainingConfiguration:
    base = TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", features=(8, 16, 32, 64),
        steps=options.steps, rate=4e-3, averaging=0.99,
        threads=1, seed=arm.seed, device="cpu", settling_batches=30, shares=shares, id=folder.name[:64].strip("-"),
    )  # fmt: skip
    return replace(base, spacing_mm=arm.spacing_mm, patch=arm.patch, gate=arm.gate)


def _dice_by_gate(comparison: dict, arms: Sequence[Arm]) -> dict[str, dict[str, list[float]]]:
    """The mean Dice of each seed, by kind of gate and by who made the labels."""
    means = {group["labels_by"]: {row["name"]: row["dice"]["mean"] for row in group["rows"]}
             for group in comparison["groups"]}  # fmt: skip
    return {
        gate.gate: {kind: [by_name[arm.name] for arm in arms if arm.gate == gate.gate]
                    for kind, by_name in means.items()}
        for gate in GATES
    }  # fmt: skip


def _markdown_over_seeds(comparison: dict) -> str:
    by_gate = comparison["dice_by_gate"]
    kinds = list(next(iter(by_gate.values())))
    lines = ["", "## Gates, over seeds", "", "Mean Dice of each training, and in bold their mean.", "",
             "| gates | " + " | ".join(f"labels: {kind}" for kind in kinds) + " |",
             "| --- |" + " --- |" * len(kinds)]  # fmt: skip
    for gate, dice in by_gate.items():
        cells = [f"**{fmean(dice[kind]):.3f}** ({', '.join(f'{value:.3f}' for value in dice[kind])})" for kind in kinds]
        lines.append(f"| {gate} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
