"""The command line as people meet it: a real process with its exit code, stdout and stderr."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.phantom import make_phantom, write_phantom
from AttentionUNetSegLib.session import Session
from command_outcome import Outcome
from shared_worker import SharedWorker

LIMIT = 600  # seconds; nothing here takes that long unless it hangs


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """Without models of this machine's user, and with a folder for temporary files that the tests can look into."""
    temporary = tmp_path_factory.mktemp("temporary")
    models = tmp_path_factory.mktemp("models")
    return {**os.environ, "TMPDIR": str(temporary), "ATTENTIONUNETSEG_MODELS": str(models), "COLUMNS": "80"}


@pytest.fixture(scope="session")
def job_folders(environment):
    """Calling it lists the job folders that commands have left behind."""
    return lambda: sorted(Path(environment["TMPDIR"]).glob("attention-unet-seg-*"))


@pytest.fixture(scope="session")
def command_line(environment):
    """Runs `attention-unet-seg` with these words and returns its Outcome."""

    def run(*words: object, **more_environment: str) -> Outcome:
        command = [sys.executable, "-m", "AttentionUNetSegLib.cli", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, env={**environment, **more_environment}
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def at_terminal(environment):
    """The same with a terminal as stderr, where people see the progress."""

    def run(*words: object) -> Outcome:
        master, slave = os.openpty()
        command = [sys.executable, "-m", "AttentionUNetSegLib.cli", *map(str, words)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True, env=environment) as process:
            os.close(slave)
            shown = b""
            with contextlib.suppress(OSError):  # how Linux says that nobody has the terminal open any more
                while chunk := os.read(master, 65536):
                    shown += chunk
            stdout, _ = process.communicate(timeout=LIMIT)
        os.close(master)
        return Outcome(process.returncode, stdout, shown.decode("utf-8"))

    return run


@pytest.fixture(scope="module")
def one_worker() -> Iterator[SharedWorker]:
    worker = SharedWorker()
    yield worker
    worker.close()


@pytest.fixture
def in_process(environment, one_worker, monkeypatch, capfd):
    """The same without a process of its own; the descriptors are those of one. A module's runs share a real worker."""
    session = functools.partial(Session, transport_factory=one_worker)
    monkeypatch.setattr("AttentionUNetSegLib.cli.segment.Session", session)
    monkeypatch.setattr("AttentionUNetSegLib.cli.replay.SubprocessTransport", one_worker)
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("TMPDIR", "ATTENTIONUNETSEG_MODELS", "COLUMNS"):
        monkeypatch.setenv(name, environment[name])

    def run(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def phantom_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "phantom ü.nii.gz"
    write_phantom(make_phantom(3, spacing_mm=(4, 4, 5)), path)
    return path


@dataclass(frozen=True)
class Segmented:
    """One run that succeeded, shared by the tests that only look at it."""

    outcome: Outcome
    input: Path
    folder: Path
    report: dict

    def file(self, ending: str) -> Path:
        return self.folder / f"phantom ü_{ending}"


@pytest.fixture(scope="session")
def segmented(command_line, phantom_file, tiny_model_package, tmp_path_factory) -> Segmented:
    folder = tmp_path_factory.mktemp("out") / "deep" / "results"
    outcome = command_line(
        "segment", phantom_file, "-o", folder, "--model", tiny_model_package.folder,
        "--device", "cpu", "--threshold", "0.44", "--keep-largest", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    return Segmented(outcome, phantom_file, folder, outcome.answer)
