"""A process that does one thing, answers on stdout and ends, while Slicer goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ..worker.launch import WorkerCommand
from ..worker.transport import ProcessExit
from .process_transport import QProcessTransport


class AnsweringProcess:
    """Starts a process and calls once with how it ended. Listens to its transport.

    Parameters
    ----------
    command : what to start; its standard input stays open until `cancel`, and it ends when that is closed.
    on_end : called with how it ended, what it wrote on stdout, and the last line of stderr; never after `cancel`.
    folder : what passes between the two as files; it is deleted after `on_end`, or by `cancel`.
    """

    def __init__(self, command: WorkerCommand, on_end: Callable[[ProcessExit, str, str], None], folder: Path) -> None:
        self._on_end, self._folder = on_end, folder
        self._said: list[str] = []
        self._last_words = ""
        self._transport = QProcessTransport(command)

    def start(self) -> None:
        """Start it."""
        self._transport.start(self)

    def cancel(self) -> None:
        """Stop it, and call nobody."""
        self._on_end = lambda exit, said, last_words: None
        self._transport.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- What the transport tells ---

    def on_line(self, line: bytes | None) -> None:
        """Keep a line of the answer."""
        self._said.append("" if line is None else line.decode("utf-8", "replace"))

    def on_stderr(self, text: str) -> None:
        """Keep the last line: of a traceback it is the reason."""
        self._last_words = text.strip() or self._last_words

    def on_exit(self, exit: ProcessExit) -> None:
        """Tell."""
        try:
            self._on_end(exit, "\n".join(self._said), self._last_words)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
