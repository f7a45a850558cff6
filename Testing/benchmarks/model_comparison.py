"""Attention gates, training data, spacing and patch, compared on the same held-out scans, seeds and steps.

``python Testing/benchmarks/model_comparison.py --synthetic SET/cases.csv --work FOLDER`` trains one small network a
configuration, measures each on the labelled real CTs of ``ATTENTIONUNETSEG_DATA`` and on unseen phantoms, and writes
``Testing/benchmarks/results/model_comparison.{json,md}``. The networks are small and trained briefly, so that a CPU can
do it: the table compares, it does not show how good a model can become.

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
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.development_scans import development_data, write_development_tables
from AttentionUNetSegLib.training.evaluation import (
    EvaluationOptions,
    RunOptions,
    choose_patients,
    compare_evaluations,
    comparison_markdown,
    evaluate_into_folder,
)
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.sampling import data_set_of
from machine import RESULTS, description

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


ARMS = (
    Arm("additive gates"),
    Arm("grid gates", gate="grid"),
    Arm("no gates (U-Net)", gate="none"),
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
    parser.add_argument("--steps", type=int, default=600, help="of each training (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of each training (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table goes")
    options = parser.parse_args()
    data = development_data()
    if not data.is_dir():
        print(f"Skipped: there are no real CTs at {data}; set ATTENTIONUNETSEG_DATA.")
        return 0
    torch.set_num_threads(1)
    write_development_tables(data, options.work / "real")
    real = open_datasets([f"table:{options.work / 'real' / 'cases.csv'}"])
    synthetic = open_datasets([f"table:{options.synthetic}"])
    documents = {}
    for arm in ARMS:
        documents[arm.name] = _document(arm, synthetic, real, options)
        print(f"{arm.name}: " + ", ".join(f"{case['name']} {_dice(case)}" for case in documents[arm.name]["cases"]),
              flush=True)  # fmt: skip
    comparison = compare_evaluations(documents) | {
        "machine": description(), "steps": options.steps, "seed": options.seed, "synthetic_cts": len(synthetic),
        "command": "python Testing/benchmarks/model_comparison.py " + " ".join(sys.argv[1:]),
    }  # fmt: skip
    (options.results / "model_comparison.json").write_text(json.dumps(comparison, indent=1) + "\n", encoding="utf-8")
    (options.results / "model_comparison.md").write_text(comparison_markdown(comparison), encoding="utf-8")
    return 0


def _document(arm: Arm, synthetic: Sequence[LabelledScan], real: Sequence[LabelledScan], options) -> dict:
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
            segmenter, measured, result, EvaluationOptions(None, False, True),
            RunOptions("model_comparison.py", ("real CTs, phantoms",), pictures=0),
        )  # fmt: skip
    return json.loads((result / "evaluation.json").read_text(encoding="utf-8"))


def _configuration(arm: Arm, folder: Path, shares, options) -> TrainingConfiguration:
    base = TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", features=(8, 16, 32, 64),
        steps=options.steps, rate=4e-3, averaging=0.99,
        threads=1, seed=options.seed, device="cpu", settling_batches=30, shares=shares, id=folder.name[:64].strip("-"),
    )  # fmt: skip
    return replace(base, spacing_mm=arm.spacing_mm, patch=arm.patch, gate=arm.gate)


def _dice(case: dict) -> str:
    value = case.get("metrics", case).get("dice")
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
