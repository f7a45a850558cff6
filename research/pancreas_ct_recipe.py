"""How the bundled model ``pancreas-ct`` is made and measured, from label maps and a few real CTs.

``python -m research.pancreas_ct_recipe --work FOLDER`` does it all and goes on where it stopped:

1. synthetic CTs from the label maps of ``ATTENTIONUNETSEG_DATA``;
2. *base*: a network trained on the first synthetic CTs;
3. *finer*: trained on with all synthetic CTs;
4. *adapted*: trained on with other synthetic CTs and a part of the patches from real CTs.

Step 4 is done once with all real CTs, which gives the model, and once without each patient, which tells how well the
procedure does on a patient that it never saw (leave one patient out; steps 1 to 3 saw no patient at all).

Trainings end after so many minutes, which are meant for a GPU like an NVIDIA H100. ``--only`` does one part, on a
machine that is lent for a short while: the data sets "first", "more" (while the GPU trains on the first) and "beside",
the trainings "base", "finer", "final" and "without_CASE". Real CTs are taken along reduced (``FOLDER/reduced``).

The probability's calibration is measured with test-time augmentation on the patients that were left out; from which
doubt on a result is poor, on synthetic CTs that were not trained on (from the same label maps, deformed otherwise).
``--record`` writes what was measured into the model's card, ``--bundle`` copies the package to ``Resources/Models``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from AttentionUNetSegLib.contracts import SegmentOptions
from AttentionUNetSegLib.inference import Segmenter
from AttentionUNetSegLib.models import ModelPackage, load_package, write_package
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.evaluation import (
    MeasuredCase,
    evaluate_scans,
    performance_entries,
    record_performance,
    record_warning_limits,
    warning_limits,
)
from AttentionUNetSegLib.training.evaluation.bootstrap import RESAMPLES
from AttentionUNetSegLib.training.evaluation.calibration_drawing import draw_reliability
from AttentionUNetSegLib.training.evaluation.overlay import write_png
from AttentionUNetSegLib.training.evaluation.summary import summarise
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.export import limitations as known_limitations
from AttentionUNetSegLib.training.trainer.preparation import available_processes, prepare_cases
from AttentionUNetSegLib.training.trainer.sampling import data_set_of

from .pancreas_ct_data import real_scans, reduced_real_scans, synthetic_scans

COMMAND = "python -m research.pancreas_ct_recipe"
PHANTOMS = "phantom:200000-200009"
REAL_SHARE = 0.25
FEATURES = (16, 32, 64, 128, 224)
SPACING_MM = 2.5
TRAINING_SETS = ("first", "more", "hard")

VERSION = "0.3.0"  # raise it with every new training
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

    minutes: float
    rate: float
    averaging: float
    patch: tuple[int, int, int] = (80, 112, 128)


BASE = Stage(2.6, 0.003, 0.996)
FINER = Stage(1.3, 0.002, 0.998)
ADAPTED = Stage(2.0, 0.0008, 0.99)
NO_END = 10**6  # steps: minutes end the run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, measure, print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_recipe", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data sets, caches, runs and models")
    parser.add_argument("--device", default="auto", help="where to train (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each training (0: torch's own choice)")
    parser.add_argument("--workers", type=int, default=4, help="threads that make patches ahead (default: %(default)s)")
    parser.add_argument("--only", metavar="PART", help="do one part of the work, and measure nothing")
    parser.add_argument("--minutes-factor", type=float, default=1.0, help="train so many times as long")
    parser.add_argument("--results", type=Path, help="JSON file for the measurements")
    parser.add_argument("--record", action="store_true", help="write the measurements into the model's card")
    parser.add_argument("--bundle", type=Path, help="folder to which the finished package is copied")
    options = parser.parse_args(arguments)
    if options.only:
        _one_part(options, options.only)
        return 0
    final = _adapted(options, "")
    document, entries, limits, left_out = _measured(options, final)
    print(json.dumps(document, indent=1))
    if options.results:
        diagrams = document["calibration_with_test_time_augmentation"]
        write_png(draw_reliability(diagrams), options.results.with_name(f"{options.results.stem}_reliability.png"))
        options.results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.bundle:
        final = write_package(options.bundle, _finished(final, left_out), final.weights_path)
    if options.record:
        record_warning_limits(record_performance(final, entries), limits)
    return 0


def _one_part(options: argparse.Namespace, part: str) -> None:
    sets = {"first": ("first",), "more": TRAINING_SETS, "beside": ("beside",)}
    if part in sets:
        scans = synthetic_scans(options.work, *sets[part])
        prepare_cases(scans, SPACING_MM, options.work / "cache", available_processes())
    elif part == "base":
        _base(options)
    elif part == "finer":
        _finer(options)
    else:
        _adapted(options, "" if part == "final" else part.removeprefix("without_"))


def _measured(options, final: ModelPackage) -> tuple[dict, list, dict, list[MeasuredCase]]:
    """The document of all measurements, the entries for the card, the limits of doubt, and the left-out patients."""
    measured = list(_left_out(options, SegmentOptions()))
    cleaned = list(_left_out(options, SegmentOptions(keep_largest=True)))
    phantoms = list(evaluate_scans(Segmenter(final, "cpu"), open_datasets([PHANTOMS])))
    unseen = synthetic_scans(options.work, "unseen")
    others = [list(evaluate_scans(Segmenter(final, "cpu"), unseen, SegmentOptions(tta=tta)))
              for tta in (False, True)]  # fmt: skip
    limits = {
        # Each as it will be used: the probability of a single pass, the spread of several.
        "mean_probability": warning_limits([case.result for case in others[0]])["mean_probability"],
        "mean_spread": warning_limits([case.result for case in others[1]])["mean_spread"],
    }
    entries = []
    parts = ((measured, "leave one patient out"), (phantoms, PHANTOMS), (others[0], "unseen synthetic CTs"))
    for cases, words in parts:
        entries += performance_entries(_summary(cases), words, COMMAND)
    averaged = list(_left_out(options, SegmentOptions(tta=True)))
    document = {
        "performance": entries,
        "cases": [case.result.as_json() for cases, _ in parts for case in cases],
        "cases_largest_part_only": [case.result.as_json() for case in cleaned],
        "cases_with_test_time_augmentation": [case.result.as_json() for case in averaged],
        "calibration_with_test_time_augmentation": {
            group["labels_by"]: group["calibration"] for group in _summary(averaged)
        },
        "doubt_limits": limits,
    }
    return document, entries, limits, measured


def _left_out(options, evaluation: SegmentOptions) -> Iterator[MeasuredCase]:
    """Each real scan, measured with the model that never saw its patient."""
    for scan in real_scans(options.work):
        package = _adapted(options, scan.name.split("/")[-1])
        yield from evaluate_scans(Segmenter(package, "cpu"), [scan], evaluation)


def _base(options) -> ModelPackage:
    return _trained(options, "base", BASE, lambda: synthetic_scans(options.work, "first"))


def _finer(options) -> ModelPackage:
    return _trained(options, "finer", FINER, lambda: synthetic_scans(options.work, *TRAINING_SETS), _base)


def _adapted(options, without: str) -> ModelPackage:
    """Trained on with all real scans but those of the patient of the scan `without` ("": with all)."""

    def scans() -> list[LabelledScan]:
        real = reduced_real_scans(options.work)
        apart = {scan.patient for scan in real if scan.name.split("/")[-1] == without}
        return [*synthetic_scans(options.work, "beside"), *(scan for scan in real if scan.patient not in apart)]

    return _trained(options, f"without_{without}" if without else "final", ADAPTED, scans, _finer)


def _trained(
    options, name: str, stage: Stage, make_scans: Callable[[], list[LabelledScan]],
    start: Callable[[argparse.Namespace], ModelPackage] | None = None,
) -> ModelPackage:  # fmt: skip
    """The model of one training, which is done where it is missing; it starts with the weights of `start`."""
    folder = options.work / name
    if (folder / "model" / "model.json").is_file():
        return load_package(folder / "model")
    first = None if start is None else Path(start(options).folder).with_name("run")
    scans = make_scans()
    real = {data_set_of(scan) for scan in scans if scan.is_labelled_by_a_model}
    configuration = TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", SPACING_MM, threads=options.threads,
        workers=options.workers, device=options.device, batch=2, features=FEATURES, steps=NO_END,
        minutes=stage.minutes * options.minutes_factor, rate=stage.rate, averaging=stage.averaging, patch=stage.patch,
        shares=dict.fromkeys(real, REAL_SHARE), name=NAME, description=DESCRIPTION, start_from=first, command=COMMAND,
        id=re.sub("[^a-z0-9]+", "-", name.lower()),
    )  # fmt: skip
    return train(configuration, scans)


def _finished(package: ModelPackage, left_out: Sequence[MeasuredCase]) -> dict:
    """The card of the bundled model: the whole way it was trained, what it is for and how far off volumes were."""
    manifest = {key: value for key, value in package.manifest.items() if key != "weights"}
    work = Path(package.folder).parents[1]
    stages = [load_package(work / name / "model").manifest["training"] for name in ("base", "finer", "final")]
    ways = " Then: ".join(stage["summary"] for stage in stages)
    # Not every stage sees every set.
    data = {json.dumps(entry): entry for stage in stages for entry in stage["data"]}
    training = {
        **manifest["training"], "summary": f"{ways} {SHAPES}", "command": COMMAND, "data": list(data.values())
    }  # fmt: skip
    errors = [case.result.metrics.volume_error_percent for case in left_out]
    volumes = ", ".join(f"{abs(error):.0f} % too {'large' if error > 0 else 'small'}" for error in errors)
    limitations = (
        f"{known_limitations(training['data'])} Without a patient's scan in training the volume came out {volumes} "
        f"against the labels of other models on the {len(errors)} real CTs; a part of veins beside it is often taken "
        "in. Tried on no other labelled CTs: what it does on scanners, protocols and patients at large is not known."
    )
    return {**manifest, "id": "pancreas-ct", "version": VERSION, "name": NAME, "description": DESCRIPTION,
            "intended_use": INTENDED_USE, "default": True, "training": training, "limitations": limitations,
            "weights": {"file": "weights.pt", "dtype": "float16"}}  # fmt: skip


def _summary(cases: Sequence[MeasuredCase]) -> list[dict]:
    return summarise([case.result for case in cases], [case.calibration for case in cases], RESAMPLES, 0)


if __name__ == "__main__":
    raise SystemExit(main())
