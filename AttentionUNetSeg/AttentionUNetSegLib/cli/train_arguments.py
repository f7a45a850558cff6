"""The options of `attention-unet-seg train`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def add_train(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the command; what all commands share is added by the caller."""
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
        "--structures", type=_structures, default=_structures("all"), metavar="NAMES",
        help="pancreas, all, or a list that begins with pancreas (default: all); only the pancreas is exported",
    )  # fmt: skip
    group.add_argument(
        "--label-smoothing", type=float, default=0.05, metavar="E",
        help="how uncertain labels made by another model are (default: %(default)g)",
    )  # fmt: skip
    group.add_argument("--flip-left-right", action="store_true", help="mirror half of the patches")


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model package to write")
    group.add_argument("--spacing", type=float, default=2.0, metavar="MM", help="isotropic (default: %(default)g)")
    group.add_argument(
        "--window", type=_numbers(float, 2), default=(-160.0, 240.0), metavar="LO,HI",
        help="HU that become 0 and 1; write --window=-160,240 (the default)",
    )  # fmt: skip
    group.add_argument(
        "--features", type=_numbers(int), default=(16, 32, 64, 96, 128), metavar="N,N,...",
        help="channels per level, finest first (default: 16,32,64,96,128)",
    )  # fmt: skip
    group.add_argument(
        "--gate", choices=("additive", "grid", "none"), default="additive",
        help="attention gates; none is a plain U-Net (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--norm", choices=("batch", "instance"), default="batch", help="(default: %(default)s)")
    group.add_argument(
        "--start-from", type=Path, metavar="PATH", help="first weights: a checkpoint, a work folder, a model package"
    )
    group.add_argument("--id", help="id of the model (default: the name of --out)")
    group.add_argument("--name", default="Pancreas on CT", help="name of the model (default: %(default)s)")
    group.add_argument("--description", help="one or two sentences for the model card")
    group.add_argument("--licence", default="Apache-2.0", help="of the weights (default: %(default)s)")
    group.add_argument(
        "--largest-package", type=float, default=13.0, metavar="MB", help="largest weights (default: %(default)g)"
    )


def _add_optimization(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--patch", type=_numbers(int, 3), default=(48, 64, 64), metavar="K,J,I",
        help="patch in voxels: slices, rows, columns (default: 48,64,64)",
    )  # fmt: skip
    group.add_argument("--batch", type=int, default=2, metavar="N", help="patches per step (default: %(default)s)")
    group.add_argument("--steps", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    group.add_argument("--minutes", type=float, metavar="M", help="end earlier, after this time of training")
    group.add_argument("--rate", type=float, default=2e-3, help="learning rate (default: %(default)g)")
    group.add_argument("--schedule", choices=("polynomial", "cosine"), default="polynomial", help="(%(default)s)")
    group.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw", help="(default: %(default)s)")
    group.add_argument("--weight-decay", type=float, default=1e-3, help="(default: %(default)g)")
    group.add_argument(
        "--averaging", type=float, default=0.998, help="decay of the average of the weights (default: %(default)g)"
    )
    group.add_argument(
        "--pancreas-weight", type=float, default=3.0, help="in the loss, against 1 of the others (default: %(default)g)"
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
        "--workers", type=int, default=0, metavar="N", help="threads that make patches ahead (default: %(default)s)"
    )
    group.add_argument("--checkpoint-minutes", type=float, default=2.0, metavar="M", help="(default: %(default)g)")
    group.add_argument("--validation-minutes", type=float, default=10.0, metavar="M", help="(default: %(default)g)")
    group.add_argument(
        "--changed-data", action="store_true", help="go on although scans or shares have changed since the checkpoint"
    )
    resuming = group.add_mutually_exclusive_group()
    resuming.add_argument("--resume", action="store_const", const="yes", default="auto", help="insist on a checkpoint")
    resuming.add_argument("--no-resume", action="store_const", const="no", dest="resume", help="start anew")


def _numbers(kind: type, count: int | None = None) -> Callable[[str], tuple]:
    def parsed(text: str) -> tuple:
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
