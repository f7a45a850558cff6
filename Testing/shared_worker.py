"""One real worker process for many sessions: who tests what happens beside it need not wait for torch each time."""

from __future__ import annotations

from AttentionUNetSegLib.errors import ProtocolError
from AttentionUNetSegLib.worker.protocol import (
    Cancel,
    Error,
    Event,
    Hello,
    Ready,
    Request,
    Result,
    Segment,
    Shutdown,
    decode,
    encode,
)
from AttentionUNetSegLib.worker.transport import ProcessExit, SubprocessTransport, TransportListener


class SharedWorker:
    """Calling it makes a transport to the one worker process, for one front end at a time.

    The process starts when it is first needed, and anew after it died or a front end killed it. It stays when a front
    end shuts it down and closes its stdin: what comes of that is only that a job which still runs is cancelled. Tests
    of how a worker starts and ends need processes of their own.
    """

    def __init__(self) -> None:
        self.process: SubprocessTransport | None = None
        self.starts = 0
        self._front: _Front | None = None
        self._greetings_of_before = 0  # answers to front ends that have not waited for them

    def __call__(self) -> _Front:
        return _Front(self)

    def close(self) -> None:
        """End the process."""
        while self.process is not None:
            self.process.kill()
            self.process.pump(1.0)

    def attach(self, front: _Front) -> None:
        """Let a front end speak with the process; start one where none runs."""
        assert self._front is None, "a second front end, or the first has killed the worker and goes on with another"
        self._front = front
        if self.process is None:
            self.process = SubprocessTransport()
            self.starts += 1
            self._greetings_of_before = 0
            self.process.start(self)

    def detach(self, unanswered_greetings: int) -> None:
        """Take the front end's leave."""
        self._front = None
        self._greetings_of_before += unanswered_greetings

    # --- TransportListener ---

    def on_line(self, line: bytes | None) -> None:
        """Pass a line on, unless it answers a front end of before."""
        event = _event_of(line)
        if isinstance(event, Ready) and self._greetings_of_before:
            self._greetings_of_before -= 1
        elif self._front is not None:
            self._front.on_line(line, event)

    def on_stderr(self, text: str) -> None:
        """Pass a line of stderr on."""
        if self._front is not None:
            self._front.on_stderr(text)

    def on_exit(self, exit: ProcessExit) -> None:
        """Pass the end on; the next front end has a new process."""
        self.process = None
        if self._front is not None:
            self._front.on_exit(exit)


class _Front:
    """A `Transport`."""

    def __init__(self, worker: SharedWorker) -> None:
        self._worker = worker
        self._listener: TransportListener | None = None
        self._jobs: list[str] = []
        self._runs = False  # the last of the jobs has not ended
        self._unanswered_greetings = 0
        self._is_closing = False
        self._has_ended = False

    @property
    def is_running(self) -> bool:
        return self._listener is not None and not self._has_ended

    def start(self, listener: TransportListener) -> None:
        self._listener = listener
        self._worker.attach(self)

    def send(self, line: bytes) -> None:
        request = decode(line.strip())
        if not self.is_running or self._worker.process is None or isinstance(request, Shutdown):
            return
        if isinstance(request, Segment):
            self._jobs.append(request.job)
            self._runs = True
        self._unanswered_greetings += isinstance(request, Hello)
        self._worker.process.send(line)

    def close_input(self) -> None:
        if self._runs and not self._is_closing:
            self.send(encode(Cancel(self._jobs[-1])))
        self._is_closing = True

    def kill(self) -> None:
        if self.is_running and self._worker.process is not None:
            self._worker.process.kill()

    def pump(self, timeout: float) -> None:
        if not self.is_running:
            return
        if self._is_closing and not self._runs:
            self.on_exit(ProcessExit(0))
        elif self._worker.process is not None:
            self._worker.process.pump(timeout)

    def on_line(self, line: bytes | None, event: Event | Request | None) -> None:
        job = getattr(event, "job", None)
        if job is not None and job not in self._jobs:
            return  # a last word about a job of before
        self._unanswered_greetings -= isinstance(event, Ready)
        if isinstance(event, (Result, Error)) and job is not None and job == self._jobs[-1]:
            self._runs = False
        self._listener.on_line(line)

    def on_stderr(self, text: str) -> None:
        self._listener.on_stderr(text)

    def on_exit(self, exit: ProcessExit) -> None:
        self._has_ended = True
        self._worker.detach(self._unanswered_greetings)
        self._listener.on_exit(exit)


def _event_of(line: bytes | None) -> Event | Request | None:
    try:
        return decode(line) if line is not None else None
    except ProtocolError:
        return None
