"""How the second look of ``pancreas-ct`` is trained: a finer network for the surroundings of the gland.

``python -m research.pancreas_ct_second_look --work FOLDER`` goes on from what `pancreas_ct_manual` left in FOLDER:

1. *fold_0* to *fold_4*: the finest four levels of the fold's first network, trained on at 1.75 mm with patches about
   the gland, without the patients of the fold;
2. *final*: the mean of those weights, trained on with all patients. That one has seen everybody: the folds stand in
   for it.

Four levels are enough: what the fifth one sees, the first look has seen. ``--only`` does one part. What a fold's two
looks say together of its patients `pancreas_ct_cross_validation` measures (`both_looks` joins them).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from AttentionUNetSegLib.models import ModelPackage
from AttentionUNetSegLib.models.manifest import MANIFEST_FILE
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.checkpoint import CHECKPOINT_FILE
from AttentionUNetSegLib.training.trainer.joined_package import join_second_look

from .pancreas_ct_manual import (
    FEATURES,
    MEAN_OF_FOLDS,
    NO_END,
    Stage,
    manual_step_scans,
    mean_of_stages,
    mean_weights,
    read_folds,
    stage_folder,
    stage_packages,
)

COMMAND = "python -m research.pancreas_ct_second_look"
SPACING_MM = 1.75
LEVELS = 4
PATCH = (40, 72, 96)
# It begins with the weights of the first look after so many of its stages.
FIRST_LOOK_STAGES = 2
# With one structure to learn, half of the rest lies about it as well: 0.92 in all.
ABOUT_THE_PANCREAS = 0.84
# As far as the first look may be off: what it missed further away is not found by a second one either.
MARGIN_MM = 25.0
SHARE = 0.5
SHARES = {"nih_pancreas": 0.75, "painted": 0.14, "reduced": 0.06, "negative": 0.05}

FOLD = (Stage(1300, 0.001, 0.995, seed=11), Stage(1000, 0.001, 0.995, seed=17))
FINAL = (Stage(600, 0.0006, 0.995, seed=11), Stage(1000, 0.001, 0.995, seed=17))


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


@dataclass(frozen=True)
class Looks:
    """What a model is made of: the stages of each network whose weights are averaged, and how often it looks."""

    first: tuple[int, ...]
    second: tuple[int, ...] = ()
    passes: int = 1


def second_look_packages(work: Path, part: str) -> list[ModelPackage]:
    """The finished stages of the finer network of *fold_K* or *final*, in turn; raises as `stage_packages`."""
    return stage_packages(second_looks_folder(work), part, COMMAND)


def second_looks_folder(work: Path) -> Path:
    """Where the second looks have their runs and models, in the folders that `stage_folder` tells."""
    return work / "second_look"


def both_looks(
    work: Path, part: str, looks: Looks, folder: Path | None = None, card: Mapping[str, Any] | None = None
) -> ModelPackage:
    """Both networks of *fold_K* or *final* in one package, with this ``card`` or that of the first network.

    Written to ``folder``, or beside the stages of the second look.

    Raises
    ------
    BadInput : one of the stages is not finished.
    """
    first = mean_of_stages(work, part, looks.first)
    finer = mean_of_stages(second_looks_folder(work), part, looks.second, COMMAND)
    folder = folder or second_looks_folder(work) / part / "joined"
    return join_second_look(first, finer, folder, MARGIN_MM, SHARE, card)


def fold_second_look(options: argparse.Namespace, number: int) -> None:
    """Trained on from the fold's first network, without the patients of the fold."""
    part = f"fold_{number}"
    # A network of fewer levels takes what it has a place for: the finest ones. A stage that is not finished is refused.
    start = options.start_from or mean_of_stages(options.work, part, (FIRST_LOOK_STAGES,)).folder.parent / "run"
    _train_stages(options, part, FOLD, start, read_folds()[number])


def final_second_look(options: argparse.Namespace) -> None:
    """The mean of the folds' finer networks after their first stage, trained on with all patients."""
    if options.start_from:
        return _train_stages(options, "final", FINAL, options.start_from, ())
    start = second_looks_folder(options.work) / "final" / MEAN_OF_FOLDS
    if not start.is_file():
        for number in options.folds:
            fold_second_look(options, number)
        start.parent.mkdir(parents=True, exist_ok=True)
        runs = [
            stage_folder(second_looks_folder(options.work), f"fold_{number}", 1) / "run" for number in options.folds
        ]
        torch.save(mean_weights([run / CHECKPOINT_FILE for run in runs]), start)
    return _train_stages(options, "final", FINAL, start, ())


def _train_stages(
    options: argparse.Namespace, part: str, stages: Sequence[Stage], start: Path, left_out: Sequence[str]
) -> None:
    # A lent GPU's minutes are one stage: its rate falls once.
    for number, stage in enumerate(stages[:1] if options.minutes else stages, start=1):
        folder = stage_folder(second_looks_folder(options.work), part, number)
        if not (folder / "model" / MANIFEST_FILE).is_file():
            train(_configuration(options, stage, folder, start, left_out), manual_step_scans(options.work))
        start = folder / "run"


def _configuration(
    options: argparse.Namespace, stage: Stage, folder: Path, start: Path, left_out: Sequence[str]
) -> TrainingConfiguration:
    return TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", SPACING_MM, patch=PATCH, structures=("pancreas",),
        features=FEATURES[:LEVELS], batch=2, steps=NO_END if options.minutes else stage.steps,
        minutes=options.minutes or math.inf, rate=stage.rate, averaging=stage.averaging, shares=SHARES,
        about_the_pancreas=ABOUT_THE_PANCREAS, precision="bfloat16", attention_weight=0.1, augmentation="wide",
        leave_out=tuple(left_out), start_from=start, device=options.device, threads=options.threads,
        workers=options.workers, seed=stage.seed, command=COMMAND, id="pancreas-ct",
        name="Pancreas on CT, second look",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
