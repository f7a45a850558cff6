"""How a client reaches a process of this package: what starts it, the port `Transport`, and one with `subprocess`.

The port is what `desktop` implements once more with `QProcess`. Callbacks come on the caller's thread only:
from `pump()` here, from the Qt event loop there.
"""

from __future__ import annotations

import os
import queue
import signal
import site
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from .protocol import MAXIMUM_LINE_BYTES

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class WorkerCommand:
    """What to start: program and arguments, the complete environment, and the folder to start in."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: str


def worker_command(
    python: str | os.PathLike[str] | None = None, inherited: Mapping[str, str] | None = None
) -> WorkerCommand:
    """Return how to start the worker of this very package with `python` (default: the running interpreter).

    The package need not be installed: its parent folder goes on the child's PYTHONPATH, unless the child
    finds it among its installed packages anyway (those must not come before the standard library). The child
    starts in the package's own folder, so that no file in the person's current folder can pass for a module.

    `inherited` is the environment that the child starts from, by default this process's own. Inside an
    application that brings its own Python and libraries (Slicer), another Python needs the one from before it.
    """
    program = os.fspath(python or sys.executable)
    base = os.environ if inherited is None else inherited
    left_out = ("PYTHONINSPECT", "PYTHONSTARTUP")
    environment = {name: value for name, value in base.items() if name not in left_out}
    environment.update(PYTHONUNBUFFERED="1", PYTHONFAULTHANDLER="1", PYTHONSAFEPATH="1", PYTHONIOENCODING="utf-8")
    # The child has to spell file names as we do: a path of the protocol is text, its bytes follow from the encoding.
    environment["PYTHONUTF8"] = str(int(sys.getfilesystemencoding() == "utf-8"))
    # Threads that wait must sleep: beside a busy Slicer, OpenMP's busy waiting makes small layers ten times slower.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not (program == sys.executable and _is_installed()):
        path = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_PACKAGE.parent), *([path] if path else [])])
    # The child looks for packages where we do: in the user's site only if we do.
    if inherited is None and not site.ENABLE_USER_SITE:
        environment["PYTHONNOUSERSITE"] = "1"
    return WorkerCommand((program, "-m", "AttentionUNetSegLib.worker"), environment, str(_PACKAGE))


@dataclass(frozen=True)
class ProcessExit:
    """How a process ended: exit code (negative: a signal, as in `subprocess`), or why it never started."""

    code: int | None
    start_failure: str = ""

    def describe(self) -> str:
        """Return a clause for people, such as "killed by SIGKILL" or "exit code 3"."""
        if self.code is None:
            return f"it could not be started: {self.start_failure}"
        if self.code < 0:
            return f"killed by {_signal_name(-self.code)}"
        if self.code > 0x7FFFFFFF:
            return f"exit code {self.code:#010x}"
        return f"exit code {self.code}"


class TransportListener(Protocol):
    """What a transport tells. After `on_exit` nothing more comes."""

    def on_line(self, line: bytes | None) -> None:
        """Take one line of the worker's stdout, without its newline; None stands for one too long."""

    def on_stderr(self, text: str) -> None:
        """Take one line of the worker's stderr."""

    def on_exit(self, exit: ProcessExit) -> None:
        """Take the end of the process, or that it could not be started; called exactly once after `start`."""


class Transport(Protocol):
    """One worker process. No method blocks, but `pump`, which does so for its timeout at most."""

    def start(self, listener: TransportListener) -> None:
        """Start the process. A failure to start is told by `on_exit`, it is not raised."""

    def send(self, line: bytes) -> None:
        """Write a line to the worker's stdin; silently dropped when the worker has gone (`on_exit` tells)."""

    def close_input(self) -> None:
        """Close the worker's stdin after what was sent; this ends the worker."""

    def kill(self) -> None:
        """End the process, whatever it does; `on_exit` follows."""

    @property
    def is_running(self) -> bool:
        """Whether the process was started and its end has not been told yet."""

    def pump(self, timeout: float) -> None:
        """Wait `timeout` seconds at most until something came, then deliver everything that came."""


class SubprocessTransport:
    """A `Transport` with pipes and daemon threads; for the command line, the web server and tests."""

    def __init__(self, command: WorkerCommand | None = None) -> None:
        self._command = command or worker_command()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: TransportListener | None = None
        self._to_deliver: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._has_ended = False

    @property
    def pid(self) -> int | None:
        """The process's number, None before the start."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """See `Transport`."""
        return self._listener is not None and not self._has_ended

    def start(self, listener: TransportListener) -> None:
        """See `Transport`."""
        if self._listener is not None:
            raise RuntimeError("A transport starts one process only; make a new one.")
        self._listener = listener
        try:
            self._process = subprocess.Popen(
                self._command.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._command.environment,
                cwd=self._command.folder,
                **_own_process_group(),
            )
        except (OSError, ValueError) as error:
            failure = ProcessExit(code=None, start_failure=str(error))
            self._to_deliver.put(("on_exit", failure))
            return
        process = self._process
        assert process.stdin and process.stdout and process.stderr  # all three are pipes
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        stderr_reader = _thread("worker stderr", lambda: self._read_stderr(stderr))
        _thread("worker stdin", lambda: self._write_stdin(stdin))
        _thread("worker stdout", lambda: self._read_stdout(process, stdout, stderr_reader))

    def send(self, line: bytes) -> None:
        """See `Transport`."""
        self._to_send.put(line)

    def close_input(self) -> None:
        """See `Transport`."""
        self._to_send.put(None)

    def kill(self) -> None:
        """See `Transport`."""
        if self._process is None or self._process.returncode is not None:
            return
        try:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)  # a launcher's child too, not the launcher alone
            else:
                self._process.kill()
        except OSError:
            pass  # it ended by itself in between

    def pump(self, timeout: float) -> None:
        """See `Transport`."""
        wait_for = max(timeout, 0.0)
        deliveries = 1 + self._to_deliver.qsize()  # bounded: a worker that never falls silent cannot hold us
        for _ in range(deliveries):
            if not self.is_running:
                return
            try:
                callback, value = self._to_deliver.get(timeout=wait_for)
            except queue.Empty:
                return
            wait_for = 0.0
            if callback == "on_exit":  # noted before it is told, so that the listener may start anew at once
                self._has_ended = True
            getattr(self._listener, callback)(value)

    def _write_stdin(self, stdin: IO[bytes]) -> None:
        try:
            while (line := self._to_send.get()) is not None:
                stdin.write(line)
                stdin.flush()
            stdin.close()
        except (OSError, ValueError):
            pass  # the worker has gone; its exit is told by the stdout thread

    def _read_stdout(
        self, process: subprocess.Popen[bytes], stdout: IO[bytes], stderr_reader: threading.Thread
    ) -> None:
        splitter = LineSplitter()
        while chunk := os.read(stdout.fileno(), 65536):
            for line in splitter.feed(chunk):
                self._to_deliver.put(("on_line", line))
        ended = ProcessExit(process.wait())
        stderr_reader.join(timeout=1.0)  # a grandchild may hold stderr open for ever
        self._to_send.put(None)
        stdout.close()
        self._to_deliver.put(("on_exit", ended))

    def _read_stderr(self, stderr: IO[bytes]) -> None:
        with stderr as stream:
            splitter = LineSplitter()
            while True:
                chunk = os.read(stream.fileno(), 65536)
                for line in splitter.feed(chunk or b"\n"):  # the last words of a crash may lack a newline
                    text = "(a line too long to keep)" if line is None else line.decode("utf-8", "replace")
                    self._to_deliver.put(("on_stderr", text))
                if not chunk:
                    return


class LineSplitter:
    """Collects chunks of a byte stream and gives back its lines, without their newline.

    A line above the limit is dropped as it streams in, so no peer can fill the memory; None takes its place.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_LINE_BYTES) -> None:
        self._maximum_bytes = maximum_bytes
        self._beginning = bytearray()
        self._is_too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the lines that `chunk` completes; None for one that is too long. Empty lines are skipped."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._append(end)
            line = None if self._is_too_long else bytes(self._beginning).rstrip(b"\r")
            self._beginning.clear()
            self._is_too_long = False
            if line is None or line:
                yield line
        self._append(rest)

    def _append(self, part: bytes) -> None:
        if self._is_too_long or len(self._beginning) + len(part) >= self._maximum_bytes:
            self._beginning.clear()
            self._is_too_long = True
        else:
            self._beginning += part


def _is_installed() -> bool:
    folders = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
    return _PACKAGE.parent in [Path(folder).resolve() for folder in folders]


def _own_process_group() -> dict[str, Any]:
    """Keep the terminal's Ctrl-C away from the worker: the front end cancels through the protocol."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
