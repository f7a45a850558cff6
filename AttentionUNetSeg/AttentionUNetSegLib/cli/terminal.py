"""What the command line says, and where: answers on stdout, everything meant for people on stderr.

Native libraries print to file descriptors 1 and 2 whenever they like (ITK's warnings, VTK's errors), which would break
`--json` and the promise that a bad input costs one sentence. So for as long as a `Terminal` is open those descriptors
lead nowhere (to stderr with `--verbose`), and the terminal writes to private copies of the real ones.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..errors import AttentionUNetSegError, ErrorCode
from .interrupts import Interrupts

EXIT_CODES = {
    ErrorCode.INTERNAL: 1,
    ErrorCode.CANNOT_WRITE: 1,
    ErrorCode.PROCESS_DIED: 1,
    ErrorCode.PROTOCOL: 1,
    ErrorCode.BAD_INPUT: 2,
    ErrorCode.BAD_MODEL: 3,
    ErrorCode.OUT_OF_MEMORY: 4,
    ErrorCode.UNAVAILABLE_DEVICE: 5,
    ErrorCode.CANCELLED: 130,
}


class Terminal:
    """The two streams of one command.

    Parameters
    ----------
    as_json : the answer, also when it is an error, is one JSON object on stdout and nothing else is written there.
    verbose : let the libraries' own output and tracebacks through to stderr.
    interrupts : for commands that must not be interrupted everywhere.
    """

    def __init__(self, as_json: bool = False, verbose: bool = False, interrupts: Interrupts | None = None) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.interrupts = interrupts or Interrupts()

    def __enter__(self) -> Terminal:
        sys.stdout.flush()
        sys.stderr.flush()
        self._out = _writer(os.dup(1))
        self._err = _writer(os.dup(2))
        self.console = Console(file=self._err, highlight=False, soft_wrap=True)
        self._saved = os.dup(1), os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(2 if self.verbose else nowhere, 1)
        if not self.verbose:
            os.dup2(nowhere, 2)
        os.close(nowhere)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, saved in enumerate(self._saved, start=1):
            os.dup2(saved, descriptor)
            os.close(saved)
        self._err.close()
        self._out.close()

    def answer(self, fields: dict[str, Any], text: str) -> None:
        """Write the command's answer to stdout: `fields` as JSON with --json, otherwise `text`."""
        self._out.write((json.dumps(fields, indent=2) if self.as_json else text) + "\n")
        self._out.flush()

    def warn(self, text: str) -> None:
        """Write one warning to stderr, where nobody can overlook it."""
        self.console.print("WARNING: ", style="bold yellow", end="")
        self.console.print(text, style="yellow", markup=False)

    def note(self, text: str) -> None:
        """Write one line for people to stderr, with --verbose only."""
        if self.verbose and text:
            self.console.print(text, style="dim", markup=False)

    def fail(self, error: AttentionUNetSegError) -> int:
        """Write the error as one sentence to stderr, as JSON to stdout with --json, and return the exit code."""
        if self.verbose and error.__traceback__ is not None:
            self._err.write("".join(traceback.format_exception(error)))
        self._err.write(one_sentence(error) + "\n")
        self._err.flush()
        if self.as_json:
            self.answer(error_fields(error), "")
        return EXIT_CODES[error.code]

    @contextmanager
    def progress(self) -> Iterator[ProgressLine]:
        """Show one progress bar while the block runs; only where stderr is a terminal, and gone afterwards."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[device]}", style="dim", markup=False),
        )
        with Progress(
            *columns,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as progress:
            yield ProgressLine(progress)


class ProgressLine:
    """One bar over all stages of a command: it never goes back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Starting", total=1.0, device="")

    def show(self, fraction: float, stage: str) -> None:
        """Set the fraction (0..1) of the whole command and the name of what it does now."""
        done = max(fraction, self._progress.tasks[0].completed)
        self._progress.update(self._task, completed=done, description=stage)

    def device(self, name: str) -> None:
        """Show what the network runs on."""
        self._progress.update(self._task, device=name)


def one_sentence(error: AttentionUNetSegError) -> str:
    """The error's message and hint on one line, joined so that they stay one sentence."""
    message = " ".join(error.message.split())
    hint = " ".join(error.hint.split())
    if hint[1:2].islower():  # an ordinary word, not a name in capitals
        hint = hint[0].lower() + hint[1:]
    return f"{message.rstrip('.')}; {hint}" if hint else message


def error_fields(error: AttentionUNetSegError) -> dict[str, Any]:
    """The error as --json prints it."""
    return {"error": {"code": error.code.value, "message": error.message, "hint": error.hint}}


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding=sys.stderr.encoding or "utf-8", errors="backslashreplace")
