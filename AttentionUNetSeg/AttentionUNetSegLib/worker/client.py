"""The front end's side: one job at a time and one worker process, started when needed and anew when it dies."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from ..errors import ErrorCode, InternalError, ProtocolError
from .connection import WorkerConnection
from .protocol import Cancel, Error, Event, Log, Prepare, Progress, Ready, Result, Segment, encode
from .transport import Transport

_UNTRUSTED_AFTER = (ErrorCode.OUT_OF_MEMORY, ErrorCode.INTERNAL)


class WorkerListener:
    """What a client tells; this one hears nothing. Derive from it and define what matters."""

    def on_ready(self, ready: Ready) -> None:
        """Take it that a worker runs."""

    def on_progress(self, progress: Progress) -> None:
        """Take how far the job is."""

    def on_log(self, log: Log) -> None:
        """Take a sentence about the job, or about the worker itself (`job` None)."""

    def on_result(self, result: Result) -> None:
        """Take the end of a job that succeeded. The next one may be submitted from here."""

    def on_error(self, error: Error) -> None:
        """Take the end of a job that failed, and submit the next one; `job` None: a fault of the worker itself."""


class WorkerClient:
    """Runs one job at a time in a worker process, and refuses a second: who has several keeps them.

    Nothing here blocks (but `wait` and `close`) and nothing runs on another thread: `listener` is called on the
    caller's thread, from `pump`, from a transport's callbacks, or from within `submit`, `cancel` and `close`. Every
    submitted job ends with exactly one `Result` or `Error` that carries its name.

    A worker that dies fails the job it ran, with the reason; the next job starts a fresh one. So it does after a job
    that ran out of memory or failed unexpectedly, because torch may be broken in that process: oneDNN stays so after
    one failed allocation, CUDA after most of its errors. A worker that cannot start fails the job that waits for it.

    Parameters
    ----------
    transport_factory : makes an unstarted transport for each new process.
    listener : is told everything.
    start_timeout : seconds a worker may take until it is ready (torch from a cold network drive is slow).
    cancel_grace : seconds until a worker that does not obey a cancel is killed. Both need `pump` to be called
        now and then, `pump(0)` from a timer in a GUI.
    """

    def __init__(
        self,
        transport_factory: Callable[[], Transport],
        listener: WorkerListener | None = None,
        *,
        start_timeout: float = 180.0,
        cancel_grace: float = 5.0,
    ) -> None:
        self._transport_factory = transport_factory
        self._listener = listener or WorkerListener()
        self._start_timeout = start_timeout
        self._cancel_grace = cancel_grace
        self._connection: WorkerConnection | None = None
        self._ending: list[WorkerConnection] = []  # killed, not gone yet
        self._to_prepare: Prepare | None = None
        self._job: Segment | None = None
        self._is_sent = False
        self._cancel_deadline: float | None = None
        self._last_end: Result | Error | None = None
        self._is_closed = False

    @property
    def ready(self) -> Ready | None:
        """What the worker said of itself; None while none runs or it is still starting."""
        return self._connection.ready if self._connection else None

    @property
    def is_busy(self) -> bool:
        """Whether a job has not ended yet, so that another would be refused."""
        return self._job is not None

    def start(self) -> None:
        """Start the worker now, to spare the first job the wait. A failure comes as `Error` with job None."""
        self._require_open()
        if self._connection is None:
            self._connection = WorkerConnection(self._transport_factory(), self, self._start_timeout)
            self._connection.start()

    def prepare(self, request: Prepare) -> None:
        """Let the worker load a model before its first job asks for it. Forgotten where a job comes first.

        Raises
        ------
        ProtocolError : it cannot be sent (a path that is not Unicode).
        """
        encode(request)
        self._to_prepare = request
        self._advance()

    def submit(self, job: Segment) -> None:
        """Run a job.

        Raises
        ------
        ProtocolError : it cannot be sent (a wrong type, a path that is not Unicode), or another has not ended.
        InternalError : the client is closed.
        """
        self._require_open()
        encode(job)
        if self._job is not None:
            raise ProtocolError(f"There is an unfinished job already, {self._job.job!r}: a worker runs one at a time.")
        self._job, self._is_sent, self._last_end = job, False, None
        self._advance()

    def cancel(self, job: str) -> None:
        """Cancel the job; it ends with `Error` `cancelled`. One that has ended is left alone."""
        if self._job is None or self._job.job != job:
            return
        if not self._is_sent:
            self._end(Error(job, ErrorCode.CANCELLED, "Cancelled before it began."))
        elif self._connection and self._cancel_deadline is None:
            self._cancel_deadline = time.monotonic() + self._cancel_grace
            self._connection.send(Cancel(job))

    def pump(self, timeout: float = 0.0) -> None:
        """Deliver the events that came; wait `timeout` seconds at most for the first."""
        for connection in list(self._ending):
            connection.pump(0.0)
        self._ending = [connection for connection in self._ending if connection.is_running]
        if self._connection is not None:
            self._connection.pump(timeout)
        overdue = self._cancel_deadline is not None and time.monotonic() > self._cancel_deadline
        if self._connection is not None and overdue:
            message = "Cancelled; the worker process did not stop by itself and was ended."
            self._connection.abandon(Error(None, ErrorCode.CANCELLED, message, "The next run starts a fresh one."))

    def wait(self, job: str, timeout: float | None = None) -> Result | Error:
        """Pump until the job has ended and return how: its `Result` or `Error`.

        Raises
        ------
        TimeoutError : it has not ended within `timeout` seconds; it goes on.
        ProtocolError : it is not the last one that was submitted.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._last_end is None or self._last_end.job != job:
            if self._job is None or self._job.job != job:
                raise ProtocolError(f"There is no job named {job!r}.")
            left = 0.25 if deadline is None else min(deadline - time.monotonic(), 0.25)
            if left <= 0:
                raise TimeoutError(f"Job {job!r} has not ended within {timeout:g} seconds.")
            self.pump(left)
        return self._last_end

    def close(self, grace: float = 2.0) -> None:
        """End the worker, by force after `grace` seconds, and wait until it is gone. The job ends as cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(grace)
        for connection in self._ending:
            connection.close(0.0)
        if self._job is not None:
            message = "Cancelled because the program closes its worker."
            self._end(Error(self._job.job, ErrorCode.CANCELLED, message))

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- ConnectionListener ---

    def on_event(self, event: Event) -> None:
        """Take an event of the worker, from the connection."""
        is_end = isinstance(event, (Result, Error)) and event.job is not None
        if (is_end or isinstance(event, Progress)) and not self._is_about_the_job(event):
            return  # a word about a job that has ended for us
        try:
            if isinstance(event, Error) and is_end and event.code in _UNTRUSTED_AFTER and self._connection is not None:
                self._connection.discard()
                self._ending.append(self._connection)
                self._connection = None
            if isinstance(event, (Result, Error)) and is_end:
                self._end(event)
            else:
                self._tell(event)
        finally:
            self._advance()

    def on_lost(self, reason: Error, started: bool) -> None:
        """Take the end of the worker process, from the connection."""
        if self._connection is not None and self._connection.is_running:
            self._ending.append(self._connection)
        self._connection = None
        try:
            if self._job is not None and (self._is_sent or not started):
                self._end(dataclasses.replace(reason, job=self._job.job))
            elif not started:
                self._tell(reason)
            else:
                self._tell(Log("warning", reason.message))
        finally:
            self._advance()

    # --- helpers ---

    def _is_about_the_job(self, event: Event) -> bool:
        return self._job is not None and self._is_sent and getattr(event, "job", None) == self._job.job

    def _advance(self) -> None:
        """Send the job if the worker can take it, else what it may prepare; start a worker if there is none."""
        if self._to_prepare is not None and self._connection is not None and self._connection.ready is not None:
            request, self._to_prepare = self._to_prepare, None
            if self._job is None and not self._is_closed:
                self._connection.send(request)
        if self._job is None or self._is_sent or self._is_closed:
            return
        if self._connection is None:
            self.start()
        elif self._connection.ready is not None:
            self._is_sent = True
            self._connection.send(self._job)

    def _end(self, outcome: Result | Error) -> None:
        """Note how the job ended before it is told: the listener may submit the next one, or raise."""
        self._job, self._is_sent, self._cancel_deadline = None, False, None
        self._last_end = outcome
        self._tell(outcome)

    def _tell(self, event: Event) -> None:
        """Call the listener's method that is named after the event."""
        getattr(self._listener, f"on_{type(event).__name__.lower()}")(event)

    def _require_open(self) -> None:
        if self._is_closed:
            raise InternalError("The worker client is closed.")
