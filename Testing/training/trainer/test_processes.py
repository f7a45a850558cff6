"""Processes that train together: batches they cannot share, waits that take long, and preparation nobody waits for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import AttentionUNetSegLib
import pytest
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.trainer import preparation
from AttentionUNetSegLib.training.trainer.preparation import prepare_cases
from AttentionUNetSegLib.training.trainer.processes import Processes

# The first is busy for longer than the collectives of training wait; a barrier among these would break off.
ONE_IS_BUSY = textwrap.dedent(
    """
    import time
    from datetime import timedelta
    from AttentionUNetSegLib.training.trainer.processes import Processes, connected

    with connected(Processes.started(), False, timeout=timedelta(seconds=TIMEOUT)) as processes:
        processes.wait()
        if processes.is_first:
            time.sleep(1.2 * TIMEOUT)
        processes.wait()
        print("together", processes.largest(float(processes.rank))[0])
    """
)


def test_who_waits_for_a_process_that_is_busy_goes_on_with_it():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    package_root = Path(AttentionUNetSegLib.__file__).parents[1]
    places = {"PYTHONPATH": os.pathsep.join([str(package_root), *sys.path]), "MASTER_ADDR": "127.0.0.1"}
    running = [
        subprocess.Popen(
            # As long as two processes may need to find each other on a busy machine.
            [sys.executable, "-c", ONE_IS_BUSY.replace("TIMEOUT", "8")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **places, "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outcomes = [process.communicate(timeout=400) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], outcomes[1][1]
    assert [printed for printed, _ in outcomes] == ["together 1.0\n"] * 2


def test_a_batch_that_is_too_small_for_the_processes_is_refused():
    with pytest.raises(BadInput, match="A batch of 2 is smaller than the number of processes, 4"):
        Processes(0, 4).part_of(2)
    with pytest.raises(BadInput, match="cannot be divided"):
        Processes(0, 4).part_of(6)
    assert [list(Processes(rank, 2).part_of(4)) for rank in range(2)] == [[0, 1], [2, 3]]


def test_processes_share_the_preparation_and_each_has_all_cases_in_order(scans, tmp_path, monkeypatch):
    made: list[str] = []
    real = preparation.prepared
    monkeypatch.setattr(preparation, "prepared", lambda name, *rest: made.append(name) or real(name, *rest))
    seen: list[tuple[int, int]] = []
    everything = prepare_cases(scans, 4.0, tmp_path, report=lambda done, total, name: seen.append((done, total)))
    names = [scan.name for scan in scans]
    assert [case.name for case in everything] == made == names
    assert seen == [(n + 1, len(scans)) for n in range(len(scans))]
    made.clear()
    other = tmp_path / "shared"
    for rank in range(2):  # one after the other here: what the first could not leave to the second it made itself
        cases = prepare_cases(scans, 4.0, other, share=(rank, 2))
        assert [case.name for case in cases] == names
    assert made == [*names[0::2], *reversed(names[1::2])]
