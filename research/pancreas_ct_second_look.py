"""How the second look of ``pancreas-ct`` is trained: a finer network for the surroundings of the gland.

``python -m research.pancreas_ct_second_look --work FOLDER`` goes on from what `pancreas_ct_manual` left in FOLDER:

1. *fold_0* to *fold_4*: the finest four levels of the fold's first network, trained on at 1.75 mm with patches about
   the gland, without the patients of the fold;
2. *final*: the mean of those weights, trained on with all patients. That one has seen everybody: the folds stand in
   for it.

Four levels are enough: what the fifth one sees, the first look has seen. ``--only`` does one part. What a fold's two
looks say together of its patients `pancreas_ct_cross_validation` measures (`with_second_look` joins them).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.models import ModelPackage, load_package
from AttentionUNetSegLib.models.manifest import MANIFEST_FILE
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.checkpoint import CHECKPOINT_FILE
from AttentionUNetSegLib.training.trainer.joined_package import join_second_look

from .pancreas_ct_manual import (
    FEATURES,
    NO_END,
    manual_step_scans,
    mean_weights,
    read_folds,
    stage_folder,
    stage_packages,
)

COMMAND = "python -m research.pancreas_ct_second_look"
SPACING_MM = 1.75
LEVELS = 4
PATCH = (40, 72, 96)
# With one structure to learn, half of the rest lies about it as well: 0.92 in all.
ABOUT_THE_PANCREAS = 0.84
# As far as the first look may be off: what it missed further away is not found by a second one either.
MARGIN_MM = 25.0
SHARE = 0.5
SHARES = {"nih_pancreas": 0.75, "painted": 0.14, "reduced": 0.06, "negative": 0.05}


@dataclass(frozen=True)
class Stage:
    """What differs between the trainings."""

    steps: int
    rate: float


FOLD = Stage(1300, 0.001)
FINAL = Stage(600, 0.0006)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_second_look", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    parser.add_argument("--device", default="auto", help="where to train (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each training (0: torch's own choice)")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(len(read_folds()))),
                        help="folds to train and to average (default: all)")  # fmt: skip
    parser.add_argument("--only", metavar="PART", help="fold_0 to fold_4 or final")
    parser.add_argument("--workers", type=int, default=0, help="threads that make patches ahead (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="train each part so long instead of so many steps (a lent GPU)")
    parser.add_argument("--start-from", type=Path, help="begin with these weights (a checkpoint or package) instead")
    options = parser.parse_args(arguments)
    for part in [options.only] if options.only else [*(f"fold_{number}" for number in options.folds), "final"]:
        if part == "final":
            final_second_look(options)
        else:
            fold_second_look(options, int(part.removeprefix("fold_")))
    return 0


def second_look_folder(work: Path, part: str) -> Path:
    """Where the second look of *fold_K* or *final* has its run and its model."""
    return work / "second_look" / part


def finished_second_look(work: Path, part: str) -> ModelPackage:
    """The finer network of *fold_K* or *final*.

    Raises
    ------
    BadInput : it is not trained.
    """
    if not _is_finished(work, part):
        raise BadInput(f"The second look of {part} is not trained in {work}.", f"Make it with {COMMAND}.")
    return load_package(second_look_folder(work, part) / "model")


def with_second_look(first: ModelPackage, work: Path, part: str) -> ModelPackage:
    """The first network of *fold_K* or *final* and its second look in one package; raises as the function before."""
    finer = finished_second_look(work, part)
    return join_second_look(first, finer, second_look_folder(work, part) / "joined", MARGIN_MM, SHARE)


def fold_second_look(options: argparse.Namespace, number: int) -> ModelPackage:
    """Trained on from the fold's first network, without the patients of the fold."""
    part = f"fold_{number}"
    # A network of fewer levels takes what it has a place for: the finest ones.
    start = options.start_from or stage_folder(options.work, part, len(stage_packages(options.work, part))) / "run"
    return _trained(options, part, FOLD, start, read_folds()[number])


def final_second_look(options: argparse.Namespace) -> ModelPackage:
    """The mean of the folds' finer networks, trained on with all patients."""
    if options.start_from:
        return _trained(options, "final", FINAL, options.start_from, ())
    for number in options.folds:
        fold_second_look(options, number)
    runs = [second_look_folder(options.work, f"fold_{number}") / "run" / CHECKPOINT_FILE for number in options.folds]
    start = second_look_folder(options.work, "final") / "start.pt"
    if not _is_finished(options.work, "final"):
        start.parent.mkdir(parents=True, exist_ok=True)
        torch.save(mean_weights(runs), start)
    return _trained(options, "final", FINAL, start, ())


def _is_finished(work: Path, part: str) -> bool:
    return (second_look_folder(work, part) / "model" / MANIFEST_FILE).is_file()


def _trained(
    options: argparse.Namespace, part: str, stage: Stage, start: Path, left_out: Sequence[str]
) -> ModelPackage:
    if _is_finished(options.work, part):
        return finished_second_look(options.work, part)
    folder = second_look_folder(options.work, part)
    configuration = TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", SPACING_MM, patch=PATCH, structures=("pancreas",),
        features=FEATURES[:LEVELS], batch=2, steps=NO_END if options.minutes else stage.steps,
        minutes=options.minutes or math.inf, rate=stage.rate, averaging=0.995, shares=SHARES,
        about_the_pancreas=ABOUT_THE_PANCREAS, precision="bfloat16", attention_weight=0.1, augmentation="wide",
        leave_out=tuple(left_out), start_from=start, device=options.device, threads=options.threads,
        workers=options.workers, seed=11, command=COMMAND, id="pancreas-ct", name="Pancreas on CT, second look",
    )  # fmt: skip
    return train(configuration, manual_step_scans(options.work))


if __name__ == "__main__":
    raise SystemExit(main())
