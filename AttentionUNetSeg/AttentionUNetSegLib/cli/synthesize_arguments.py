"""The options of `synthesize`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_synthesize(commands: argparse._SubParsersAction[Any]) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    command = commands.add_parser(
        "synthesize",
        help="make labelled synthetic CTs to train on",
        description="Write labelled synthetic CTs: real label maps, deformed, painted with the HU of random contrast "
        "phases and scanned by an imagined scanner; and procedural phantoms. Without label maps: phantoms only. A run "
        "that was interrupted goes on where it stopped.",
    )
    command.set_defaults(module="synthesize")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the set")
    command.add_argument("--count", type=int, default=100, help="number of CTs (default: %(default)s)")
    command.add_argument("--first-seed", type=int, default=0, metavar="N", help="seed of the first (%(default)s)")
    command.add_argument(
        "--trunk", type=Path, action="append", default=[], metavar="FOLDER",
        help="whole-trunk label map: labels.nii.gz and labels.tsv with TotalSegmentator's names; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--organs", type=Path, action="append", default=[], metavar="PATH",
        help="eight-organ label maps (Gibson et al. 2018), a file or a folder; may be repeated; needs --trunk",
    )  # fmt: skip
    command.add_argument(
        "--hosts-per-map", type=int, default=2, metavar="N", help="trunks that each organ map is put in (%(default)s)"
    )
    command.add_argument(
        "--phantom-share", type=float, default=0.2, metavar="S", help="share of procedural phantoms (%(default)s)"
    )
    others = command.add_argument_group("shares among the others")
    for name, default, words in (
        ("atrophy", 0.3, "shrunken glands"),
        ("fatty", 0.2, "fatty glands"),
        ("wide-veins", 0.2, "wide portal, splenic and mesenteric veins"),
        ("non-contrast", 0.24, "CTs without contrast medium"),
    ):
        others.add_argument(
            f"--{name}-share", type=float, default=default, metavar="S", help=f"{words} (default: %(default)s)"
        )
    command.add_argument("--processes", type=int, default=2, help="processes (default: %(default)s)")
    return command
