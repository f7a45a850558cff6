"""What the gates and their supervision bring: the same training with other gates, on patients that it left out.

``python -m research.pancreas_ct_gates --work FOLDER --start-from PACKAGE --out OUT [--folds 0] [--seeds 0]``
trains the first stage of `pancreas_ct_manual`'s folds with each of `VARIANTS`, measures each on the patients of its
fold, one look, threshold 0.5, and writes ``OUT.json``. What is there already is neither trained nor measured again, so
that folds and seeds can be added by other sessions and machines: delete the file to begin anew.

All begin with the weights of ``pancreas-ct`` 0.3.0 (PACKAGE), whose gates are additive: what another network has of its
own begins anew. So a variant without these gates may need more steps to show what it can; one that wins in spite of
it does win.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import ModelPackage, load_package
from AttentionUNetSegLib.models.manifest import MANIFEST_FILE
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.evaluation import MeasuredCase, evaluate_scans
from AttentionUNetSegLib.training.evaluation.performance_record import machine
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.checkpoint import initial_weights
from AttentionUNetSegLib.whole_file import whole_file

from .pancreas_ct_cross_validation import DATA_SET, with_passes
from .pancreas_ct_manual import FOLD, manual_step_scans, read_folds, stage_configuration

COMMAND = "python -m research.pancreas_ct_gates"
SHIPPED = "additive"
# Gate, and how much the supervised attention counts.
VARIANTS = {
    SHIPPED: ("additive", 0.1),
    "additive_unsupervised": ("additive", 0.0),
    "grid": ("grid", 0.1),
    "grid_unsupervised": ("grid", 0.0),
    "none": ("none", 0.0),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_gates", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    parser.add_argument("--start-from", type=Path, required=True, help="the package of pancreas-ct 0.3.0")
    parser.add_argument("--out", type=Path, required=True, help="results, without ending")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(len(read_folds()))))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto", help="where to train (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: torch's own choice)")
    parser.add_argument("--workers", type=int, default=0, help="threads that make patches ahead (default: %(default)s)")
    options = parser.parse_args(arguments)
    options.minutes = None
    rows = rows_in(options.out.with_suffix(".json"))
    for variant in options.variants:
        there = {(row["fold"], row["seed"]) for row in rows.setdefault(variant, [])}
        for fold, seed in itertools.product(options.folds, options.seeds):
            if (fold, seed) not in there:
                measured = _measured(_trained(options, variant, fold, seed), options.work, fold)
                rows[variant] += [{"fold": fold, "seed": seed, **each} for each in measured]
    document = {
        "command": COMMAND, "date": datetime.date.today().isoformat(), "machine": machine(), "steps": FOLD[0].steps,
        "variants": {variant: compared(each, rows.get(SHIPPED, [])) for variant, each in rows.items()},
    }  # fmt: skip
    for variant, numbers in document["variants"].items():
        print(variant, {name: value for name, value in numbers.items() if name != "cases"})
    with whole_file(options.out.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def rows_in(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The measured patients of each variant in a file that this command wrote; none where there is no file.

    Raises
    ------
    SystemExit
        The file tells of trainings of another length: they are not to be compared.
    """
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["steps"] != FOLD[0].steps:
        raise SystemExit(
            f"{path} tells of trainings of {document['steps']} steps, a fold's first stage has {FOLD[0].steps}: "
            "give another --out."
        )
    return {variant: list(numbers["cases"]) for variant, numbers in document["variants"].items()}


def compared(rows: Sequence[dict[str, Any]], shipped: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over patients, folds and seeds, and the paired difference in Dice from what is shipped.

    The standard error of the difference counts each patient once, whatever the number of seeds.
    """
    gates = zip(*([gate["auc"] for gate in row["gates"]] for row in rows), strict=True)
    numbers: dict[str, Any] = {
        "n": len({row["patient"] for row in rows}), "runs": len({(row["fold"], row["seed"]) for row in rows}),
        "mean_dice": _rounded(np.mean([row["dice"] for row in rows])),
        "gate_auc": [_rounded(np.mean([auc for auc in each if auc is not None])) for each in gates],
    }  # fmt: skip
    before = {(row["patient"], row["seed"]): row["dice"] for row in shipped}
    differences: dict[str, list[float]] = {}
    for row in rows:
        if (row["patient"], row["seed"]) in before:
            difference = row["dice"] - before[row["patient"], row["seed"]]
            differences.setdefault(row["patient"], []).append(difference)
    each = [float(np.mean(values)) for values in differences.values()]
    if len(each) > 1:
        numbers["dice_minus_shipped"] = _rounded(np.mean(each))
        numbers["standard_error"] = _rounded(np.std(each, ddof=1) / len(each) ** 0.5)
    return {**numbers, "cases": list(rows)}


def _trained(options: argparse.Namespace, variant: str, fold: int, seed: int) -> ModelPackage:
    gate, weight = VARIANTS[variant]
    folder = options.work / "gates" / f"fold_{fold}_{variant}_seed_{seed}"
    if not (folder / "model" / MANIFEST_FILE).is_file():
        stage = replace(FOLD[0], seed=seed)
        configuration = stage_configuration(options, stage, folder, options.start_from, read_folds()[fold])
        configuration = replace(configuration, gate=gate, attention_weight=weight, command=COMMAND)
        configuration = replace(configuration, start_from=start_of(configuration, folder / "start.pt"))
        train(configuration, manual_step_scans(options.work))
    return load_package(folder / "model")


def start_of(configuration: TrainingConfiguration, path: Path) -> Path:
    """What a network of this kind begins with: the given weights; gates that it alone has are made anew, at `path`."""
    assert configuration.start_from is not None
    given = initial_weights(Path(configuration.start_from))
    torch.manual_seed(configuration.seed)
    own = build_network(configuration.network).state_dict()
    gates = {name: tensor for name, tensor in own.items() if name.startswith("gates.") and name not in given}
    if not gates:
        return Path(configuration.start_from)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**given, **gates}, path)
    return path


def _measured(package: ModelPackage, work: Path, fold: int) -> list[dict[str, Any]]:
    scans = [
        scan for scan in manual_step_scans(work)
        if scan.name.startswith(f"{DATA_SET}/") and scan.patient in read_folds()[fold]
    ]  # fmt: skip
    rows = []
    for measured in evaluate_scans(Segmenter(with_passes(package, 1), "cpu"), scans):
        if not isinstance(measured, MeasuredCase):
            raise SystemExit(f"{measured.name} could not be measured: {measured.reason}")
        row = measured.result.as_json()
        rows.append({"patient": row["patient"], "dice": row["dice"], "gates": row["gates"]})
    return rows


def _rounded(value: Any) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    raise SystemExit(main())
