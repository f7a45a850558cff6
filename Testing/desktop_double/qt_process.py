"""`qt.QProcess` on a real process: what the worker's transport is tried with."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
import weakref
from enum import IntEnum
from typing import Any

from .event_loop import loop
from .qt_objects import QByteArray, QObject
from .signals import Signal
from .strict import Strict


class QProcessEnvironment(Strict, listed_as="qt.QProcessEnvironment"):
    """Environment variables of a process to be started."""

    def __init__(self) -> None:
        super().__init__()
        self._d.variables = {}

    @classmethod
    def systemEnvironment(cls) -> QProcessEnvironment:
        environment = cls()
        environment._d.variables = dict(os.environ)
        return environment

    def insert(self, name: str, value: str) -> None:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"qt.QProcessEnvironment.insert takes two str, not {name!r} and {value!r}.")
        self._d.variables[name] = value

    def value(self, name: str, default: str = "") -> str:
        return self._d.variables.get(name, default)

    def keys(self) -> list[str]:
        return sorted(self._d.variables)


class ProcessState(IntEnum):
    """QProcess::ProcessState."""

    NotRunning, Starting, Running = 0, 1, 2


class ProcessError(IntEnum):
    """QProcess::ProcessError."""

    FailedToStart, Crashed, UnknownError = 0, 1, 5


class ExitStatus(IntEnum):
    """QProcess::ExitStatus."""

    NormalExit, CrashExit = 0, 1


class QProcess(QObject, listed_as="qt.QProcess"):
    """A process whose signals come while events are processed. As on Linux, a failure to start is told later too."""

    NormalExit, CrashExit = ExitStatus
    SeparateChannels = 0

    started = Signal("started()")
    errorOccurred = Signal("errorOccurred(QProcess::ProcessError)")
    finished = Signal("finished(int,QProcess::ExitStatus)")
    readyReadStandardOutput = Signal("readyReadStandardOutput()")
    readyReadStandardError = Signal("readyReadStandardError()")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        state = self._d
        state.folder, state.environment = "", QProcessEnvironment()
        state.process = None
        state.state = ProcessState.NotRunning
        state.error, state.error_text = ProcessError.UnknownError, "Unknown error"
        state.exit_code, state.exit_status = 0, ExitStatus.NormalExit
        _forget_channels(state)

    # --- what to start ---

    def setWorkingDirectory(self, folder: str) -> None:
        self._d.folder = _text(folder)

    def setProcessEnvironment(self, environment: QProcessEnvironment) -> None:
        if not isinstance(environment, QProcessEnvironment):
            raise TypeError(f"qt.QProcess.setProcessEnvironment takes QProcessEnvironment, not {environment!r}.")
        self._d.environment = environment

    def setProcessChannelMode(self, mode: int) -> None:
        if mode != self.SeparateChannels:
            raise NotImplementedError("The double keeps stdout and stderr apart, as the worker needs it.")

    # --- its life ---

    def start(self, program: str, arguments: list[str]) -> None:
        state = self._d
        if state.state is not ProcessState.NotRunning:
            raise RuntimeError("qt.QProcess.start: the process is already running.")
        _forget_channels(state)
        state.state = ProcessState.Starting
        variables = state.environment._d.variables
        try:
            state.process = subprocess.Popen(
                [_text(program), *map(_text, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables or None,
                cwd=state.folder or None,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            loop.post(lambda: _fail_to_start(self, f"execve: {reason}"))
            return
        _Pipes(state)
        loop.watch_source(state.delivery)
        state.delivery.attach(self)
        loop.post(lambda: _tell_started(self))

    def kill(self) -> None:
        if self._d.process is not None and self._d.process.returncode is None:
            self._d.process.kill()

    def state(self) -> ProcessState:
        return self._d.state

    def exitCode(self) -> int:
        return self._d.exit_code

    def exitStatus(self) -> ExitStatus:
        return self._d.exit_status

    def error(self) -> ProcessError:
        return self._d.error

    def errorString(self) -> str:
        return self._d.error_text

    def waitForFinished(self, milliseconds: int = 30000) -> bool:
        if self._d.state is ProcessState.NotRunning:
            return False
        return _wait(self, milliseconds, lambda: self._d.state is ProcessState.NotRunning)

    def waitForReadyRead(self, milliseconds: int = 30000) -> bool:
        return _wait(self, milliseconds, lambda: self._d.output or self._d.state == 0) and bool(self._d.output)

    # --- its channels ---

    def write(self, data: bytes) -> int:
        if not isinstance(data, (bytes, QByteArray)):
            raise TypeError(f"qt.QProcess.write takes bytes, not {data!r}.")
        if self._d.state is ProcessState.NotRunning or self._d.input_closed:
            return -1
        content = data.data() if isinstance(data, QByteArray) else data
        self._d.to_write.put(content)
        return len(content)

    def closeWriteChannel(self) -> None:
        self._d.input_closed = True
        self._d.to_write.put(None)

    def readAllStandardOutput(self) -> QByteArray:
        content, self._d.output = self._d.output, b""
        return QByteArray(content)

    def readAllStandardError(self) -> QByteArray:
        content, self._d.errors = self._d.errors, b""
        return QByteArray(content)

    def __del__(self) -> None:
        process = self._d.process if "_d" in self.__dict__ and hasattr(self._d, "process") else None
        if process is not None and process.poll() is None:  # QProcess: Destroyed while process is still running
            process.kill()
            process.wait()


class _Pipes:
    """The threads between the process and the event loop, and what they have not told yet."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._came: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._owner: Any = lambda: None
        state.delivery = self
        readers = [
            _thread(self._read, state.process.stdout, "output"),
            _thread(self._read, state.process.stderr, "errors"),
        ]
        _thread(self._write, state.process.stdin)
        _thread(self._await_end, readers)

    def attach(self, owner: QProcess) -> None:
        self._owner = weakref.ref(owner)

    def deliver(self) -> None:
        """Tell what came since the last time; called by the event loop."""
        owner, state = self._owner(), self._state
        if owner is None or state.is_deleted:
            return
        fresh = {"output": False, "errors": False}
        end = None
        while not self._came.empty() and end is None:
            what, value = self._came.get()
            if what == "end":
                end = value
            else:
                setattr(state, what, getattr(state, what) + value)
                fresh[what] = True
        if fresh["output"]:
            owner.readyReadStandardOutput.emit()
        if fresh["errors"]:
            owner.readyReadStandardError.emit()
        if end is not None:
            _finish(owner, end)

    def _read(self, stream: Any, channel: str) -> None:
        while chunk := os.read(stream.fileno(), 65536):
            self._came.put((channel, chunk))

    def _write(self, stream: Any) -> None:
        try:
            while (content := self._state.to_write.get()) is not None:
                stream.write(content)
                stream.flush()
            stream.close()
        except (OSError, ValueError):
            pass  # the process has gone

    def _await_end(self, readers: list[threading.Thread]) -> None:
        code = self._state.process.wait()
        for reader in readers:
            reader.join(0.5)  # a grandchild may hold a pipe open
        self._state.to_write.put(None)
        self._came.put(("end", code))


def _forget_channels(state: Any) -> None:
    state.output, state.errors, state.input_closed = b"", b"", False
    state.to_write = queue.SimpleQueue()
    state.delivery = None


def _tell_started(owner: QProcess) -> None:
    if not owner._d.is_deleted and owner._d.state is ProcessState.Starting:
        owner._d.state = ProcessState.Running
        owner.started.emit()


def _fail_to_start(owner: QProcess, reason: str) -> None:
    if owner._d.is_deleted:
        return
    owner._d.error, owner._d.error_text = ProcessError.FailedToStart, reason
    owner._d.state = ProcessState.NotRunning
    owner.errorOccurred.emit(ProcessError.FailedToStart)


def _finish(owner: QProcess, code: int) -> None:
    state = owner._d
    _tell_started(owner)
    state.exit_code = abs(code)  # of a crashed process on Unix: the signal's number
    state.exit_status = ExitStatus.CrashExit if code < 0 else ExitStatus.NormalExit
    if code < 0:
        state.error, state.error_text = ProcessError.Crashed, "Process crashed"
    state.state = ProcessState.NotRunning
    if code < 0:
        owner.errorOccurred.emit(ProcessError.Crashed)
    owner.finished.emit(state.exit_code, state.exit_status)


def _wait(owner: QProcess, milliseconds: int, condition: Any) -> bool:
    end = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
    while not condition():
        if end is not None and time.monotonic() > end:
            return False
        _tell_started(owner) if owner._d.process is not None else loop.process()
        if owner._d.delivery is not None:
            owner._d.delivery.deliver()
        time.sleep(0.002)
    return True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"qt.QProcess takes str, not {value!r}.")
    return value


def _thread(target: Any, *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
