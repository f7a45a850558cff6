"""The options of `attention-unet-seg train`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_train(commands: argparse._SubParsersAction[Any]) -> argparse.ArgumentParser:
    """Add the command; what all commands share is added by the caller.

    Options without a default are fields of `TrainingConfiguration`: where they are not given, they are the preset's or
    the configuration's own. Nothing of the training is imported, because every command passes here.
    """
    command = commands.add_parser(
        "train",
        help="train a model on labelled CTs",
        description="Train an Attention U-Net on labelled CTs and write a model package. A run that was interrupted "
        "goes on where it stopped when the same command is given again. With several GPUs or processes: "
        "torchrun --nproc_per_node=N -m AttentionUNetSegLib.cli train ...",
    )
    command.set_defaults(module="train")
    _add_data(command.add_argument_group("data"))
    _add_model(command.add_argument_group("model"))
    _add_optimization(command.add_argument_group("optimization"))
    _add_run(command.add_argument_group("run"))
    return command


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dataset", action="append", required=True, dest="datasets", metavar="LAYOUT:PATH[@SHARE]",
        help="labelled scans, such as table:/data/cases.csv or msd:/data/Task07_Pancreas; with @0.3 they are 30 %% of "
        "the patches; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--strict", action="store_true", help="end where a case has a problem, instead of leaving it out"
    )
    group.add_argument("--no-check", action="store_true", help="do not look for problems in the labels first")
    group.add_argument("--leave-out", action="append", default=[], metavar="PATIENT", help="never use this patient")
    group.add_argument(
        "--validate-on", action="append", default=[], metavar="PATIENT", help="use this patient for validation only"
    )
    group.add_argument(
        "--folds", type=int, metavar="N", help="cross-validation in N runs: patients are divided alike in all of them"
    )
    group.add_argument("--fold", type=int, metavar="K", help="the run, 0 to N - 1, whose patients are validated on")
    group.add_argument(
        "--structures", type=_structures, metavar="NAMES",
        help="pancreas, all, or a list that begins with pancreas (default: all); only the pancreas is exported",
    )  # fmt: skip
    group.add_argument(
        "--label-smoothing", type=float, metavar="E",
        help="how uncertain labels made by another model are (default: 0.05)",
    )  # fmt: skip
    group.add_argument(
        "--flip-left-right", action=argparse.BooleanOptionalAction, help="mirror half of the patches (default: no)"
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset", choices=("msd", "paper"),
        help="many choices at once, which single options override: msd is after nnU-Net's 3d_fullres, paper after "
        "Oktay et al. 2018; for data sets of the size of the Decathlon's and a data centre's GPU",
    )  # fmt: skip
    group.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model package to write")
    group.add_argument("--spacing", dest="spacing_mm", type=float, metavar="MM", help="isotropic (default: 2)")
    group.add_argument(
        "--window", dest="window_hu", type=_numbers(float, 2), metavar="LO,HI",
        help="HU that become 0 and 1; write --window=-160,240 (the default)",
    )  # fmt: skip
    group.add_argument(
        "--features", type=_numbers(int), metavar="N,N,...",
        help="channels per level, finest first (default: 16,32,64,96,128)",
    )  # fmt: skip
    group.add_argument(
        "--gate", choices=("additive", "grid", "none"),
        help="attention gates; none is a plain U-Net (default: additive)",
    )  # fmt: skip
    group.add_argument("--norm", choices=("batch", "instance"), help="(default: batch)")
    group.add_argument(
        "--start-from", type=Path, metavar="PATH",
        help="first weights: the id or folder of a model package, whose network, spacing and window are the defaults "
        "then; or a checkpoint, or the work folder of a run",
    )  # fmt: skip
    group.add_argument("--id", help="id of the model (default: the name of --out)")
    group.add_argument("--name", help="name of the model (default: Pancreas on CT)")
    group.add_argument("--description", help="one or two sentences for the model card")
    group.add_argument("--licence", help="of the weights (default: Apache-2.0)")
    group.add_argument(
        "--largest-package", dest="largest_package_mb", type=float, metavar="MB", help="largest weights (default: 13)"
    )


def _add_optimization(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--patch", type=_numbers(int, 3), metavar="K,J,I",
        help="patch in voxels: slices, rows, columns (default: 48,64,64)",
    )  # fmt: skip
    group.add_argument("--batch", type=int, metavar="N", help="patches per step (default: 2)")
    group.add_argument(
        "--about-the-pancreas", type=float, metavar="PART", help="of the patches are centred in it (default: 0.6)"
    )
    group.add_argument("--steps", type=int, metavar="N", help="(default: 10000)")
    group.add_argument("--minutes", type=float, metavar="M", help="end earlier, after this time of training")
    group.add_argument("--rate", type=float, help="learning rate (default: 0.002)")
    group.add_argument(
        "--schedule", choices=("polynomial", "cosine", "halving"), help="of the rate (default: polynomial)"
    )
    group.add_argument("--optimizer", choices=("adamw", "sgd"), help="(default: adamw)")
    group.add_argument("--weight-decay", type=float, help="(default: 0.001)")
    group.add_argument("--averaging", type=float, help="decay of the average of the weights (default: 0.998)")
    group.add_argument("--pancreas-weight", type=float, help="in the loss, against 1 of the others (default: 3)")
    group.add_argument(
        "--augmentation", choices=("usual", "strong", "affine", "wide"),
        help="how patches are varied; strong turns by 30 degrees and scales by 0.7 to 1.4 (default: usual)",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=("auto", "bfloat16"),
        help="bfloat16 also on a CPU that has instructions for it: faster there (default: auto)",
    )  # fmt: skip
    group.add_argument(
        "--attention-weight", type=float, metavar="W", help="in the loss, of gates that look at the gland (default: 0)"
    )
    group.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--work", type=Path, metavar="FOLDER", help="checkpoint and log (default: OUT-training)")
    group.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="prepared scans; runs can share it (default: cache in --work)"
    )
    group.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    group.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: torch's own choice)")
    group.add_argument(
        "--workers", type=int, metavar="N",
        help="threads that make patches ahead; 0: none (default: 1 on a CPU, up to 8 beside a GPU)",
    )  # fmt: skip
    group.add_argument("--checkpoint-minutes", type=float, default=2.0, metavar="M", help="(default: %(default)g)")
    group.add_argument("--validation-minutes", type=float, default=10.0, metavar="M", help="(default: %(default)g)")
    group.add_argument(
        "--changed-data", dest="accept_other_scans", action="store_true",
        help="go on although scans or shares have changed since the checkpoint",
    )  # fmt: skip
    resuming = group.add_mutually_exclusive_group()
    resuming.add_argument("--resume", action="store_const", const="yes", default="auto", help="insist on a checkpoint")
    resuming.add_argument("--no-resume", action="store_const", const="no", dest="resume", help="start anew")


def _numbers(kind: type, count: int | None = None) -> Callable[[str], tuple[float, ...]]:
    def parsed(text: str) -> tuple[float, ...]:
        try:
            values = tuple(kind(part) for part in text.split(","))
        except ValueError:
            values = ()
        if not values or (count and len(values) != count):
            raise argparse.ArgumentTypeError(f"{count or 'some'} numbers with commas expected, not {text!r}")
        return values

    return parsed


def _structures(text: str) -> tuple[str, ...]:
    if text == "all":
        from ..training.labelled_scan import STRUCTURES

        return STRUCTURES
    return tuple(text.split(","))
