"""The front end's side: a queue of jobs and one worker process, started when needed and anew when it dies."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable

from ..errors import ErrorCode, InternalError, ProtocolError
from .connection import WorkerConnection
from .protocol import Cancel, Error, Event, Log, Progress, Ready, Result, Segment, encode
from .transport import Transport

_KEPT_OUTCOMES = 256
_UNTRUSTED_AFTER = (ErrorCode.OUT_OF_MEMORY, ErrorCode.INTERNAL)


class WorkerClient:
    """Runs jobs, in order, one at a time, in a worker process.

    Nothing here blocks (but `wait` and `close`) and nothing runs on another thread: `listener` is called on the
    caller's thread, from `pump`, from a transport's callbacks, or from within `submit`, `cancel` and `close`. Every
    submitted job ends with exactly one `Result` or `Error` that carries its name.

    A worker that dies fails the job it ran, with the reason; the next job starts a fresh one. So it does after a job
    that ran out of memory or failed unexpectedly, because torch may be broken in that process: oneDNN stays so after
    one failed allocation, CUDA after most of its errors. A worker that cannot start fails all jobs that wait.

    Parameters
    ----------
    transport_factory : makes an unstarted transport for each new process.
    listener : takes every event.
    start_timeout : seconds a worker may take until it is ready (torch from a cold network drive is slow).
    cancel_grace : seconds until a worker that does not obey a cancel is killed. Both need `pump` to be called
        now and then, `pump(0)` from a timer in a GUI.
    """

    def __init__(
        self,
        transport_factory: Callable[[], Transport],
        listener: Callable[[Event], None] = lambda event: None,
        *,
        start_timeout: float = 180.0,
        cancel_grace: float = 5.0,
    ) -> None:
        self._transport_factory = transport_factory
        self._listener = listener
        self._start_timeout = start_timeout
        self._cancel_grace = cancel_grace
        self._connection: WorkerConnection | None = None
        self._ending: list[WorkerConnection] = []  # killed, not gone yet
        self._waiting: deque[Segment] = deque()
        self._running: Segment | None = None
        self._cancel_deadline: float | None = None
        self._outcomes: dict[str | None, Result | Error] = {}
        self._is_closed = False

    @property
    def ready(self) -> Ready | None:
        """What the worker said of itself; None while none runs or it is still starting."""
        return self._connection.ready if self._connection else None

    @property
    def unfinished_jobs(self) -> tuple[str, ...]:
        """The names of the running job and of those that wait, in order."""
        return tuple(job.job for job in ([self._running] if self._running else []) + list(self._waiting))

    def start(self) -> None:
        """Start the worker now, to spare the first job the wait. A failure comes as `Error` with job None."""
        self._require_open()
        if self._connection is None:
            self._connection = WorkerConnection(self._transport_factory(), self, self._start_timeout)
            self._connection.start()

    def submit(self, job: Segment) -> None:
        """Queue a job.

        Raises
        ------
        ProtocolError : it cannot be sent (a wrong type, a path that is not Unicode), or its name is in use.
        InternalError : the client is closed.
        """
        self._require_open()
        encode(job)
        if job.job in self.unfinished_jobs:
            raise ProtocolError(f"There is already an unfinished job named {job.job!r}.")
        self._outcomes.pop(job.job, None)
        self._waiting.append(job)
        self._advance()

    def cancel(self, job: str) -> None:
        """Cancel a job that runs or waits; it ends with `Error` `cancelled`. Ended jobs are left alone."""
        for waiting in self._waiting:
            if waiting.job == job:
                self._waiting.remove(waiting)
                self._end(Error(job, ErrorCode.CANCELLED, "Cancelled before it began."))
                return
        connection = self._connection
        if connection and self._running and self._running.job == job and self._cancel_deadline is None:
            self._cancel_deadline = time.monotonic() + self._cancel_grace
            connection.send(Cancel(job))

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
        ProtocolError : no such job was submitted.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while job not in self._outcomes:
            if job not in self.unfinished_jobs:
                raise ProtocolError(f"There is no job named {job!r}.")
            left = 0.25 if deadline is None else min(deadline - time.monotonic(), 0.25)
            if left <= 0:
                raise TimeoutError(f"Job {job!r} has not ended within {timeout:g} seconds.")
            self.pump(left)
        return self._outcomes[job]

    def close(self, grace: float = 2.0) -> None:
        """End the worker, by force after `grace` seconds, and wait until it is gone. Jobs end as cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(grace)
        for connection in self._ending:
            connection.close(0.0)
        message = "Cancelled because the program closes its worker."
        self._end(*(Error(name, ErrorCode.CANCELLED, message) for name in self.unfinished_jobs))

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- ConnectionListener ---

    def on_event(self, event: Event) -> None:
        """Take an event of the worker, from the connection."""
        running = self._running.job if self._running else None
        if isinstance(event, (Progress, Result)) and event.job != running:
            return  # a word about a job that has ended for us
        if isinstance(event, Error) and event.job is not None and event.job != running:
            return
        try:
            if isinstance(event, (Result, Error)) and event.job is not None:
                untrusted = isinstance(event, Error) and event.code in _UNTRUSTED_AFTER
                if untrusted and self._connection is not None:
                    self._connection.discard()
                    self._ending.append(self._connection)
                    self._connection = None
                self._end(event)
            else:
                self._listener(event)
        finally:
            self._advance()

    def on_lost(self, reason: Error, started: bool) -> None:
        """Take the end of the worker process, from the connection."""
        if self._connection is not None and self._connection.is_running:
            self._ending.append(self._connection)
        self._connection = None
        running = (self._running.job,) if self._running else ()
        failed = running if started else self.unfinished_jobs
        try:
            self._end(*(dataclasses.replace(reason, job=name) for name in failed))
            if not started and not failed:
                self._listener(reason)
            elif not failed:
                self._listener(Log("warning", reason.message))
        finally:
            self._advance()

    # --- helpers ---

    def _advance(self) -> None:
        """Send the next job if the worker is free; start a worker if there is none."""
        if self._running or not self._waiting or self._is_closed:
            return
        if self._connection is None:
            self.start()
        elif self._connection.ready is not None:
            self._running = self._waiting.popleft()
            self._connection.send(self._running)

    def _end(self, *outcomes: Result | Error) -> None:
        """Note how jobs ended, all of them first: the listener may submit, or raise."""
        for outcome in outcomes:
            if self._running and self._running.job == outcome.job:
                self._running = None
                self._cancel_deadline = None
            self._waiting = deque(job for job in self._waiting if job.job != outcome.job)
            self._outcomes[outcome.job] = outcome
            while len(self._outcomes) > _KEPT_OUTCOMES:
                del self._outcomes[next(iter(self._outcomes))]
        for outcome in outcomes:
            self._listener(outcome)

    def _require_open(self) -> None:
        if self._is_closed:
            raise InternalError("The worker client is closed.")
