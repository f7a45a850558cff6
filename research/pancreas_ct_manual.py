"""How the first look of ``pancreas-ct`` is made from 0.3.0: the step that uses manual contours of real CTs.

``python -m research.pancreas_ct_manual --work FOLDER --start-from PACKAGE`` does it all and goes on
where it stopped. PACKAGE is ``pancreas-ct`` 0.3.0 (made by `pancreas_ct_recipe`; in this repository's history at
commit 4c910c0).

1. data: the manual contours of 49 patients of NIH Pancreas-CT (loss only on slices that were contoured), part maps that
   are painted anew for every patch, three other labelled real CTs, parts of real CTs without pancreas;
2. *fold_0* to *fold_4*: 0.3.0 trained on without the patients of one fold (`FOLDS_FILE`; with them their label, their
   shape among the part maps, and one of the other real CTs). What a fold's model says of its patients is what the
   measurements are made of;
3. *final*: the mean of the folds' weights after their first stage, trained on with all patients. Weights that were
   trained on from the same start can be averaged (Wortsman et al. 2022, "Model soups", ICML), so that no minute of the
   cross-validation is lost. That model has seen everybody: nothing here can measure it, its folds stand in for it.

Each is trained in stages, every one from the averaged weights of the one before and with a rate that falls anew: 0.4.0
was the first stage of each. The third stage of *final* is what 0.6.1 adds to 0.5.1: `averaged_package` of its last two
stages is bundled. ``--only`` does one part. Steps end a stage, not minutes, so that an interrupted one ends
as it would have.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.models import ModelPackage, load_package, write_package
from AttentionUNetSegLib.models.manifest import MANIFEST_FILE
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.synthesis import Variety
from AttentionUNetSegLib.training.synthesis.part_map import INDEX, open_part_maps, write_part_maps
from AttentionUNetSegLib.training.trainer import TrainingConfiguration, train
from AttentionUNetSegLib.training.trainer.checkpoint import CHECKPOINT_FILE, initial_weights
from AttentionUNetSegLib.training.trainer.joined_package import stored_weights

from .development_scans import development_data
from .pancreas_ct_data import collected_anatomies, reduced_real_scans
from .pancreas_ct_negatives import write_negative_parts

COMMAND = "python -m research.pancreas_ct_manual"
FOLDS_FILE = Path(__file__).with_name("pancreas_ct_folds.json")
SPACING_MM = 2.5
FEATURES = (16, 32, 64, 128, 224)
PATCH = (32, 96, 112)
# What the label maps of these patients of NIH Pancreas-CT are called among the shapes.
SAME_PATIENTS = {
    "multiorgan_07": "nih_0008", "multiorgan_11": "nih_0012", "multiorgan_13": "nih_0014", "multiorgan_15": "nih_0017",
    "multiorgan_28": "nih_0031", "multiorgan_37": "nih_0042",
}  # fmt: skip
PART_MAP_SEEDS = range(90000, 90048)
VARIETY = Variety(atrophy=0.3, fatty_gland=0.0, wide_veins=0.2)
SHARES = {"nih_pancreas": 0.7, "painted": 0.14, "reduced": 0.06, "negative": 0.1}


MEAN_OF_FOLDS = "mean_of_folds.pt"
NO_END = 10**6  # steps: minutes end the run


@dataclass(frozen=True)
class Stage:
    """One training: what differs from `TrainingConfiguration`'s defaults."""

    steps: int
    rate: float
    averaging: float
    seed: int = 0


FOLD = (Stage(330, 0.001, 0.99), Stage(700, 0.001, 0.995, seed=7), Stage(1000, 0.001, 0.995, seed=13))
# What is bundled was to have 2200 steps; at step 1316 the number was lowered, so that the rate fell faster from there.
FINAL = (
    Stage(720, 0.0007, 0.995),
    Stage(1700, 0.001, 0.995, seed=7),
    Stage(1000, 0.001, 0.995, seed=13),
    Stage(1000, 0.001, 0.995, seed=19),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pancreas_ct_manual", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data sets, caches, runs and models")
    parser.add_argument("--start-from", type=Path, required=True, help="the package of pancreas-ct 0.3.0")
    parser.add_argument("--device", default="auto", help="where to train (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each training (0: torch's own choice)")
    parser.add_argument("--workers", type=int, default=0, help="threads that make patches ahead (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="train each part so long instead of so many steps (a lent GPU)")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(len(read_folds()))),
                        help="folds to train and to average (default: all)")  # fmt: skip
    parser.add_argument("--only", metavar="PART", help="data, fold_0 to fold_4 or final")
    options = parser.parse_args(arguments)
    folds = [f"fold_{number}" for number in options.folds]
    parts = [options.only] if options.only else ["data", *folds, "final"]
    for part in parts:
        if part == "data":
            manual_step_scans(options.work)
        elif part == "final":
            final_model(options)
        else:
            fold_model(options, int(part.removeprefix("fold_")))
    return 0


def read_folds() -> list[list[str]]:
    """The patients of each fold, from the committed file."""
    return json.loads(FOLDS_FILE.read_text(encoding="utf-8"))["folds"]


def manual_step_scans(work: Path) -> list[LabelledScan]:
    """All scans that the step trains on; what has to be made for it is made where it is missing.

    Raises
    ------
    BadInput : the development data is not there.
    """
    data = development_data().resolve()
    negative, reduced = work / "negative", work / "reduced"
    # What was made on another machine is taken as it is: the other CTs need not be there.
    if not (negative / TABLE_NAME).is_file():
        write_negative_parts(data, negative)
    reduced_real_scans(work)
    if not (work / "painted" / INDEX).is_file():
        write_part_maps(collected_anatomies(work), work / "painted", PART_MAP_SEEDS, VARIETY)
    tables = [f"table:{folder / TABLE_NAME}" for folder in (data / "nih_pancreas", reduced, negative)]
    return open_datasets(tables) + open_part_maps(work / "painted", patients=SAME_PATIENTS)


def fold_model(options: argparse.Namespace, number: int) -> ModelPackage:
    """0.3.0 trained on without the patients of a fold."""
    return _trained(options, f"fold_{number}", FOLD, options.start_from, read_folds()[number])


def final_model(options: argparse.Namespace) -> ModelPackage:
    """The mean of the folds' weights, trained on with all patients; where that mean is there, no fold is needed."""
    start = options.work / MEAN_OF_FOLDS
    if not start.is_file():
        for number in options.folds:
            fold_model(options, number)
        firsts = [stage_folder(options.work, f"fold_{number}", 1) / "run" for number in options.folds]
        torch.save(mean_weights([folder / CHECKPOINT_FILE for folder in firsts]), start)
    return _trained(options, "final", FINAL, start, ())


def stage_folder(work: Path, name: str, number: int) -> Path:
    """Where a stage, counted from 1, of *fold_K* or *final* has its run and its model."""
    return work / name / f"stage_{number}"


def stage_packages(work: Path, name: str, command: str = COMMAND) -> list[ModelPackage]:
    """The finished stages of *fold_K* or *final*, in turn; ``command`` makes them.

    Raises
    ------
    BadInput : none is finished.
    """
    packages = []
    while (folder := stage_folder(work, name, len(packages) + 1) / "model").joinpath(MANIFEST_FILE).is_file():
        packages.append(load_package(folder))
    if not packages:
        raise BadInput(f"No stage of {name} is finished in {work}.", f"Make it with {command}.")
    return packages


def mean_of_stages(work: Path, name: str, numbers: Sequence[int], command: str = COMMAND) -> ModelPackage:
    """The mean of the weights of some stages, counted from 1, of *fold_K* or *final*; of one, that stage itself.

    Raises
    ------
    BadInput : one of them is not finished.
    """
    packages = stage_packages(work, name, command)
    if max(numbers) > len(packages):
        raise BadInput(f"Stage {max(numbers)} of {name} is not finished in {work}.", f"Make it with {command}.")
    chosen = [packages[number - 1] for number in numbers]
    folder = work / name / "mean_of_{}".format("_".join(map(str, numbers)))
    return averaged_package(chosen, folder) if len(chosen) > 1 else chosen[0]


def averaged_package(packages: Sequence[ModelPackage], folder: Path) -> ModelPackage:
    """The mean of the weights of stages in turn, under the manifest of the last one.

    Where a rate falls and rises again, each end is another good place, and the mean of them lies flatter (Izmailov et
    al. 2018, "Averaging weights leads to wider optima and better generalization", UAI).
    """
    states = [stored_weights(package) for package in packages]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "weights.pt"
        torch.save(_mean(states), path)
        return write_package(folder, packages[-1].manifest, path)


def mean_weights(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of the averaged weights of several trainings from one start; counters are those of the first."""
    return _mean([initial_weights(path) for path in checkpoints])


def _mean(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    def mean(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return torch.stack([state[name].float() for state in states]).mean(dim=0).to(tensor.dtype)

    return {name: mean(name, each) if each.is_floating_point() else each for name, each in states[0].items()}


def _trained(
    options: argparse.Namespace, name: str, stages: Sequence[Stage], start: Path, left_out: Sequence[str]
) -> ModelPackage:
    # A lent GPU's minutes are one stage: its rate falls once.
    for number, stage in enumerate(stages[:1] if options.minutes else stages, start=1):
        folder = stage_folder(options.work, name, number)
        if not (folder / "model" / MANIFEST_FILE).is_file():
            train(stage_configuration(options, stage, folder, start, left_out), manual_step_scans(options.work))
        start = folder / "run"
    return stage_packages(options.work, name)[-1]


def stage_configuration(
    options: argparse.Namespace, stage: Stage, folder: Path, start: Path, left_out: Sequence[str]
) -> TrainingConfiguration:
    """One stage's training, into ``folder/model``, with its run in ``folder/run``."""
    return TrainingConfiguration(
        folder / "model", folder / "run", options.work / "cache", SPACING_MM, patch=PATCH, structures=("pancreas",),
        features=FEATURES, batch=2, steps=NO_END if options.minutes else stage.steps,
        minutes=options.minutes or math.inf, rate=stage.rate, averaging=stage.averaging, shares=SHARES,
        precision="bfloat16", attention_weight=0.1, augmentation="wide", leave_out=tuple(left_out), start_from=start,
        device=options.device, threads=options.threads, workers=options.workers, seed=stage.seed,
        command=COMMAND, id="pancreas-ct", name="Pancreas on CT",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
