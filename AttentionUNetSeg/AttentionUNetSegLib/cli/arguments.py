"""The commands and their options.

argparse rather than a library on top of it: a wrong option has to cost one sentence, exit code 2 and, with --json, a
JSON object, as every other bad input does.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..contracts import DEFAULT_REACH_MM
from ..errors import BadInput
from .cohort_arguments import add_cohort
from .dicom_objects import add_dicom_options
from .evaluate_arguments import add_evaluate
from .given_input import path_or_address
from .synthesize_arguments import add_synthesize
from .train_arguments import add_train

# Texts; an empty path would be the current folder.
_MAY_BE_EMPTY = ("--description", "--name", "--licence")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"The arguments cannot be used: {message}", f"See {self.prog} --help.")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the command's options; --help and --version end the process.

    `module` and `function` name what runs the command in this package: only that is imported then, so that
    `models list` does not wait for SimpleITK.

    Raises
    ------
    BadInput : the words are no command with its options.
    """
    if any(word == "" and before not in _MAY_BE_EMPTY for before, word in zip(("", *words), words, strict=False)):
        raise BadInput("A word of the command is empty, as where a variable is not set.", "Set it, or write it out.")
    return _parser().parse_args(_with_joined_positions(words))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attention-unet-seg",
        description="Pancreas segmentation on CT with a 3D Attention U-Net. Research software: not a medical device.",
        epilog="Exit codes: 0 done, 1 a file that cannot be written, a process that died, or a bug, 2 bad input or "
        "arguments, 3 bad model, 4 out of memory, 5 device not available, 130 cancelled.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(json=False, verbose=False, function="run")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_segment(commands)
    _add_correct(commands)
    _add_phantom(commands)
    _add_replay(commands)
    _add_models(commands)
    _add_serve(commands)
    _add_output_options(add_cohort(commands))
    _add_output_options(add_synthesize(commands))
    _add_output_options(add_train(commands))
    _add_output_options(add_evaluate(commands))
    commands.add_parser("worker", help="run the background process; speaks the worker protocol on stdin and stdout")
    return parser


def _add_segment(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser(
        "segment",
        help="segment the pancreas on a CT",
        description="Segment the pancreas on a CT. All results are written into one folder, or none: segmentation "
        "(.seg.nrrd), probability, its spread (with --tta), attention of every gate, a scene for 3D Slicer (.mrb), a "
        "picture and a report; with --dicom-seg DICOM objects too.",
    )
    command.set_defaults(module="segment")
    command.add_argument(
        "input", type=path_or_address, metavar="INPUT",
        help="image file (NIfTI, NRRD, MHA), DICOM folder, or series in a PACS: dicomweb:URL?study=UID&series=UID",
    )  # fmt: skip
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    command.add_argument("--series", help="number or UID of the series, for a DICOM folder that holds several")
    command.add_argument("--model", help="id of a model (default: see models list), or a model package folder")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: %(default)s)")
    command.add_argument("--threshold", type=float, help="lowest probability that is pancreas (default: the model's)")
    command.add_argument("--tta", action="store_true", help="mean over 8 slightly changed copies, and their spread")
    command.add_argument("--keep-largest", action="store_true", help="keep only the largest connected part")
    command.add_argument("--max-memory", type=int, metavar="MB", help="bound for the memory of the network")
    command.add_argument(
        "--format", choices=("nrrd", "nifti"), default="nrrd",
        help="of segmentation, probability and attention: nrrd for 3D Slicer, nifti (.nii.gz) (default: %(default)s)",
    )  # fmt: skip
    add_dicom_options(command)
    command.add_argument("--csv", action="store_true", help="write the measurements as a table too (.csv)")
    command.add_argument("--parts", action="store_true", help="write head, body and tail as segments too")
    command.add_argument("--no-scene", action="store_true", help="write no scene file")
    command.add_argument("--no-picture", action="store_true", help="draw no overview picture")
    command.add_argument("--force", action="store_true", help="also replace results of another input or origin")
    _add_output_options(command)


def _add_correct(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser(
        "correct",
        help="correct a result, or any segmentation, by clicks",
        description="Add or remove tissue where you say, on a result of segment; the network does not run "
        "again. The corrected files are written beside it, all or none. Of two clicks on a voxel the later counts. "
        "With --start or --start-probability it begins with a segmentation of any other tool, on any grid.",
    )
    command.set_defaults(module="correct", clicks=[])
    command.add_argument(
        "result",
        type=Path,
        metavar="RESULT",
        help="output folder, *_scene.mrb or *_report.json of segment or correct; with --start: the CT",
    )
    start = command.add_mutually_exclusive_group()
    start.add_argument(
        "--start", type=Path, metavar="FILE",
        help="segmentation to start from: a label map (NIfTI, NRRD, MHA), a .seg.nrrd or a DICOM SEG",
    )  # fmt: skip
    start.add_argument(
        "--start-probability", type=Path, metavar="FILE", help="the same with a probability (0 to 1, or 0 to 255)"
    )
    command.add_argument("--segment", metavar="NAME", help="for --start: name or label value of the segment")
    command.add_argument("--series", help="for --start: number or UID of the CT's series, in a DICOM folder of several")
    for kind, positive in (("add", True), ("remove", False)):
        command.add_argument(
            f"--{kind}", action=_Collect, const=("click", positive), metavar="X,Y,Z",
            help=f"{kind} the tissue at this position (RAS, mm); may be given several times",
        )  # fmt: skip
    for shape, meaning in (
        ("stroke", "along a line"), ("lasso", "within a closed line in one plane"), ("box", "between two corners"),
    ):  # fmt: skip
        for kind, positive in (("add", True), ("remove", False)):
            command.add_argument(
                f"--{kind}-{shape}", action=_Collect, const=(shape, positive),
                metavar="'X,Y,Z;X,Y,Z'" if shape == "box" else "'X,Y,Z;X,Y,Z;...'",
                help=f"{kind} the tissue {meaning} (RAS, mm), spreading as a click does",
            )  # fmt: skip
    command.add_argument("--stroke-radius", type=float, default=0.0, metavar="MM", help="of strokes (default: a line)")
    command.add_argument(
        "--wall", type=Path, action="append", default=[], metavar="FILE",
        help="segmentation (vessels, duodenum) that no correction enters; may be given several times",
    )  # fmt: skip
    command.add_argument(
        "--reach", type=float, metavar="MM", help=f"how far a click acts (default: {DEFAULT_REACH_MM:g} mm)"
    )
    command.add_argument("--threshold", type=float, help="lowest probability that is pancreas (default: unchanged)")
    command.add_argument("--refine", action=_Removed, nargs=0, help=argparse.SUPPRESS)
    for name in ("--model", "--device"):
        command.add_argument(name, action=_Removed, help=argparse.SUPPRESS)
    command.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder (default: that of the result)")
    add_dicom_options(command)
    command.add_argument("--csv", action="store_true", help="write the measurements as a table too (.csv)")
    command.add_argument("--parts", action="store_true", help="write head, body and tail as segments too")
    command.add_argument("--no-scene", action="store_true", help="write no scene file")
    command.add_argument("--no-picture", action="store_true", help="draw no overview picture")
    command.add_argument("--force", action="store_true", help="also replace results of another input or origin")
    _add_output_options(command)


class _Removed(argparse.Action):
    """What `correct --refine` was given: it says that there is no such thing any more."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, given: object, name: str | None = None
    ) -> None:
        """Raise BadInput."""
        told = "--refine was removed" if name == "--refine" else f"{name} belonged to --refine, which was removed"
        raise BadInput(f"{told}: the network adapted to clicks was no better.", "Leave it out: clicks act as before.")


class _Collect(argparse.Action):
    """Collects --add, --remove and their kin in the order in which they are given, as (shape, positive, positions)."""

    def __call__(
        self, parser: argparse.ArgumentParser, chosen: argparse.Namespace, words: Any, option: str | None = None
    ) -> None:
        shape, positive = self.const
        fewest, most = {"click": (1, 1), "box": (2, 2), "lasso": (3, None), "stroke": (1, None)}[shape]
        positions = []
        for part in words.strip("; ").split(";"):
            try:
                x, y, z = (float(number) for number in part.split(","))
            except ValueError:
                parser.error(f"{option} needs three coordinates in mm such as 12.5,-40,310, not {part!r}")
            positions.append((x, y, z))
        if len(positions) < fewest or (most is not None and len(positions) > most):
            count = {1: "one position", 2: "two positions", 3: "at least three positions"}[fewest]
            parser.error(f"{option} needs {count}, separated by semicolons, not {len(positions)}")
        chosen.clicks = [*chosen.clicks, (shape, positive, tuple(positions))]


def _with_joined_positions(words: Sequence[str]) -> list[str]:
    """Write "--add -1,2,3" as "--add=-1,2,3": argparse takes a word that begins with a minus for an option."""
    joined: list[str] = []
    for word in words:
        if joined and re.fullmatch("--(add|remove)(-stroke|-lasso|-box)?", joined[-1]) and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _add_phantom(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser(
        "phantom",
        help="write a synthetic CT and its labels",
        description="Write a synthetic abdominal CT, marked as one, and its label map (<name>_label) beside it.",
    )
    command.set_defaults(module="phantom")
    command.add_argument("output", type=Path, metavar="OUT", help="image file (.nrrd, .nii.gz, .mha) or a folder")
    command.add_argument("--seed", type=int, default=1, help="which phantom (default: %(default)s)")
    command.add_argument("--spacing", metavar="X,Y,Z", help="voxel size in mm (default: 0.8,0.8,2)")
    command.add_argument("--phase", help="non_contrast or portal_venous (default: by the seed)")
    command.add_argument("--force", action="store_true", help="replace files that are no phantoms")
    _add_output_options(command)


def _add_replay(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser(
        "replay",
        help="run a kept job again",
        description="Run the job folder that a failed run kept once more, and print how it ends.",
    )
    command.set_defaults(module="replay")
    command.add_argument("job", type=Path, metavar="JOB", help="job folder, as named in an error")
    command.add_argument("-o", "--output", type=Path, metavar="OUT", help="new folder that keeps the outcome")
    _add_output_options(command)


def _add_models(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser("models", help="list, add, remove and verify models")
    command.set_defaults(module="model_packages")
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, function: str, explanation: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=explanation)
        action.set_defaults(function=function)
        _add_output_options(action)
        return action

    add("list", "show_list", "list the installed models")
    info = add("info", "show_info", "describe a model: what it was trained on, how well it does, what it cannot do")
    info.add_argument("model", nargs="?", metavar="ID", help="id of the model (default: the default model)")
    source = add("add", "add", "install a model package")
    source.add_argument("source", type=Path, metavar="FOLDER_OR_ZIP", help="model package")
    remove = add("remove", "remove", "delete an installed model package")
    remove.add_argument("model", metavar="ID", help="id of the model")
    verify = add("verify", "verify", "compare a model's weights with their hash")
    verify.add_argument("model", nargs="?", metavar="ID", help="id of the model (default: all models)")


def _add_serve(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser(
        "serve",
        help="open the tool in a browser",
        description="Serve the tool as a web page of this machine and open it. The address holds a token; only who "
        "knows it can use the page.",
    )
    command.set_defaults(module="serve")
    command.add_argument("input", type=Path, nargs="?", metavar="INPUT", help="image file or DICOM folder to open")
    command.add_argument("--series", help="number or UID of the series, for a DICOM folder that holds several")
    command.add_argument("--model", help="id of the model to begin with (default: see models list)")
    command.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine)")
    command.add_argument("--port", type=int, default=0, help="port to listen on (default: any that is free)")
    command.add_argument("--token", help="what the address ends with (default: random); needed with another --host")
    command.add_argument(
        "--upload-limit", type=int, default=2048, metavar="MB", help="largest file to upload (default: %(default)s)"
    )
    command.add_argument("--no-browser", action="store_true", help="print the address only")
    ending = command.add_mutually_exclusive_group()
    ending.add_argument("--stay", action="store_true", help="go on when no tab is open")
    ending.add_argument(
        "--linger", type=float, default=600.0, metavar="S", help="end S seconds after the last tab closed (%(default)g)"
    )
    _add_output_options(command)


def _add_output_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the answer as JSON, and nothing else, on stdout")
    command.add_argument("--verbose", action="store_true", help="show tracebacks and what the libraries say, on stderr")
