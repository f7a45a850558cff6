"""Train pancreas-ct on a lent GPU: one command before, one there, one after, for each of its two looks.

Here, before (CPU, once; makes ``.gpu-data/first`` or ``.gpu-data/second`` with all that the training reads, at training
resolution; with the working tree it has to stay below 64 MiB)::

    python Testing/gpu/train_pancreas_ct.py pack --look first --work FOLDER --before PACKAGE

There (carry ``.gpu-data/first``; weights, log and summary are left in OUT)::

    python Testing/gpu/train_pancreas_ct.py train --look first --minutes 6 --parts final --out $OUT

Here, after: copy ``OUT/<part>/model`` to ``FOLDER/<part>/stage_1/model``, of a second look to
``FOLDER/second_look/<part>/model``, and run ``pancreas_ct_cross_validation`` or ``pancreas_ct_card`` on the CPU.

*final* is trained on from ``--start-from`` (the bundled model) with all patients. *fold_0* and the like, which share
the minutes, begin with PACKAGE, ``pancreas-ct`` 0.3.0: every later one has seen the patients that a fold is measured
on. What the minutes went into is printed and left in ``OUT/summary.json``; the command ends with 1 where less than 90 %
of them were training steps. Both looks do not travel together: the second call finds the machine still warm.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "AttentionUNetSeg"), str(ROOT)]

PACKED = ROOT / ".gpu-data"
ARCHIVE = "packed.tar.xz"
# What travels in all: the working tree, and what is packed here.
LARGEST_MIB = 63.0
# The second look sees the surroundings of the gland; beyond, a patch sees their mirror image.
SECOND_LOOK_MARGIN_MM = 40.0
# A two-hundredth of the network's window.
STEP_HU = 2
LEAST_SHARE = 0.9
# Of every part, for what comes after its last step: statistics of batch normalization, the package.
RESERVED_SECONDS = 12.0
BEFORE, BEFORE_VERSION = "before", "0.3.0"
PACKAGE_FILES = {"model.json", "weights.pt"}


def main(arguments: list[str] | None = None) -> int:
    """Do one of the two; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack")
    pack.add_argument("--look", choices=("first", "second"), default="first")
    pack.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    pack.add_argument("--before", type=Path, help="the package of pancreas-ct 0.3.0, for folds")
    pack.add_argument("--to", type=Path, help=f"default: {PACKED.name}/LOOK")
    pack.add_argument("--most", type=int, default=0, help="so many scans of each data set only (a dry run)")
    train = commands.add_parser("train")
    train.add_argument("--look", choices=("first", "second"), default="first")
    train.add_argument("--packed", type=Path, help=f"default: {PACKED.name}/LOOK")
    train.add_argument("--minutes", type=float, default=9.5, help="in all, for all parts and what is around them")
    train.add_argument("--parts", nargs="+", default=["final"])
    train.add_argument("--device", default="cuda")
    train.add_argument("--workers", type=int, help="threads that make patches ahead (default: the trainer's choice)")
    train.add_argument("--patch", type=int, nargs=3, metavar=("K", "J", "I"), help="voxels, where not the recipe's")
    train.add_argument("--start-from", type=Path, default=ROOT / "AttentionUNetSeg/Resources/Models/pancreas-ct")
    train.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    return packed(options) if options.command == "pack" else trained(options)


def packed(options: argparse.Namespace) -> int:
    """Write the data sets, reduced, and the part maps as one archive; returns 1 where it is too large to travel."""
    from AttentionUNetSegLib.models import load_package

    from research.pancreas_ct_manual import manual_step_scans
    from research.reduced_scans import write_reduced_scans

    if options.before and (version := load_package(options.before).version) != BEFORE_VERSION:
        raise SystemExit(f"{options.before} is version {version}: folds begin with {BEFORE_VERSION}.")
    target = options.to or PACKED / options.look
    margin = SECOND_LOOK_MARGIN_MM if options.look == "second" else None
    scans = manual_step_scans(options.work)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for name in ("nih_pancreas", "reduced", "negative"):
            chosen = [scan for scan in scans if scan.name.startswith(f"{name}/")]
            folder = place / ("data" if name == "nih_pancreas" else "work") / name
            spacing_mm = recipe_of(options.look).SPACING_MM
            write_reduced_scans(chosen[: options.most or None], folder, spacing_mm, margin, STEP_HU, compress=False)
        copy_part_maps(options.work / "painted", place / "work" / "painted", options.most)
        if options.before:
            shutil.copytree(options.before, place / BEFORE, ignore=lambda _folder, names: {*names} - PACKAGE_FILES)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        with tarfile.open(target / ARCHIVE, "w:xz") as archive:  # together, and so a quarter smaller than each alone
            archive.add(place, ".")
    size, tree = (target / ARCHIVE).stat().st_size / 2**20, working_tree_mib()
    print(f"{target}: {size:.1f} MiB, beside {tree:.1f} MiB of the working tree")
    if size + tree > LARGEST_MIB:
        print(f"Together that is more than {LARGEST_MIB:g} MiB: it cannot travel.", file=sys.stderr)
        return 1
    return 0


def recipe_of(look: str) -> ModuleType:
    """The module that trains the first or the second look."""
    from research import pancreas_ct_manual, pancreas_ct_second_look

    return {"first": pancreas_ct_manual, "second": pancreas_ct_second_look}[look]


def working_tree_mib() -> float:
    """All files that travel whatever is carried: those that git follows, and new ones that it does not ignore."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    paths = [ROOT / os.fsdecode(name) for name in names if name]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def copy_part_maps(source: Path, target: Path, most: int) -> None:
    """The part maps, `most` of them where that is not 0, with an index of them alone; not packed each by itself."""
    import numpy as np
    from AttentionUNetSegLib.training.synthesis.part_map import INDEX

    target.mkdir(parents=True)
    entries = json.loads((source / INDEX).read_text(encoding="utf-8"))[: most or None]
    for entry in entries:
        with np.load(source / f"{entry['name']}.npz") as arrays:
            np.savez(target / f"{entry['name']}.npz", **arrays)
    (target / INDEX).write_text(json.dumps(entries, indent=1), encoding="utf-8")


def trained(options: argparse.Namespace) -> int:
    """Train the parts, one after the other; returns 1 where less than nine tenths of the time were training steps."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open((options.packed or PACKED / options.look) / ARCHIVE) as archive:
            archive.extractall(scratch, filter="data")
        return _trained(options, Path(scratch), started)


def _trained(options: argparse.Namespace, place: Path, started: float) -> int:
    # The recipe looks for the manual contours below this folder.
    os.environ["ATTENTIONUNETSEG_DATA"] = str(place / "data")
    import torch

    recipe, work = recipe_of(options.look), place / "work"
    starts = {part: first_weights(options, part, place) for part in options.parts}  # refused now, not later
    if options.patch:
        recipe.PATCH = tuple(options.patch)
    options.out.mkdir(parents=True, exist_ok=True)
    prepare(work, recipe.SPACING_MM)
    words = ["--work", str(work), "--device", options.device]
    words += [] if options.workers is None else ["--workers", str(options.workers)]
    rows = []
    for number, part in enumerate(options.parts):
        before = time.monotonic()
        share = (60 * options.minutes - (before - started)) / (len(options.parts) - number)
        minutes = max(share - RESERVED_SECONDS, 1.0) / 60
        recipe.main([*words, "--start-from", str(starts[part]), "--only", part, "--minutes", f"{minutes:.4f}"])
        folder = work if options.look == "first" else recipe.second_looks_folder(work)
        done = recipe.stage_folder(folder, part, 1)
        rows.append(summed_up(part, done / "run" / "log.csv", time.monotonic() - before))
        print(rows[-1], flush=True)
        shutil.copytree(done / "model", options.out / part / "model", dirs_exist_ok=True)
        shutil.copy(done / "run" / "log.csv", options.out / part / "log.csv")
    whole = time.monotonic() - started
    share_in_steps = sum(row["seconds_in_steps"] for row in rows) / whole
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    summary = {"device": name, "torch": torch.__version__, "python": sys.version.split()[0], "look": options.look,
               "seconds": round(whole, 1), "share_in_steps": round(share_in_steps, 3), "parts": rows}  # fmt: skip
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"{share_in_steps:.0%} of {whole:.0f} s were training steps; {LEAST_SHARE:.0%} are wanted.", flush=True)
    return 0 if share_in_steps >= LEAST_SHARE else 1


def first_weights(options: argparse.Namespace, part: str, place: Path) -> Path:
    """What a part begins with: a fold with 0.3.0 (of a second look, with its finest levels), *final* with a model."""
    from AttentionUNetSegLib.models import load_package

    if part != "final":
        before = place / BEFORE
        if not before.is_dir() or load_package(before).version != BEFORE_VERSION:
            raise SystemExit(f"{part} begins with pancreas-ct {BEFORE_VERSION}: pack it along with --before PACKAGE.")
        return before
    import torch
    from AttentionUNetSegLib.inference.weights import SECOND_LOOK
    from AttentionUNetSegLib.training.trainer.checkpoint import initial_weights

    from research.pancreas_ct_manual import MEAN_OF_FOLDS

    weights = initial_weights(options.start_from)
    if options.look == "first":
        # The recipe looks for it there.
        torch.save(weights, place / "work" / MEAN_OF_FOLDS)
        return options.start_from
    finer = {name.removeprefix(SECOND_LOOK): each for name, each in weights.items() if name.startswith(SECOND_LOOK)}
    start = place / "start.pt"
    torch.save(finer or weights, start)
    return start


def prepare(work: Path, spacing_mm: float) -> None:
    """Bring the scans to the model's grid, in as many processes as there are processors, before the clock of a part."""
    from AttentionUNetSegLib.training.trainer.preparation import available_processes, prepare_cases

    from research.pancreas_ct_manual import manual_step_scans

    scans = [scan for scan in manual_step_scans(work) if scan.part_map is None]
    prepare_cases(scans, spacing_mm, work / "cache", available_processes())


def summed_up(part: str, log: Path, seconds: float) -> dict[str, object]:
    """What the seconds of a part went into, from its log."""
    with log.open(encoding="utf-8") as file:
        steps = list(csv.DictReader(file))
    waiting = sum(float(step["waiting_seconds"]) for step in steps)
    in_steps = sum(float(step["step_seconds"]) for step in steps) - waiting
    return {
        "part": part, "steps": len(steps), "seconds": round(seconds, 1), "seconds_in_steps": round(in_steps, 1),
        "seconds_waiting_for_patches": round(waiting, 1), "seconds_around": round(seconds - in_steps - waiting, 1),
        "seconds_per_step": round((in_steps + waiting) / len(steps), 4),
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
