"""The options of `attention-unet-seg cohort`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_cohort(commands: argparse._SubParsersAction[Any]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    command = commands.add_parser(
        "cohort",
        help="segment many CTs, on this machine or on a Dask cluster",
        description="Segment many CTs: a folder a case, one table and one page of all. Run again, the same command "
        "goes on where it stopped. What cannot be segmented is a row with the reason.",
    )
    command.set_defaults(module="cohort")
    command.add_argument(
        "input", metavar="INPUT",
        help="a folder that is searched for images and DICOM series, a CSV file (path, id, series, ...), or - for a "
        "list of paths on stdin",
    )  # fmt: skip
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    command.add_argument("--model", help="id of a model (default: see models list), or a model package folder")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    command.add_argument("--threshold", type=float, help="lowest probability that is pancreas (default: the model's)")
    command.add_argument("--tta", action="store_true", help="mean over 8 slightly changed copies, and their spread")
    command.add_argument("--keep-largest", action="store_true", help="keep only the largest connected part")
    command.add_argument("--max-memory", type=int, metavar="MB", help="bound for the memory of the network, a process")
    command.add_argument("--processes", type=int, metavar="N", help="worker processes here (default: by the machine)")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="join this Dask cluster: tcp://host:8786, or its scheduler file (.json)"
    )
    command.add_argument(
        "--dicom-seg", action="store_true", help="of DICOM series also write DICOM SEG, and its measurements as SR"
    )
    command.add_argument("--fractional", action="store_true", help="also write a DICOM SEG that keeps the probability")
    command.add_argument("--part", metavar="I/N", help="only the I-th of N parts of the cases, for array jobs")
    command.add_argument("--by-doubt", action="store_true", help="sort the table: what to look at first on top")
    command.add_argument("--retry-failed", action="store_true", help="try cases again that failed in an earlier run")
    command.add_argument("--no-picture", action="store_true", help="draw no pictures")
    return command
