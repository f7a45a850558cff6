"""Run a job folder that a failed run kept once more, in a worker process, and print how it ends."""

from __future__ import annotations

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..errors import BadInput
from ..temporary_folder import prefix_of
from ..worker import protocol
from ..worker.client import WorkerClient, WorkerListener
from ..worker.job_folder import read_job, replay_job
from ..worker.transport import SubprocessTransport
from .terminal import ProgressLine, Terminal


def run(options: Namespace, terminal: Terminal) -> None:
    """Replay the job; the replayed folder is not touched, and without an output folder nothing is kept.

    Raises
    ------
    BadInput : no job folder, or the output folder holds something already.
    AttentionUNetSegError : the very error that the job ends with.
    """
    read_job(options.job)
    output = options.output
    if output is not None and (output.is_file() or (output.is_dir() and any(output.iterdir()))):
        raise BadInput(f"{output} exists already.", "Choose a new folder for the outcome.")
    with (
        _outcome_folder(output) as folder,
        terminal.progress() as line,
        WorkerClient(SubprocessTransport, _Listener(line, terminal)) as client,
    ):
        result = replay_job(options.job, folder, client)
    fields = {**asdict(result), "folder": str(output.absolute()) if output else None}
    volumes = ", ".join(f"{name}: {volume:.1f} mL" for name, volume in result.volume_ml.items())
    where = f" Its files are in {output}." if output else ""
    seconds = result.timings.get("total", sum(result.timings.values()))
    terminal.answer(fields, f"The job succeeds: {volumes}, {result.device_name}, {seconds:.1f} s.{where}")


@contextmanager
def _outcome_folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder to work in: a temporary one, or the output folder, which only a success leaves behind."""
    if output is None:
        with tempfile.TemporaryDirectory(prefix=prefix_of("replay")) as temporary:
            yield Path(temporary)
        return
    try:
        yield output
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise


class _Listener(WorkerListener):
    """Shows what the worker tells."""

    def __init__(self, line: ProgressLine, terminal: Terminal) -> None:
        self._line, self._terminal = line, terminal

    def on_progress(self, progress: protocol.Progress) -> None:
        self._line.show(progress.fraction, progress.stage)

    def on_log(self, log: protocol.Log) -> None:
        if log.level == "warning":
            self._terminal.warn(log.text)

    def on_error(self, error: protocol.Error) -> None:
        if error.detail:
            self._terminal.note(error.detail)
