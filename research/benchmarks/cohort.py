"""Throughput of `cohort` against a loop over `segment`, in one run on one machine; and what the engine itself costs.

    python -m research.benchmarks.cohort [--cases 12] [--loop 2] [--slices 320] [--write]

The same phantom CT of 512 x 512 x `slices` voxels (a coarse one, every voxel divided, with its own noise: drawing one
of this size takes longer than segmenting it), in files of their own. The loop is the command `segment` for each, as a
person would write it in a shell; the cohort is one command. `times_faster` compares the time of one CT in the loop with
that of one in the cohort, its start and its end included; `times_faster_once_started` leaves out the start, of which a
large cohort has one too. Both are given in seconds of a clock and of the processors: where other programs run on the
machine meanwhile, the latter tells more. The engine's cost is measured with cases that are nothing but a row (their
files do not exist), with the memory of the command at a tenth of them and at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from phantom_package import PHANTOM_MODEL


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--loop", type=int, default=2, help="how many of them the loop runs")
    parser.add_argument("--slices", type=int, default=320)
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
        from .machine import write_results

        print("written to", write_results("cohort", result))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run loop, cohort and empty cohorts; return seconds a case and their ratios."""
    cts = _phantoms(arguments, folder / "in")
    model = ["--model", str(arguments.model), "--device", arguments.device]
    workers = [] if arguments.processes is None else ["--processes", str(arguments.processes)]
    loop = [_command("segment", ct, "-o", folder / "loop" / ct.name, *model) for ct in cts[: arguments.loop]]
    loop_clock, loop_busy = (sum(each[key] for each in loop) / len(loop) for key in ("clock", "busy"))
    cohort = _command("cohort", folder / "in", "-o", folder / "out", *model, *workers)
    reports = [json.loads(path.read_text()) for path in folder.glob("out/cases/*/result_report.json")]
    work = [report["timings"]["total"] - report["timings"]["load"] for report in reports]
    stages = {stage: _mean(report["timings"][stage] for report in reports) for stage in reports[0]["timings"]}
    # Between the end of the first case of a worker and that of the last one, every worker was at work.
    ended = sorted(path.stat().st_mtime for path in folder.glob("out/cases/*/result_report.json"))
    once_started = (ended[-1] - ended[0]) / (len(ended) - 1)

    few, many = (_rows(folder, n, model, workers) for n in (max(1, arguments.rows // 10), arguments.rows))
    row = (many["run"] - few["run"]) / (many["rows"] - few["rows"])
    return {
        "cases": arguments.cases,
        "cases_in_the_loop": arguments.loop,
        "voxels": [512, 512, arguments.slices],
        "model": arguments.model.name,
        "loop_seconds_per_case": {"clock": round(loop_clock, 2), "processors": round(loop_busy, 2)},
        "cohort_seconds_per_case": {
            "clock": round(cohort["clock"] / arguments.cases, 2),
            "processors": round(cohort["busy"] / arguments.cases, 2),
            "clock_once_started": round(once_started, 2),
        },
        "times_faster": {
            "clock": round(loop_clock / (cohort["clock"] / arguments.cases), 2),
            "clock_once_started": round(loop_clock / once_started, 2),
            "processors": round(loop_busy / (cohort["busy"] / arguments.cases), 2),
        },
        "seconds_of_work_per_case": round(_mean(work), 2),
        "seconds_by_stage": {stage: round(seconds, 2) for stage, seconds in stages.items()},
        "rows": arguments.rows,
        "engine_seconds_per_case": round(row, 4),
        "engine_share": round(row / once_started, 4),
        "peak_memory_mb_by_queued_cases": {each["rows"]: each["peak_memory_mb"] for each in (few, many)},
    }


def _rows(folder: Path, count: int, model: list[str], workers: list[str]) -> dict[str, object]:
    """Run a cohort of files that do not exist; return how many, the seconds, and the peak memory of the command."""
    table = folder / f"rows_{count}.csv"
    table.write_text("path\n" + "".join(f"none_{n}.nrrd\n" for n in range(count)))
    done = _command("cohort", table, "-o", folder / f"rows_{count}", *model, *workers)
    return {"rows": count, "run": done["timings"]["run"], "peak_memory_mb": done["peak_memory_mb"]}


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _phantoms(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    import numpy as np
    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import PHANTOM_KEY, write_image
    from AttentionUNetSegLib.phantom import make_phantom

    folder.mkdir()
    paths = [folder / f"ct{n:03}.nii.gz" for n in range(arguments.cases)]
    thick = 320.0 / arguments.slices
    coarse = make_phantom(1, (3.2, 3.2, 4 * thick), "portal_venous", (409.6, 409.6, 320.0)).ct
    hu = sitk.GetArrayFromImage(coarse).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    hu += np.random.default_rng(0).integers(-12, 13, hu.shape, dtype=hu.dtype)
    ct = sitk.GetImageFromArray(hu)
    ct.SetSpacing((0.8, 0.8, thick))
    ct.SetOrigin(coarse.GetOrigin())
    ct.SetMetaData(PHANTOM_KEY, "1")
    write_image(ct, paths[0])
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    return paths


def _command(*words: object) -> dict[str, object]:
    """Run a command to its end; return its answer, with its peak memory (MB, of its own process), clock and busy time.

    "busy" are the seconds of the processors, those of its workers included.
    """
    program = (
        "import resource, sys; from AttentionUNetSegLib.cli import main; code = main(); "
        "sys.stderr.write(f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}'); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *map(str, words), "--json"]
    began, before = time.perf_counter(), _seconds_of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    times = {"clock": time.perf_counter() - began, "busy": _seconds_of_children() - before}
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with {done.returncode}: {done.stderr}")
    return {**json.loads(done.stdout), "peak_memory_mb": float(done.stderr.split()[-1]), **times}


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
