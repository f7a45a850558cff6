"""Whole cohorts with real workers, which are killed in the middle, and so are the scheduler and the command itself."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from AttentionUNetSegLib.cohort import by_doubt, local_cluster, rows_of, run_case, run_cases
from AttentionUNetSegLib.cohort.case_folder import REPORT

from .conftest import COUNT

LIMIT = 900  # seconds; nothing here takes that long unless it hangs
JOB_SCRIPT = Path(__file__).resolve().parents[2] / "Resources" / "Cluster" / "cohort.slurm.sh"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")


def finished(output: Path) -> dict[str, int]:
    """Time of change of every case's report."""
    reports = {path: path / REPORT for path in output.glob("cases/[!.]*")}
    return {path.name: report.stat().st_mtime_ns for path, report in reports.items() if report.exists()}


def wait_for(condition: Callable[[], bool], process: subprocess.Popen, what: str) -> None:
    ends = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, f"it ended with {process.returncode} before {what}"
        assert time.monotonic() < ends, f"not within {LIMIT} s: {what}"
        time.sleep(0.05)


def kept(before: dict[str, int], output: Path) -> bool:
    now = finished(output)
    return all(now.get(name) == changed for name, changed in before.items())


def test_phantoms_survive_the_death_of_a_worker_the_scheduler_and_the_command(
    phantom_folder, tiny_model_package, tmp_path
):
    """First on a cluster of separate processes, started by the job script; then here; then here again to the end."""
    output = tmp_path / "out"
    words = [
        "-m", "AttentionUNetSegLib.cli", "cohort", str(phantom_folder), "-o", str(output), "--device", "cpu",
        "--model", str(tiny_model_package.folder), "--threshold", "0.44", "--json",
    ]  # fmt: skip

    # Slurm's own part is a stand-in: srun starts its command as often as the job has tasks.
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "srun").write_text('#!/bin/sh\nfor n in $(seq "$SLURM_NTASKS"); do "$@" & done\nwait\n')
    (tools / "dask").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dask "$@"\n')
    (tools / "attention-unet-seg").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m AttentionUNetSegLib.cli "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "SLURM_NTASKS": "2", "SLURM_CPUS_PER_TASK": "1", "SLURM_JOB_ID": "7",
        "INPUT": str(phantom_folder), "OUTPUT": str(output), "LISTEN": "127.0.0.1",
        "OPTIONS": f"--model {tiny_model_package.folder} --threshold 0.44 --device cpu",
    }  # fmt: skip
    with open(tmp_path / "job.log", "w") as log:
        job = subprocess.Popen(
            ["bash", str(JOB_SCRIPT)], env=environment, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path
        )
    try:
        wait_for(lambda: len(finished(output)) >= 2, job, "two cases are done")
        of_job = psutil.Process(job.pid).children(recursive=True)
        workers = [process for process in of_job if re.search(r"-m dask worker", " ".join(process.cmdline()))]
        (scheduler,) = [process for process in of_job if re.search(r"-m dask scheduler", " ".join(process.cmdline()))]
        assert len(workers) == 2
        workers[0].kill()
        at_death = len(finished(output))
        wait_for(lambda: len(finished(output)) >= at_death + 2, job, "the other worker goes on")
        scheduler.kill()
        assert job.wait(LIMIT) == 1
    finally:
        kill_session(job.pid)
    log = (tmp_path / "job.log").read_text()
    assert "The Dask scheduler is gone" in log and "run the same command again" in log
    first = finished(output)
    assert 4 <= len(first) < COUNT, "this machine is too fast for this test"
    assert (output / "cohort.csv").exists(), "the table tells of what is done"

    command = subprocess.Popen(
        [sys.executable, *words, "--processes", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(finished(output)) >= len(first) + 2, command, "it goes on")
    children = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    command.wait(LIMIT)
    _, alive = psutil.wait_procs(children, 60)
    assert not alive, "workers do not outlive the command"
    second = finished(output)
    assert len(second) < COUNT and kept(first, output)

    last = [sys.executable, *words, "--processes", "2", "--by-doubt"]
    done = subprocess.run(last, capture_output=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert (answer["cases"], answer["done"], answer["failed"], answer["not_run"]) == (COUNT, COUNT, 0, 0)
    assert kept(second, output), "nothing is done twice"
    assert sorted(finished(output)) == sorted(os.listdir(output / "cases")), "nothing is left of those that were killed"

    with open(output / "cohort.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == COUNT and {row["state"] for row in rows} == {"done"}
    assert all(float(row["volume_low"]) <= float(row["volume"]) <= float(row["volume_high"]) for row in rows)
    assert {row["model_sha256"] for row in rows} == {tiny_model_package.weights_sha256}
    dice = [float(row["expected_dice"]) for row in rows]
    assert dice == sorted(dice), "the lowest first: none of these has other reasons"
    page = (output / "cohort.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img loading="lazy" src="([^"]+)"', page)
    assert len(pictures) == COUNT and all((output / picture).is_file() for picture in pictures)
    assert page.count("Contrast phase, a guess: ") == COUNT
    assert "http" not in page and "<script" not in page, "it opens offline"


def test_a_case_that_kills_its_worker_is_tried_alone_and_told_and_a_thousand_cases_wait_without_memory(
    order_for, tmp_path
):
    def deadly(order):
        import AttentionUNetSegLib.imaging as imaging

        read = imaging.read_volume

        def dies(path, series):
            if "poison" in str(path):
                os.kill(os.getpid(), signal.SIGKILL)
            return read(path, series)

        imaging.read_volume = dies
        try:
            return run_case(order)
        finally:
            imaging.read_volume = read

    names = [f"missing_{n}" for n in range(600)]
    names.insert(5, "poison")
    orders = [order_for(tmp_path / f"{name}.nrrd") for name in names]
    memory, most = [], 0

    def watch(progress):
        nonlocal most
        most = max(most, progress.under_way - progress.workers)
        memory.append((progress.done, psutil.Process().memory_info().rss))

    with local_cluster(2, "cpu") as cluster:
        assert cluster.worker_count == 2
        unwritten = run_cases(orders, cluster, watch, run=deadly)
    assert unwritten == [] and most <= 1
    rows = rows_of([order.case for order in orders], Path(orders[0].output))
    assert {row["state"] for row in rows} == {"failed"} and len(rows) == 601
    (poisoned,) = [row for row in rows if row["id"] == "poison"]
    assert "died 2 times" in poisoned["error"]
    others = [row for row in rows if row["id"] != "poison"]
    assert all("There is no file" in row["error"] for row in others), "they are not taken along"
    early = max(rss for done, rss in memory if done <= 100)
    assert memory[-1][1] - early < 60e6, "memory grows with the cohort"
    assert by_doubt(rows)[0]["state"] == "failed"


def kill_session(leader: int) -> None:
    """End what a job script started and left behind."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (psutil.Error, ProcessLookupError, PermissionError):
            continue
