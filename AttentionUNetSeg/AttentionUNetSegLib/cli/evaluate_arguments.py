"""The options of `evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_evaluate(commands: argparse._SubParsersAction[Any]) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    command = commands.add_parser(
        "evaluate",
        help="measure a model on labelled CTs",
        description="Measure a model on labelled CTs, on their own voxels: Dice, HD95, normalised surface Dice, "
        "volumes, failures and calibration, with confidence intervals by patient. Everything is written into one "
        "folder, or nothing: evaluation.json, evaluation.md, cases.csv, calibration.png and pictures of the worst "
        "cases. Labels that another model made give agreement with that model, not accuracy; they are kept apart and "
        "named so. With --compare, put earlier evaluations side by side instead.",
    )
    command.set_defaults(module="evaluate")
    command.add_argument(
        "--dataset", action="append", default=[], metavar="LAYOUT:PATH",
        help="labelled CTs, such as table:cases.csv, msd:Task07_Pancreas or phantom:200000-200009; may be repeated",
    )  # fmt: skip
    command.add_argument("--out", type=Path, metavar="FOLDER", help="new folder for the results")
    command.add_argument("--model", help="id of a model (default: see models list), or a model package folder")
    command.add_argument(
        "--only", action="extend", nargs="+", default=[], metavar="PATIENT", help="evaluate these patients only"
    )
    command.add_argument(
        "--leave-out", action="extend", nargs="+", default=[], metavar="PATIENT", help="do not evaluate these patients"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    command.add_argument("--threshold", type=float, help="lowest probability that is pancreas (default: the model's)")
    command.add_argument("--tta", action="store_true", help="average over augmented copies: slower; tells a spread")
    command.add_argument("--keep-largest", action="store_true", help="keep only the largest connected part")
    command.add_argument("--record", action="store_true", help="write the result into the model's card (model.json)")
    command.add_argument(
        "--resamples", type=int, default=2000, help="of the bootstrap for the intervals (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    command.add_argument(
        "--pictures", type=int, default=5, metavar="N", help="draw the N worst cases (default: %(default)s)"
    )
    command.add_argument(
        "--compare", nargs="+", default=[], metavar="NAME=FOLDER",
        help="compare earlier evaluations of the same scans; writes comparison.json and comparison.md to --out",
    )  # fmt: skip
    return command
