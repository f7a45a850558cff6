"""How good ``pancreas-ct`` is on patients whose CT, label and shape it never saw: manual contours, in folds.

``python -m research.pancreas_ct_cross_validation --work FOLDER --start-from PACKAGE --out OUT``
measures the folds' models of `pancreas_ct_manual` and `pancreas_ct_second_look`, each on the patients of its fold, and
``pancreas-ct`` 0.3.0 (PACKAGE) on the same ones, and writes ``OUT.json`` and ``OUT.md``. 0.3.0 saw the shapes, not the
CTs, of six of them, and the step that is cross-validated began with it. What was measured stays in
``FOLDER/cross_validation``, so that folds can be measured one after the other, or beside each other with ``--folds``;
delete that folder when the pipeline has changed.

Only slices that were contoured count. A constant that is chosen (the threshold, the limits of doubt) is chosen on four
folds and reported on the fifth.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from AttentionUNetSegLib.contracts import SegmentOptions
from AttentionUNetSegLib.imaging import write_image
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.inference.quality import SMALLEST_ML
from AttentionUNetSegLib.models import ModelPackage, load_package
from AttentionUNetSegLib.training.evaluation import MeasuredCase, evaluate_scans
from AttentionUNetSegLib.training.evaluation.bootstrap import bootstrap_interval
from AttentionUNetSegLib.training.evaluation.case_metrics import CaseMetrics, compare
from AttentionUNetSegLib.training.evaluation.cropped_case import CroppedCase
from AttentionUNetSegLib.training.evaluation.gate_selectivity import area_under_curve
from AttentionUNetSegLib.training.evaluation.performance_record import machine
from AttentionUNetSegLib.training.evaluation.poor_results import POOR_DICE
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.whole_file import whole_file
from scipy import stats

from .pancreas_ct_manual import manual_step_scans, mean_of_stages, read_folds
from .pancreas_ct_second_look import Looks, both_looks

COMMAND = "python -m research.pancreas_ct_cross_validation"
DATA_SET = "nih_pancreas"
DATA = "patients of NIH Pancreas-CT, manual contours, real slices"
USELESS_DICE = 0.5
MOST_FALSE_ALARMS = 0.1
THRESHOLDS = tuple(round(0.3 + 0.05 * step, 2) for step in range(11))
BEFORE = "0.3.0"
FIRST_LOOK_ALONE, VERSION = "0.5.1", "0.7.0"
VERSIONS = {FIRST_LOOK_ALONE: Looks((2,), passes=2), "0.6.1": Looks((2,), (1,)), VERSION: Looks((2,), (1, 2))}
EIGHT_PASSES = f"{VERSION}, 8 passes"
# What the network says of its own segment, the better the higher.
CERTAINTIES = {"expected_dice": "expected Dice", "mean_probability": "mean probability"}
# Poor results are too few to choose a limit by: what it is chosen by are results that need more than a touch.
WEAK_DICE = 0.7


@dataclass(frozen=True)
class Held:
    """What a model said of a patient that it did not see: the cropped result, and the numbers that go with it."""

    patient: str
    fold: int
    case: CroppedCase
    measured: dict[str, Any]

    def at(self, threshold: float) -> CaseMetrics:
        """The measurements at another threshold."""
        found = self.case.probability >= max(threshold * 255, 1)
        known = True if self.case.ignore is None else ~self.case.ignore
        return compare(replace(self.case, predicted=found & known, predicted_before_ignore=found))

    def dice_at(self, threshold: float) -> float:
        """The Dice alone, at another threshold: counted, not measured anew."""
        known = True if self.case.ignore is None else ~self.case.ignore
        found = (self.case.probability >= max(threshold * 255, 1)) & known
        return 2 * np.count_nonzero(found & self.case.label) / (found.sum() + self.case.label.sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_cross_validation", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    parser.add_argument("--start-from", type=Path, required=True, help="the package of pancreas-ct 0.3.0")
    parser.add_argument("--out", type=Path, required=True, help="results, without ending")
    parser.add_argument("--folds", type=int, nargs="*", help="only these folds (default: all)")
    parser.add_argument("--tta", action="store_true", help="measure test-time augmentation too (eight passes)")
    parser.add_argument("--probabilities", type=Path, help="folder for what each fold said of its patients")
    options = parser.parse_args(arguments)
    numbers = options.folds if options.folds else range(len(read_folds()))
    scans = [scan for scan in manual_step_scans(options.work) if scan.name.startswith(f"{DATA_SET}/")]
    rows: dict[str, list[Held]] = {}
    for number in numbers:
        apart = [scan for scan in scans if scan.patient in read_folds()[number]]
        models = {BEFORE: load_package(options.start_from)}
        models |= {name: fold_package(options.work, number, looks) for name, looks in VERSIONS.items()}
        if options.tta:
            models[EIGHT_PASSES] = models[VERSION]
        for name, package in models.items():
            keep = options.probabilities if name == VERSION else None
            rows.setdefault(name, []).extend(_held(package, name, apart, number, options.work, keep))
            print(f"fold {number}, {name}: {_line(summary(rows[name][-len(apart) :], 0.5))}", flush=True)
    document = {
        "command": COMMAND, "date": datetime.date.today().isoformat(), "machine": machine(),
        "data": f"{len(rows[VERSION])} {DATA}",
        "folds": list(numbers), "models": {name: _document(held) for name, held in rows.items()},
        "against": {name: against(rows[VERSION], held) for name, held in rows.items() if name != VERSION},
    }  # fmt: skip
    with whole_file(options.out.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    with whole_file(options.out.with_suffix(".md")) as beside:
        beside.write_text(markdown(document), encoding="utf-8")
    print(markdown(document))
    return 0


def fold_package(work: Path, number: int, looks: Looks) -> ModelPackage:
    """A fold's model.

    Raises
    ------
    BadInput : one of its stages is not trained.
    """
    part = f"fold_{number}"
    package = both_looks(work, part, looks) if looks.second else mean_of_stages(work, part, looks.first)
    return with_passes(package, looks.passes)


def with_passes(package: ModelPackage, passes: int) -> ModelPackage:
    """A fold's model that looks as often as the bundled one."""
    return replace(package, manifest={**package.manifest, "output": {**package.manifest["output"], "passes": passes}})


def summary(held: Sequence[Held], threshold: float | Mapping[int, float]) -> dict[str, Any]:
    """Means over patients with bootstrapped 95 % intervals, at one threshold or one a fold."""
    metrics = [each.at(threshold if isinstance(threshold, float) else threshold[each.fold]) for each in held]
    patients = [each.patient for each in held]
    result: dict[str, Any] = {"n": len(held)}
    for name in ("dice", "nsd", "recall", "precision", "hd95_mm"):
        pairs = [(getattr(m, name), patient) for m, patient in zip(metrics, patients, strict=True)]
        values = [value for value, _ in pairs if value is not None]
        if not values:
            result[name] = {"mean": None, "minimum": None, "maximum": None, "interval_95": [], "n": 0}
            continue
        interval = bootstrap_interval(values, [patient for value, patient in pairs if value is not None])
        result[name] = {"mean": _rounded(np.mean(values)), "minimum": _rounded(min(values)),
                        "maximum": _rounded(max(values)), "interval_95": [_rounded(end) for end in interval or ()],
                        "n": len(values)}  # fmt: skip
    dice = np.array([m.dice for m in metrics])
    errors = np.array([m.volume_error_percent for m in metrics])
    result["below_0.5"], result["below_0.6"] = int((dice < USELESS_DICE).sum()), int((dice < POOR_DICE).sum())
    result["volume_error_percent_median"] = _rounded(np.median(np.abs(errors)))
    result["volume_bias_percent_median"] = _rounded(np.median(errors))
    return result


def against(held: Sequence[Held], others: Sequence[Held]) -> dict[str, float]:
    """Dice of the same patients, one model's less another's: in how many higher, mean, standard error, Wilcoxon's p."""
    other = {each.patient: each.measured["dice"] for each in others}
    differences = np.array([each.measured["dice"] - other[each.patient] for each in held])
    return {
        "n": len(differences),
        "higher_in": int((differences > 0).sum()),
        "mean_difference": _rounded(differences.mean()),
        "standard_error": _rounded(differences.std(ddof=1) / np.sqrt(len(differences))),
        "wilcoxon_p": float(f"{stats.wilcoxon(differences).pvalue:.2g}"),
    }


def best_threshold(held: Sequence[Held]) -> float:
    """The threshold with the highest mean Dice."""
    return max(THRESHOLDS, key=lambda threshold: np.mean([each.dice_at(threshold) for each in held]))


def leave_one_fold_out(held: Sequence[Held], choose: Callable[[Sequence[Held]], float]) -> dict[int, float]:
    """A constant for each fold, chosen on the others (on all where there is only one fold)."""
    folds = sorted({each.fold for each in held})
    return {fold: choose([each for each in held if each.fold != fold] or list(held)) for fold in folds}


def doubt(held: Sequence[Held]) -> dict[str, Any]:
    """How well poor results (Dice below 0.6, and below 0.7) are told from others by what the network says of them."""
    dice = np.array([each.measured["dice"] for each in held])
    result: dict[str, Any] = {}
    for name in (*CERTAINTIES, "mean_spread"):
        # Nothing found, and spread 0: as unsure, and as sure, as can be.
        sure = np.array([each.measured.get(name) or 0.0 for each in held]) * (-1 if name == "mean_spread" else 1)
        if sure.any():
            result[name] = {
                **{f"area_under_curve_{limit:g}": area_under_curve(-sure[dice < limit], -sure[dice >= limit])
                   for limit in (POOR_DICE, WEAK_DICE)},
                "correlation_with_dice": _rounded(np.corrcoef(sure, dice)[0, 1]),
                "mean_excess_over_dice": _rounded((sure - dice).mean()),
            }  # fmt: skip
    return result


def best_limit(held: Sequence[Held]) -> float:
    """The expected Dice below which a result is called unsure: at most one in ten of those that are not weak is."""
    good = np.array([each.measured["dice"] >= WEAK_DICE for each in held])
    return _rounded(np.quantile(_expected(held)[good], MOST_FALSE_ALARMS))


def doubt_limits_by_fold(held: Sequence[Held]) -> dict[int, float]:
    """That limit for each fold, chosen on the others."""
    return leave_one_fold_out(held, best_limit)


def announced(held: Sequence[Held], limits: Mapping[int, float]) -> dict[str, list[int]]:
    """Of poor (Dice below 0.6), weak (to 0.7) and other results: how many are announced, of how many.

    Announced are those that are called unsure, empty or too small, with limits from the other folds.
    """
    limit = np.array([limits[each.fold] for each in held])
    too_small = np.array([each.measured["whole_ml"] < SMALLEST_ML for each in held])
    told = (_expected(held) < limit) | too_small
    dice = np.array([each.measured["dice"] for each in held])
    kinds = {"poor": dice < POOR_DICE, "weak": (dice >= POOR_DICE) & (dice < WEAK_DICE), "others": dice >= WEAK_DICE}
    return {kind: [int((told & which).sum()), int(which.sum())] for kind, which in kinds.items()}


def _expected(held: Sequence[Held]) -> np.ndarray:
    return np.array([each.measured["expected_dice"] or 0.0 for each in held])


def markdown(document: Mapping[str, Any]) -> str:
    """The results as a page."""
    lines = [
        "# pancreas-ct, cross-validated on manual contours", "",
        f"{document['data']}; folds {', '.join(map(str, document['folds']))}. `{document['command']}`; "
        f"{document['machine']}.", "",
        "0.3.0 saw the shapes (not the CTs) of six of these patients. The other rows are the folds' models of the "
        "steps that use these contours, each on patients whose CT, label and shape those steps left out: 0.5.1 looks "
        "twice at the whole scan, the voxel grid moved in between; 0.6.1 and later ones look once, and once more with "
        "a finer network around what they found. What is bundled was trained on longer, with all patients.", "",
        "| model | n | Dice (95 % interval) | lowest | below 0.5 | NSD at 2 mm | HD95 (mm) | recall | precision | "
        "volume error, median | bias |", "|" + "---|" * 11,
    ]  # fmt: skip
    for name, model in document["models"].items():
        for words, key in (("", "at_0.5"), (", threshold of the other folds", "at_other_folds_threshold")):
            lines.append(f"| {name}{words} | {_line(model[key])} |")
    for name, row in document["against"].items():
        lines += ["", f"{VERSION} against {name}: Dice higher in {row['higher_in']} of {row['n']} patients, by "
                  f"{row['mean_difference']:.3f} on average (standard error {row['standard_error']:.3f}); Wilcoxon's "
                  f"signed ranks: p = {row['wilcoxon_p']:.2g}."]  # fmt: skip
    lines += ["", "| model | gate | AUC of the coefficients, gland against body | inside | outside |",
              "|---|---|---|---|---|"]  # fmt: skip
    for name, model in document["models"].items():
        for number, gate in enumerate(model["gates"], start=1):
            lines.append(f"| {name} | {number} | {gate['auc']:.3f} (lowest {gate['lowest_auc']:.3f}) | "
                         f"{gate['inside']:.2f} | {gate['outside']:.2f} |")  # fmt: skip
    lines += ["", "Announced: unsure (the Dice that the network expects is below a limit from the other folds), "
              f"nothing found, or below {SMALLEST_ML:g} mL. AUC: how well results below Dice 0.7 are told from others.",
              "",
              "| model | thresholds of the folds | announced below Dice 0.6 | 0.6 to 0.7 | above | "
              + " | ".join(f"{words}: AUC, correlation with the Dice" for words in CERTAINTIES.values()) + " |",
              "|" + "---|" * (5 + len(CERTAINTIES))]  # fmt: skip
    for name, model in document["models"].items():
        told = " | ".join(f"{some} of {all_}" for some, all_ in model["announced_by_other_folds_limit"].values())
        measures = []
        for key in CERTAINTIES:
            row = model["doubt"][key]
            auc = row[f"area_under_curve_{WEAK_DICE:g}"]
            measures.append(f"{'-' if auc is None else f'{auc:.2f}'}, {row['correlation_with_dice']:.2f}")
        thresholds = ", ".join(str(value) for value in model["thresholds"].values())
        lines.append(f"| {name} | {thresholds} | {told} | {' | '.join(measures)} |")
    lines += ["", "Dice of each patient:", "", "| patient | fold | " + " | ".join(document["models"]) + " |",
              "|---|---|" + "---|" * len(document["models"])]  # fmt: skip
    columns = [{case["patient"]: case for case in model["cases"]} for model in document["models"].values()]
    for patient, case in sorted(columns[0].items()):
        scores = " | ".join(f"{column[patient]['dice']:.3f}" for column in columns)
        lines.append(f"| {patient} | {case['fold']} | {scores} |")
    return "\n".join(lines) + "\n"


def _held(
    package: ModelPackage, name: str, scans: Sequence[LabelledScan], fold: int, work: Path, keep: Path | None
) -> list[Held]:
    """What a model says of the patients of a fold: measured, or as it was measured before."""
    store = work / "cross_validation" / f"fold_{fold}_{name.replace(' ', '_').replace(',', '')}.pickle"
    if store.is_file():
        sha256, values = pickle.loads(store.read_bytes())
        if sha256 == package.weights_sha256:
            return [Held(*each) for each in values]
    held = list(_measured(package, name == EIGHT_PASSES, scans, fold, keep))
    store.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(store) as beside:
        # Not as `Held`: run as a command, this module has another name.
        values = [(each.patient, each.fold, each.case, each.measured) for each in held]
        beside.write_bytes(pickle.dumps((package.weights_sha256, values)))
    return held


def _measured(
    package: ModelPackage, tta: bool, scans: Sequence[LabelledScan], fold: int, keep: Path | None
) -> Iterator[Held]:
    for measured in evaluate_scans(Segmenter(package, "cpu"), scans, SegmentOptions(tta=tta)):
        if not isinstance(measured, MeasuredCase):
            raise SystemExit(f"{measured.name} could not be measured: {measured.reason}")
        row = measured.result.as_json()
        row["whole_ml"] = next(iter(measured.segmentation.volume_ml.values()))
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            write_image(measured.segmentation.probability, keep / f"{row['patient']}_probability.nrrd")
        yield Held(row["patient"], fold, measured.case, row)


def _document(held: Sequence[Held]) -> dict[str, Any]:
    thresholds = leave_one_fold_out(held, best_threshold)
    limits = doubt_limits_by_fold(held)
    chosen = best_threshold(held)
    return {
        "at_0.5": summary(held, 0.5),
        # What a model that is trained on everybody should use: chosen on all folds.
        "threshold": chosen,
        "at_threshold": summary(held, chosen),
        "limit_of_expected_dice": best_limit(held),
        "limits_of_expected_dice": limits,
        "announced_by_other_folds_limit": announced(held, limits),
        "thresholds": thresholds,
        "at_other_folds_threshold": summary(held, thresholds),
        "dice_by_threshold": {
            str(value): _rounded(np.mean([each.dice_at(value) for each in held])) for value in THRESHOLDS
        },
        "gates": _gates(held),
        "doubt": doubt(held),
        "cases": [{"fold": each.fold, **each.measured} for each in held],
    }


def _gates(held: Sequence[Held]) -> list[dict[str, float]]:
    gates = []
    for each in zip(*(case.measured["gates"] for case in held), strict=True):
        known = [gate for gate in each if gate["auc"] is not None]
        if known:
            means = {name: float(np.mean([gate[name] for gate in known])) for name in ("auc", "inside", "outside")}
            gates.append({**means, "lowest_auc": min(gate["auc"] for gate in known), "n": len(known)})
    return gates


def _line(row: Mapping[str, Any]) -> str:
    low, high = row["dice"]["interval_95"] or (float("nan"),) * 2
    return " | ".join((
        str(row["n"]), f"{row['dice']['mean']:.3f} ({low:.3f} to {high:.3f})", f"{row['dice']['minimum']:.2f}",
        str(row["below_0.5"]), f"{row['nsd']['mean']:.3f}", f"{row['hd95_mm']['mean']:.1f} (n = {row['hd95_mm']['n']})",
        f"{row['recall']['mean']:.3f}", f"{row['precision']['mean']:.3f}",
        f"{row['volume_error_percent_median']:.0f} %", f"{row['volume_bias_percent_median']:+.0f} %",
    ))  # fmt: skip


def _rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    raise SystemExit(main())
