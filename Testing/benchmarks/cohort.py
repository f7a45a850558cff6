"""Throughput of `cohort` against a loop over `segment`, in one run on one machine; and what the engine itself costs.

    python Testing/benchmarks/cohort.py [--cases 12] [--loop 2] [--slices 321] [--write]

The same phantom CT of 512 x 512 x `slices` voxels, in files of their own. The loop is the command `segment` for each,
as a person would write it in a shell; the cohort is one command, its start included. The engine's cost is measured with
cases that are nothing but a row (their files do not exist): 1,000 of them, with the memory of the command at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from phantom_package import PHANTOM_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--loop", type=int, default=2, help="how many of them the loop runs")
    parser.add_argument("--slices", type=int, default=321)
    parser.add_argument("--rows", type=int, default=1000, help="cases without a file, for the engine's cost")
    parser.add_argument("--processes", type=int, help="workers (default: by the machine)")
    parser.add_argument("--model", type=Path, default=PHANTOM_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", action="store_true", help="keep the numbers in results/cohort.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attention-unet-seg-benchmark-") as folder:
        result = measure(arguments, Path(folder))
    print(json.dumps(result, indent=2))
    if arguments.write:
        from machine import write_results

        print("written to", write_results("cohort", result))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run loop, cohort and empty cohort; return seconds a case and their ratios."""
    cts = _phantoms(arguments, folder / "in")
    model = ["--model", str(arguments.model), "--device", arguments.device]
    workers = [] if arguments.processes is None else ["--processes", str(arguments.processes)]
    started = time.perf_counter()
    for ct in cts[: arguments.loop]:
        _command("segment", ct, "-o", folder / "loop" / ct.stem, *model)
    loop = (time.perf_counter() - started) / arguments.loop
    started = time.perf_counter()
    _command("cohort", folder / "in", "-o", folder / "out", *model, *workers)
    cohort = time.perf_counter() - started
    reports = [json.loads(path.read_text()) for path in folder.glob("out/cases/*/result_report.json")]
    busy = [report["timings"]["total"] - report["timings"]["load"] for report in reports]

    table = folder / "rows.csv"
    table.write_text("path\n" + "".join(f"none_{n}.nrrd\n" for n in range(arguments.rows)))
    started = time.perf_counter()
    empty = _command("cohort", table, "-o", folder / "rows", *model, *workers)
    row = empty["timings"]["run"] / arguments.rows
    return {
        "cases": arguments.cases,
        "slices": arguments.slices,
        "loop_seconds_per_case": round(loop, 2),
        "cohort_seconds_per_case": round(cohort / arguments.cases, 2),
        "times_faster": round(loop / (cohort / arguments.cases), 2),
        "seconds_of_work_per_case": round(sum(busy) / len(busy), 2),
        "rows": arguments.rows,
        "engine_seconds_per_case": round(row, 4),
        "engine_share": round(row / (cohort / arguments.cases), 4),
        "rows_peak_memory_mb": empty["peak_memory_mb"],
    }


def _phantoms(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    from AttentionUNetSegLib.training.phantom import make_phantom, write_phantom

    folder.mkdir()
    paths = [folder / f"ct{n:03}.nii.gz" for n in range(arguments.cases)]
    write_phantom(make_phantom(1, (0.8, 0.8, 1.0), "portal_venous", (409.6, 409.6, float(arguments.slices))), paths[0])
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    return paths


def _command(*words: object) -> dict[str, object]:
    """Run a command to its end; return its answer, with the peak memory of its own process in MB."""
    program = (
        "import resource, sys; from AttentionUNetSegLib.cli import main; code = main(); "
        "sys.stderr.write(f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}'); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with {done.returncode}: {done.stderr}")
    return {**json.loads(done.stdout), "peak_memory_mb": float(done.stderr.split()[-1])}


if __name__ == "__main__":
    main()
