"""How the bundled model ``pancreas-ct`` is made and measured, from label maps and a few real CTs, on a CPU.

``python -m AttentionUNetSegLib.training.pancreas_ct_recipe --work FOLDER`` does it all and goes on where it stopped:

1. synthetic CTs from the label maps of ``ATTENTIONUNETSEG_DATA``;
2. *base*: a network trained on the first synthetic CTs, at 4 mm, where patches are cheap and see much of the abdomen;
3. *finer*: trained on with all synthetic CTs, at 3 mm;
4. *adapted*: trained on, with a quarter of the patches from the labelled real CTs.

Step 4 is done once with all real CTs, which gives the model, and once without each patient, which tells how well the
procedure does on a patient that it never saw (leave one patient out; steps 1 to 3 saw no patient at all).
``--only`` does one of these trainings, so that two processes share the work.
The probability's calibration is measured with test-time augmentation on the patients that were left out; from which
doubt on a result is poor, on synthetic CTs that were not trained on (from the same label maps, deformed otherwise).
``--record`` writes what was measured into the model's card, ``--bundle`` copies the package to ``Resources/Models``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import BadInput
from ..inference import Segmenter
from ..models import ModelPackage, load_package, write_package
from .datasets import open_datasets
from .development_scans import development_data, write_development_tables
from .evaluation import (
    EvaluationOptions,
    MeasuredCase,
    doubt_limits,
    evaluate_scans,
    performance_entries,
    record_doubt_limits,
    record_performance,
)
from .evaluation.bootstrap import RESAMPLES
from .evaluation.calibration_drawing import draw_reliability
from .evaluation.overlay import write_png
from .evaluation.summary import summarise
from .labelled_scan import LabelledScan
from .synthesis import SyntheticSet, Variety, collect_anatomies, write_synthetic_set
from .trainer import TrainingConfiguration, train
from .trainer.sampling import data_set_of

COMMAND = "python -m AttentionUNetSegLib.training.pancreas_ct_recipe"
PHANTOMS = "phantom:200000-200009"
REAL_SHARE = 0.25
FEATURES = (8, 24, 64, 128, 160)

VERSION = "0.2.0"  # raise it with every new training
NAME = "Pancreas on CT"
DESCRIPTION = (
    "Finds the pancreas on abdominal CT, portal venous or without contrast medium. Trained almost entirely on "
    "synthetic CTs made from real label maps."
)
INTENDED_USE = (
    "Research on abdominal CT of adults in Hounsfield units, with every result looked at and corrected. Not for "
    "diagnosis, treatment or dose planning."
)


SHAPES = (
    "In the synthetic CTs the shapes of organs are those of 18 patients with manual contours and of 2 with labels by "
    "TotalSegmentator; the rest is computed."
)


@dataclass(frozen=True)
class Stage:
    """One training of the recipe: what differs from `TrainingConfiguration`'s defaults."""

    spacing_mm: float
    patch: tuple[int, int, int]
    steps: int
    rate: float
    averaging: float


BASE = Stage(4.0, (32, 48, 48), 2600, 0.003, 0.996)
FINER = Stage(3.0, (32, 64, 64), 850, 0.002, 0.996)
ADAPTED = Stage(3.0, (32, 64, 64), 240, 0.001, 0.992)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, measure, print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_recipe", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data sets, caches, runs and models")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each training (default: %(default)s)")
    parser.add_argument("--only", metavar="CASE", help="train without this real CT ('': with all), and measure nothing")
    parser.add_argument("--results", type=Path, help="JSON file for the measurements")
    parser.add_argument("--record", action="store_true", help="write the measurements into the model's card")
    parser.add_argument("--bundle", type=Path, help="folder to which the finished package is copied")
    options = parser.parse_args(arguments)
    data = development_data()
    if not data.is_dir():
        raise BadInput(f"There are no label maps and CTs at {data}.", "Set ATTENTIONUNETSEG_DATA to their folder.")
    torch.set_num_threads(options.threads)
    synthetic, base_cts, unseen, real = data_sets(data, options.work)
    base = _trained(options, "base", BASE, base_cts, None)
    start = _trained(options, "finer", FINER, synthetic, base)
    if options.only is not None:
        _adapted(options, options.only, start, synthetic, real)
        return 0
    final = _adapted(options, "", start, synthetic, real)
    measured = list(_left_out(options, start, synthetic, real, EvaluationOptions()))
    cleaned = list(_left_out(options, start, synthetic, real, EvaluationOptions(keep_largest=True)))
    phantoms = list(evaluate_scans(Segmenter(final, "cpu"), open_datasets([PHANTOMS])))
    others = [list(evaluate_scans(Segmenter(final, "cpu"), unseen, EvaluationOptions(tta=tta)))
              for tta in (False, True)]  # fmt: skip
    limits = {
        # Each as it will be used: the probability of a single pass, the spread of several.
        "mean_probability": doubt_limits([case.result for case in others[0]])["mean_probability"],
        "mean_spread": doubt_limits([case.result for case in others[1]])["mean_spread"],
    }
    entries = []
    parts = ((measured, "leave one patient out"), (phantoms, PHANTOMS), (others[0], "unseen synthetic CTs"))
    for cases, words in parts:
        entries += performance_entries(_summary(cases), words, COMMAND)
    averaged = list(_left_out(options, start, synthetic, real, EvaluationOptions(tta=True)))
    diagrams = {group["labels_by"]: group["calibration"] for group in _summary(averaged)}
    document = {
        "performance": entries,
        "cases": [case.result.as_json() for cases, _ in parts for case in cases],
        "cases_largest_part_only": [case.result.as_json() for case in cleaned],
        "cases_with_test_time_augmentation": [case.result.as_json() for case in averaged],
        "calibration_with_test_time_augmentation": diagrams,
        "doubt_limits": limits,
    }
    print(json.dumps(document, indent=1))
    if options.results:
        write_png(draw_reliability(diagrams), options.results.with_name(f"{options.results.stem}_reliability.png"))
        options.results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.bundle:
        final = write_package(options.bundle, _finished(final, measured), final.weights_path)
    if options.record:
        record_doubt_limits(record_performance(final, entries), limits)
    return 0


def data_sets(data: Path, work: Path) -> tuple[list[LabelledScan], ...]:
    """Synthetic scans to train on, the first of them alone, others not to train on, and the labelled real scans.

    Made where they are missing.
    """
    maps = data / "labelmaps"
    anatomies = work / "set" / "anatomies"
    if not (anatomies / "anatomies.json").is_file():
        trunks = [maps / f"totalsegmentator_{name}" for name in ("s0327", "s0328")]
        collect_anatomies(trunks, sorted((maps / "multiorgan_18").glob("*.nii.gz")), anatomies, 1)
    sets = (
        SyntheticSet(work / "set", anatomies, 160, 0, 0.2, Variety(0.25, 0, 0)),
        SyntheticSet(work / "more", anatomies, 140, 1000, 0.2, Variety(0.25, 0, 0)),
        # What the first networks took for pancreas: wide veins beside a shrunken, fatty gland, without contrast medium.
        SyntheticSet(work / "hard", anatomies, 60, 3000, 0.0, Variety(0.7, 0.6, 0.6, 0.5)),
        SyntheticSet(work / "unseen", anatomies, 40, 5000, 0.0, Variety(0.25, 0.15, 0.15)),
    )
    tables = [wanted.folder / "cases.csv" for wanted in sets]
    for wanted, table in zip(sets, tables, strict=True):
        if not table.is_file():
            write_synthetic_set(wanted, os.cpu_count() or 1)
    real = work / "real" / "cases.csv"
    if not real.is_file():
        write_development_tables(data, work / "real")
    first, more, hard, unseen = (open_datasets([f"table:{table}"]) for table in tables)
    return [*first, *more, *hard], first, unseen, open_datasets([f"table:{real}"])


def _left_out(options, start: ModelPackage, synthetic, real, evaluation: EvaluationOptions) -> Iterator[MeasuredCase]:
    """Each real scan, measured with the model that never saw its patient."""
    for scan in real:
        package = _adapted(options, scan.name.split("/")[-1], start, synthetic, real)
        yield from evaluate_scans(Segmenter(package, "cpu"), [scan], evaluation)


def _adapted(options, without: str, start: ModelPackage, synthetic, real) -> ModelPackage:
    """Trained on from `start` with all real scans but those of the patient of the scan `without` ("": with all)."""
    apart = {scan.patient for scan in real if scan.name.split("/")[-1] == without}
    kept = [scan for scan in real if scan.patient not in apart]
    return _trained(options, f"without_{without}" if without else "final", ADAPTED, [*synthetic, *kept], start)


def _trained(options, name: str, stage: Stage, scans, start: ModelPackage | None) -> ModelPackage:
    folder = options.work / name
    if (folder / "model" / "model.json").is_file():
        return load_package(folder / "model")
    real = {data_set_of(scan) for scan in scans if scan.is_labelled_by_a_model}
    configuration = TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", threads=options.threads, workers=1, device="cpu",
        batch=2, features=FEATURES, shares=dict.fromkeys(real, REAL_SHARE), name=NAME, description=DESCRIPTION,
        start_from=None if start is None else Path(start.folder).with_name("run"), command=COMMAND,
        id=re.sub("[^a-z0-9]+", "-", name.lower()),
    )  # fmt: skip
    return train(replace(configuration, **vars(stage)), scans)


def _finished(package: ModelPackage, left_out: Sequence[MeasuredCase]) -> dict:
    """The card of the bundled model: the whole way it was trained, what it is for and how far off volumes were."""
    manifest = {key: value for key, value in package.manifest.items() if key != "weights"}
    work = Path(package.folder).parents[1]
    ways = [load_package(work / name / "model").manifest["training"]["summary"] for name in ("base", "finer", "final")]
    training = {**manifest["training"], "summary": f"{' Then: '.join(ways)} {SHAPES}", "command": COMMAND}
    errors = [case.result.metrics.volume_error_percent for case in left_out]
    volumes = ", ".join(f"{abs(error):.0f} % too {'large' if error > 0 else 'small'}" for error in errors)
    limitations = (
        f"{manifest['limitations']} Without a patient's scan in training the volume came out {volumes} against the "
        f"labels of other models on the {len(errors)} real CTs; part of the splenic vein is often taken in. Tried on "
        "no other labelled CTs: what it does on scanners, protocols and patients at large is not known."
    )
    return {**manifest, "id": "pancreas-ct", "version": VERSION, "name": NAME, "description": DESCRIPTION,
            "intended_use": INTENDED_USE, "default": True, "training": training, "limitations": limitations,
            "weights": {"file": "weights.pt", "dtype": "float16"}}  # fmt: skip


def _summary(cases: Sequence[MeasuredCase]) -> list[dict]:
    return summarise([case.result for case in cases], [case.calibration for case in cases], RESAMPLES, 0)


if __name__ == "__main__":
    raise SystemExit(main())
