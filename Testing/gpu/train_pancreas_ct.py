"""Train pancreas-ct on a lent GPU: one command before, one there, one after.

Here, before (CPU, once; makes ``.gpu-data`` with all that the training reads, at training resolution, below 60 MiB)::

    python Testing/gpu/train_pancreas_ct.py pack --work FOLDER --before PACKAGE

There (carry ``.gpu-data``; weights, log and summary are left in OUT)::

    python Testing/gpu/train_pancreas_ct.py train --minutes 9.5 --parts final --out $OUT

Here, after: copy ``OUT/<part>/model`` to ``FOLDER/<part>/stage_1/model`` and run ``pancreas_ct_cross_validation`` or
``pancreas_ct_card`` on the CPU.

*final* is trained on from ``--start-from`` (the bundled model) with all patients. *fold_0* and the like, which share
the minutes, begin with PACKAGE, ``pancreas-ct`` 0.3.0: every later one has seen the patients that a fold is measured
on. What the minutes went into is printed and left in ``OUT/summary.json``; the command ends with 1 where less than 90 %
of them were training steps.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "AttentionUNetSeg"), str(ROOT)]

PACKED = ROOT / ".gpu-data"
LARGEST_MB = 60.0
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
    pack.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    pack.add_argument("--before", type=Path, help="the package of pancreas-ct 0.3.0, for folds")
    pack.add_argument("--to", type=Path, default=PACKED)
    pack.add_argument("--most", type=int, default=0, help="so many scans of each data set only (a dry run)")
    train = commands.add_parser("train")
    train.add_argument("--packed", type=Path, default=PACKED)
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
    """Write the data sets, reduced, and the part maps; returns 1 where they are too large to travel."""
    from AttentionUNetSegLib.models import load_package

    from research.pancreas_ct_manual import SPACING_MM, manual_step_scans
    from research.reduced_scans import write_reduced_scans

    if options.before and (version := load_package(options.before).version) != BEFORE_VERSION:
        raise SystemExit(f"{options.before} is version {version}: folds begin with {BEFORE_VERSION}.")
    shutil.rmtree(options.to, ignore_errors=True)
    scans = manual_step_scans(options.work)
    for name in ("nih_pancreas", "reduced", "negative"):
        chosen = [scan for scan in scans if scan.name.startswith(f"{name}/")]
        folder = options.to / ("data" if name == "nih_pancreas" else "work") / name
        write_reduced_scans(chosen[: options.most or None], folder, SPACING_MM)
    copy_part_maps(options.work / "painted", options.to / "work" / "painted", options.most)
    if options.before:
        shutil.copytree(options.before, options.to / BEFORE, ignore=lambda _folder, names: {*names} - PACKAGE_FILES)
    size = sum(path.stat().st_size for path in options.to.rglob("*") if path.is_file()) / 2**20
    print(f"{options.to}: {size:.1f} MiB")
    if size > LARGEST_MB:
        print(f"That is more than {LARGEST_MB:g} MiB: it cannot travel.", file=sys.stderr)
        return 1
    return 0


def copy_part_maps(source: Path, target: Path, most: int) -> None:
    """The part maps, `most` of them where that is not 0, with an index of them alone."""
    from AttentionUNetSegLib.training.synthesis.part_map import INDEX

    target.mkdir(parents=True)
    entries = json.loads((source / INDEX).read_text(encoding="utf-8"))[: most or None]
    for entry in entries:
        shutil.copy(source / f"{entry['name']}.npz", target)
    (target / INDEX).write_text(json.dumps(entries, indent=1), encoding="utf-8")


def trained(options: argparse.Namespace) -> int:
    """Train the parts, one after the other; returns 1 where less than nine tenths of the time were training steps."""
    started = time.monotonic()
    # The recipe looks for the manual contours below this folder.
    os.environ["ATTENTIONUNETSEG_DATA"] = str(options.packed / "data")
    import torch

    from research import pancreas_ct_manual as recipe

    starts = {part: first_weights(options, part) for part in options.parts}  # refused now, not after nine minutes
    if options.patch:
        recipe.PATCH = tuple(options.patch)
    options.out.mkdir(parents=True, exist_ok=True)
    prepare(options.packed / "work")
    words = ["--work", str(options.packed / "work"), "--device", options.device]
    words += [] if options.workers is None else ["--workers", str(options.workers)]
    rows = []
    for number, part in enumerate(options.parts):
        before = time.monotonic()
        share = (60 * options.minutes - (before - started)) / (len(options.parts) - number)
        minutes = max(share - RESERVED_SECONDS, 1.0) / 60
        shutil.rmtree(options.packed / "work" / part, ignore_errors=True)  # of an earlier call
        recipe.main([*words, "--start-from", str(starts[part]), "--only", part, "--minutes", f"{minutes:.4f}"])
        stage = recipe.stage_folder(options.packed / "work", part, 1)
        rows.append(summed_up(part, stage / "run" / "log.csv", time.monotonic() - before))
        print(rows[-1], flush=True)
        shutil.copytree(stage / "model", options.out / part / "model", dirs_exist_ok=True)
        shutil.copy(stage / "run" / "log.csv", options.out / part / "log.csv")
    whole = time.monotonic() - started
    share_in_steps = sum(row["seconds_in_steps"] for row in rows) / whole
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    summary = {"device": name, "torch": torch.__version__, "python": sys.version.split()[0],
               "seconds": round(whole, 1), "share_in_steps": round(share_in_steps, 3), "parts": rows}  # fmt: skip
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"{share_in_steps:.0%} of {whole:.0f} s were training steps; {LEAST_SHARE:.0%} are wanted.", flush=True)
    return 0 if share_in_steps >= LEAST_SHARE else 1


def first_weights(options: argparse.Namespace, part: str) -> Path:
    """What a part begins with; *final* as the recipe wants it, in the place of the mean of its folds."""
    from AttentionUNetSegLib.models import load_package

    from research import pancreas_ct_manual as recipe

    if part != "final":
        before = options.packed / BEFORE
        if not before.is_dir() or load_package(before).version != BEFORE_VERSION:
            raise SystemExit(f"{part} begins with pancreas-ct {BEFORE_VERSION}: pack it along with --before PACKAGE.")
        return before
    import torch
    from AttentionUNetSegLib.training.trainer.checkpoint import initial_weights

    torch.save(initial_weights(options.start_from), options.packed / "work" / recipe.MEAN_OF_FOLDS)
    return options.start_from


def prepare(work: Path) -> None:
    """Bring the scans to the model's grid, in as many processes as there are processors, before the clock of a part."""
    from AttentionUNetSegLib.training.trainer.preparation import available_processes, prepare_cases

    from research import pancreas_ct_manual as recipe

    scans = [scan for scan in recipe.manual_step_scans(work) if scan.part_map is None]
    prepare_cases(scans, recipe.SPACING_MM, work / "cache", available_processes())


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
