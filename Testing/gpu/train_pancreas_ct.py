"""Train pancreas-ct on a lent GPU: one command before, one there, one after.

Here, before (CPU, once; makes ``.gpu-data`` with all that the training reads, at training resolution, below 60 MiB)::

    python Testing/gpu/train_pancreas_ct.py pack --work FOLDER

There (carry ``.gpu-data``; weights, log and summary are left in OUT)::

    python Testing/gpu/train_pancreas_ct.py train --minutes 9.5 --parts final --out $OUT

Here, after: copy ``OUT/<part>/model`` to ``FOLDER/<part>/model`` and run ``pancreas_ct_cross_validation`` or
``pancreas_ct_card`` on the CPU. ``--parts fold_0 fold_1 ...`` shares the minutes among the parts. The share of the time
that went into training steps is printed; less than 90 % means that the GPU waited.
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
sys.path.insert(0, str(ROOT / "AttentionUNetSeg"))

PACKED = ROOT / ".gpu-data"
LARGEST_MB = 60.0
LEAST_SHARE = 0.9


def main() -> int:
    """Do one of the two; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack")
    pack.add_argument("--work", type=Path, required=True, help="the folder of pancreas_ct_manual")
    pack.add_argument("--to", type=Path, default=PACKED)
    pack.add_argument("--most", type=int, default=0, help="so many scans of each data set only (a dry run)")
    train = commands.add_parser("train")
    train.add_argument("--packed", type=Path, default=PACKED)
    train.add_argument("--minutes", type=float, default=9.5, help="in all, for all parts")
    train.add_argument("--parts", nargs="+", default=["final"])
    train.add_argument("--device", default="cuda")
    train.add_argument("--workers", type=int, default=8, help="threads that make patches ahead")
    train.add_argument("--start-from", type=Path, default=ROOT / "AttentionUNetSeg/Resources/Models/pancreas-ct")
    train.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    return packed(options) if options.command == "pack" else trained(options)


def packed(options: argparse.Namespace) -> int:
    """Write the data sets, reduced, and the part maps; returns 1 where they are too large to travel."""
    from AttentionUNetSegLib.training.pancreas_ct_manual import SPACING_MM, manual_step_scans
    from AttentionUNetSegLib.training.reduced_scans import write_reduced_scans

    shutil.rmtree(options.to, ignore_errors=True)
    scans = manual_step_scans(options.work)
    for name in ("nih_pancreas", "reduced", "negative"):
        chosen = [scan for scan in scans if scan.name.startswith(f"{name}/")]
        folder = options.to / ("data" if name == "nih_pancreas" else "work") / name
        write_reduced_scans(chosen[: options.most or None], folder, SPACING_MM)
    maps = options.to / "work" / "painted"
    shutil.copytree(options.work / "painted", maps, ignore=None)
    size = sum(path.stat().st_size for path in options.to.rglob("*") if path.is_file()) / 2**20
    print(f"{options.to}: {size:.1f} MiB")
    if size > LARGEST_MB:
        print(f"That is more than {LARGEST_MB:g} MiB: it cannot travel.", file=sys.stderr)
        return 1
    return 0


def trained(options: argparse.Namespace) -> int:
    """Train the parts, one after the other; returns 1 where the device waited more than a tenth of the time."""
    # The recipe looks for the manual contours below this folder.
    os.environ["ATTENTIONUNETSEG_DATA"] = str(options.packed / "data")
    import torch
    from AttentionUNetSegLib.training import pancreas_ct_manual as recipe

    started = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    common = ["--work", str(options.packed / "work"), "--start-from", str(options.start_from), "--device",
              options.device, "--workers", str(options.workers)]  # fmt: skip
    rows = []
    for number, part in enumerate(options.parts):
        left = options.minutes - (time.monotonic() - started) / 60
        before = time.monotonic()
        recipe.main([*common, "--only", part, "--minutes", f"{left / (len(options.parts) - number):.3f}"])
        whole = time.monotonic() - before
        run = recipe.stage_folder(options.packed / "work", part, 1) / "run"
        with (run / "log.csv").open(encoding="utf-8") as file:
            steps = list(csv.DictReader(file))
        share = float(steps[-1]["seconds"]) / whole
        rows.append({"part": part, "steps": len(steps), "seconds": round(whole, 1), "share_in_steps": round(share, 3)})
        print(rows[-1], flush=True)
        shutil.copytree(run.parent / "model", options.out / part / "model", dirs_exist_ok=True)
        shutil.copy(run / "log.csv", options.out / part / "log.csv")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    summary = {"device": name, "torch": torch.__version__, "python": sys.version.split()[0], "parts": rows}
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return 0 if min(row["share_in_steps"] for row in rows) >= LEAST_SHARE else 1


if __name__ == "__main__":
    raise SystemExit(main())
