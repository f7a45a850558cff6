"""Processes behind a QProcess: everything arrives as Qt signals, so Slicer stays responsive.

`QProcessTransport` is the way to the worker; an `AnsweringProcess` does one thing, answers on stdout and ends.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from ..errors import CannotWrite
from ..temporary_folder import make_folder
from ..worker.transport import LineSplitter, ProcessExit, TransportListener, WorkerCommand


class QProcessTransport:
    """A `worker.transport.Transport`; the listener is called from Qt's event loop, or from `pump`.

    Parameters
    ----------
    command : what to start.
    log : takes every line of the worker's stderr as well, for the panel's log.
    """

    def __init__(self, command: WorkerCommand, log: Callable[[str], None] = lambda text: None) -> None:
        self._command = command
        self._log = log
        self._listener: TransportListener | None = None
        self._process: qt.QProcess  # made by `start`
        self._output = LineSplitter()
        self._errors = LineSplitter()
        self._arrived: deque[tuple[str, object]] = deque()
        self._is_delivering = False
        self._has_started = False
        self._has_ended = False

    @property
    def is_running(self) -> bool:
        """See `Transport`."""
        return self._listener is not None and not self._has_ended

    def start(self, listener: TransportListener) -> None:
        """See `Transport`."""
        if self._listener is not None:
            raise RuntimeError("A transport starts one process only; make a new one.")
        self._listener = listener
        # The application owns it: Qt may not delete a process while it emits the signal that tells of its end.
        process = self._process = qt.QProcess(slicer.app)
        process.setProcessChannelMode(qt.QProcess.SeparateChannels)
        process.setProcessEnvironment(_qt_environment(self._command.environment))
        process.setWorkingDirectory(self._command.folder)
        # None of these slots takes what its signal carries: where PythonQt cannot convert an enumeration, it does not
        # call the slot at all.
        process.started.connect(self._on_started)
        process.readyReadStandardOutput.connect(self._read_output)
        process.readyReadStandardError.connect(self._read_errors)
        process.errorOccurred.connect(self._on_error)
        process.connect("finished(int,QProcess::ExitStatus)", self._on_finished)  # Qt 5 has two signals of this name
        program, *arguments = self._command.arguments
        process.start(program, arguments)

    def send(self, line: bytes) -> None:
        """See `Transport`."""
        if self.is_running:
            self._process.write(qt.QByteArray(line))

    def close_input(self) -> None:
        """See `Transport`."""
        if self.is_running:
            self._process.closeWriteChannel()

    def kill(self) -> None:
        """See `Transport`. The interpreter behind the PythonSlicer launcher ends because its stdin closes."""
        if self.is_running:
            self._process.kill()

    def pump(self, timeout: float) -> None:
        """See `Transport`. Qt delivers by itself, so without a timeout there is nothing to do."""
        if timeout <= 0 or not self.is_running:
            return
        milliseconds = max(1, round(timeout * 1000))
        if self._is_delivering:  # Qt does not emit readyRead again from within its own slot
            self._process.waitForFinished(milliseconds)
        else:
            self._process.waitForReadyRead(milliseconds)

    # --- Qt's signals ---

    def _on_started(self) -> None:
        self._has_started = True

    def _read_output(self) -> None:
        chunk = _bytes(self._process.readAllStandardOutput())
        self._arrived.extend(("on_line", line) for line in self._output.feed(chunk))
        self._deliver()

    def _read_errors(self) -> None:
        self._take_errors(_bytes(self._process.readAllStandardError()))
        self._deliver()

    def _take_errors(self, chunk: bytes) -> None:
        for line in self._errors.feed(chunk):
            text = "(a line too long to keep)" if line is None else line.decode("utf-8", "replace")
            self._log(text)
            self._arrived.append(("on_stderr", text))

    def _on_error(self) -> None:
        if not self._has_started:  # what goes wrong later is told by the end of the process
            reason = str(self._process.errorString())
            self._end(ProcessExit(None, f"{self._command.arguments[0]}: {reason}"))

    def _on_finished(self) -> None:
        self._read_output()
        self._take_errors(_bytes(self._process.readAllStandardError()) + b"\n")
        code = int(self._process.exitCode())
        if self._process.exitStatus() == qt.QProcess.CrashExit and os.name == "posix":
            code = -abs(code)  # Qt gives the signal's number; `ProcessExit` counts signals downwards
        self._end(ProcessExit(code))

    def _end(self, how: ProcessExit) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._arrived.append(("on_exit", how))
        self._process.deleteLater()
        self._deliver()

    def _deliver(self) -> None:
        """Tell everything that arrived, in order, even when a listener makes Qt process events meanwhile."""
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._arrived:
                callback, value = self._arrived.popleft()
                getattr(self._listener, callback)(value)
        finally:
            self._is_delivering = False


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


def folder_with(name: str, write: Callable[[Path], None]) -> Path:
    """Return a new temporary folder that `write` has filled.

    Raises
    ------
    CannotWrite : there is no place for it.
    """
    folder = None
    try:
        folder = make_folder(name)
        write(folder)
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise no_place(error) from error
    return folder


def no_place(error: OSError) -> CannotWrite:
    """Return what a person is told where temporary files cannot be written."""
    return CannotWrite(f"There is no place for temporary files ({error}).", "Free some disk space.")


def _bytes(array: qt.QByteArray) -> bytes:
    return array.data() or b""  # PythonQt on Qt 5 gives None for an array without memory


def _qt_environment(variables: dict[str, str]) -> qt.QProcessEnvironment:
    environment = qt.QProcessEnvironment()
    for name, value in variables.items():
        environment.insert(name, value)
    return environment
