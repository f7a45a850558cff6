"""The finished package of ``pancreas-ct`` 0.7.0: the final networks with the card that their folds have earned.

``python -m research.pancreas_ct_card --work FOLDER --results FILE.json --bundle FOLDER`` reads what
`pancreas_ct_cross_validation` wrote. Every number of the card is one of these measurements; the final networks
themselves have seen all patients and were not measured on any of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from AttentionUNetSegLib.models import ModelPackage, load_package

from .pancreas_ct_cross_validation import COMMAND as MEASURED_BY
from .pancreas_ct_cross_validation import FIRST_LOOK_ALONE, VERSION, VERSIONS, Looks
from .pancreas_ct_manual import COMMAND as TRAINED_BY
from .pancreas_ct_manual import stage_packages
from .pancreas_ct_second_look import COMMAND as SECOND_LOOK_BY
from .pancreas_ct_second_look import LEVELS, both_looks, second_look_packages

NAME = "Pancreas on CT"
DESCRIPTION = (
    "Finds the pancreas on abdominal CT, portal venous above all. Trained on manual contours of 49 patients and on "
    "synthetic CTs made from real label maps."
)
# Nothing was chosen: a threshold from the other folds did no better on the fold that was left out.
THRESHOLD = 0.5
# What the recipe of 0.3.0 calls its sets of synthetic CTs says nothing outside of it.
SYNTHETIC_SETS = {name: f"synthetic_{name}" for name in ("first", "more", "hard", "beside")}
INTENDED_USE = (
    "Research on abdominal CT of adults in Hounsfield units, with every result looked at and corrected. Not for "
    "diagnosis, treatment or dose planning."
)
BEFORE = (
    "It goes on from 0.3.0, which was trained almost entirely on synthetic CTs: with mean Dice 0.54 on 12 patients of "
    "the same collection that stay hidden, five of them below 0.5."
)
FAULT = (
    "In trainings with skipped steps the gradients of the coarsest level were wrong (bfloat16 on a CPU, torch 2.13)."
)
SYNTHESIS = (
    "The synthesis was designed after looking at failures on three older real CTs, which were trained on, and at what "
    "was told of the 12 hidden patients, which were not."
)
# What of *final* is bundled: its first network had a stage more than the folds'.
BUNDLED = Looks(first=(2, 3), second=(1, 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the package; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_card", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    parser.add_argument("--results", type=Path, required=True, help="what pancreas_ct_cross_validation wrote (.json)")
    parser.add_argument("--before", type=Path, required=True, help="the package of pancreas-ct 0.3.0")
    parser.add_argument("--bundle", type=Path, required=True, help="folder to write the package to")
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text(encoding="utf-8"))
    stages = {
        part: (stage_packages(options.work, part), second_look_packages(options.work, part))
        for part in (f"fold_{results['folds'][0]}", "final")
    }
    card = finished(*stages.values(), load_package(options.before), results)
    both_looks(options.work, "final", BUNDLED, options.bundle, card)
    return 0


def finished(
    fold: tuple[Sequence[ModelPackage], Sequence[ModelPackage]],
    final: tuple[Sequence[ModelPackage], Sequence[ModelPackage]],
    before: ModelPackage,
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole card, for `join_second_look`: of the stages of both looks of a fold and of *final*."""
    last = final[0][max(BUNDLED.first) - 1]
    measured = results["models"][VERSION]
    row = measured["at_0.5"]
    data = {
        json.dumps(entry): {**entry, "name": SYNTHETIC_SETS.get(entry["name"], entry["name"])}
        for package in (before, last) for entry in package.manifest["training"]["data"]
    }  # fmt: skip
    looks = VERSIONS[VERSION]
    first, finer, first_at_last, finer_at_last = map(
        trained, (*fold, *final), (looks.first, looks.second, BUNDLED.first, BUNDLED.second)
    )
    summary = (
        f"{BEFORE} Then, in each of {len(results['folds'])} folds: {first} At last, from the mean of the first two "
        f"folds' weights after their first stage and with all patients: {first_at_last} The second look, a finer "
        f"network for the surroundings of the gland, goes on from the finest {LEVELS} levels of a fold's first "
        f"network: {finer} At last, from the mean of the folds' second looks and with all patients: {finer_at_last} "
        f"{FAULT} {SYNTHESIS}"
    )
    return {
        **{key: value for key, value in last.manifest.items() if key != "weights"},
        "id": "pancreas-ct", "version": VERSION, "name": NAME, "description": DESCRIPTION,
        "intended_use": INTENDED_USE, "default": True,
        "output": {"activation": "sigmoid", "threshold": THRESHOLD, "passes": looks.passes,
                   "trust": {"expected_dice_limit": measured["limit_of_expected_dice"]}},
        "training": {**last.manifest["training"], "summary": summary, "command": f"{TRAINED_BY}; {SECOND_LOOK_BY}",
                     "data": list(data.values())},
        "performance": performance(row, results), "limitations": limitations(row, results),
        "weights": {"file": "weights.pt", "dtype": "float16"},
    }  # fmt: skip


def trained(packages: Sequence[ModelPackage], chosen: Sequence[int]) -> str:
    """The trainings of the stages in turn, and of which of them, counted from 1, the weights are averaged."""
    words = " Then ".join(package.manifest["training"]["summary"] for package in packages[: max(chosen)])
    if len(chosen) == 1:
        return words
    return f"{words} Of stages {' and '.join(map(str, chosen))} the mean of the weights is taken."


def performance(row: Mapping[str, Any], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of the card: what the folds' models reached on the patients that they did not see."""
    entries = []
    for key, metric in (("dice", "Dice"), ("hd95_mm", "HD95 (mm)"), ("nsd", "NSD at 2 mm")):
        values = row[key]
        low, high = values["interval_95"]
        entry = {
            "metric": metric, "mean": values["mean"], "n": values["n"], "truth": "manual contours",
            "data": f"cross-validation of {len(results['folds'])} of 5 folds, before the training with all: "
                    f"{results['data']}; 95 % interval of the mean {low:.3g} to {high:.3g}; Dice below 0.5 in "
                    f"{row['below_0.5']}",
            "command": MEASURED_BY, "date": results["date"], "machine": results["machine"],
        }  # fmt: skip
        if key != "hd95_mm":
            entry["minimum"] = values["minimum"]
        entries.append(entry)
    return entries


def limitations(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """What the card says of what the model cannot do."""
    told = results["models"][VERSION]["announced_by_other_folds_limit"]
    (weak_told, weak), (others_told, others) = np.add(told["poor"], told["weak"]).tolist(), told["others"]
    return (
        "Research use only: not a medical device, not for diagnosis or treatment; every result has to be checked. "
        "Manual contours of 49 patients without pancreatic disease were trained on, portal venous, with oral contrast "
        "medium. These CTs begin and end with the gland and hold 0 to 255 HU only: whole scans were not measured. "
        f"On {row['n']} patients left out, mean Dice {row['dice']['mean']:.2f} (0.3.0 on the same: "
        f"{results['models']['0.3.0']['at_0.5']['dice']['mean']:.2f}; without the second look, 0.5.1: "
        f"{results['models'][FIRST_LOOK_ALONE]['at_0.5']['dice']['mean']:.2f}), lowest "
        f"{row['dice']['minimum']:.2f}; the volume was off by {row['volume_error_percent_median']:.0f} % in the "
        f"median. Of {weak} results below Dice 0.7 {weak_told} were announced, of {others} others {others_told}. "
        "What is bundled was trained longer, with all patients, and was measured on none of them. Without "
        "contrast medium, in late arterial phase, and on other scanners next to nothing was measured. Expect "
        "failures on what the data hardly holds: tumours, cysts, pancreatitis, stents, after surgery, children, "
        "shrunken glands, and scans that show only a part of the upper abdomen. A part of the splenic or portal "
        "vein, of duodenum or jejunum may be taken in."
    )


if __name__ == "__main__":
    raise SystemExit(main())
