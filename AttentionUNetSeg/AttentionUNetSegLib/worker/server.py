"""The worker process: reads requests from stdin, runs one job at a time, and sends events to stdout.

Two threads. The main thread loads torch and runs the jobs. The other reads requests, so that a cancel arrives
while the network computes (torch and SimpleITK release the interpreter lock then), and so that the end of stdin
ends the process at once, whatever it is doing: a worker never outlives its front end.
"""

from __future__ import annotations

import gc
import logging
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, ErrorCode, ProtocolError
from ..temporary_folder import is_ours_to_delete, sweep
from .protocol import (
    PROTOCOL_VERSION,
    REQUESTS,
    Cancel,
    Device,
    Error,
    Event,
    Hello,
    Log,
    Prepare,
    Ready,
    RemovedRequest,
    Request,
    Result,
    Segment,
    Shutdown,
    decode,
    encode,
)
from .segmenting import JobObserver, error_of
from .transport import LineSplitter

if TYPE_CHECKING:
    from .segmenting import SegmentRunner

EXIT_NO_LIBRARIES = 3
_SECONDS_TO_SHUT_DOWN = 2.0
_LOG = logging.getLogger("AttentionUNetSeg.worker")


@dataclass
class _Job:
    request: Segment
    observer: JobObserver
    has_begun: bool = False


class Server:
    """Serves one front end over two file descriptors.

    Parameters
    ----------
    input_descriptor, output_descriptor : where requests come from and events go, see `take_standard_streams`.
    """

    def __init__(self, input_descriptor: int, output_descriptor: int) -> None:
        self._started = time.monotonic()
        self._input = input_descriptor
        self._output = output_descriptor
        self._output_lock = threading.Lock()
        self._exit_code = 0
        self._changed = threading.Condition()  # guards everything below
        self._job: _Job | None = None  # the only one: it waits for the libraries, or runs
        self._to_prepare: Prepare | None = None
        self._steps: Iterator[None] | None = None  # of what is being prepared
        self._ready: Ready | None = None
        self._is_greeted = False
        self._is_shutting_down = False

    def run(self) -> int:
        """Serve until `shutdown` and return the exit code; at the end of stdin the process just ends."""
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
        threading.Thread(target=self._read_requests, name="requests", daemon=True).start()
        threading.Thread(target=sweep, name="sweep", daemon=True).start()
        try:
            runner = self._load_libraries()
        except Exception as error:  # a broken library may raise anything while it is imported
            _LOG.error("The libraries cannot be loaded.", exc_info=error)
            self._exit_code = EXIT_NO_LIBRARIES
            self._send(_libraries_missing(error))
            return self._exit_code
        while (job := self._next_job(runner)) is not None:
            self._run_job(job, runner)
        return 0

    # --- The main thread: libraries and jobs ---

    def _load_libraries(self) -> SegmentRunner:
        """Import torch and the pipeline, and answer a greeting that came meanwhile."""
        gc.disable()  # what an import makes stays: to look for garbage in it took a seventh of the time
        try:
            import torch

            from ..inference import available_devices, choose_device
            from .segmenting import SegmentRunner
        finally:
            gc.enable()
        gc.freeze()

        devices = tuple(Device(kind, choose_device(kind).name) for kind in available_devices())
        seconds = round(time.monotonic() - self._started, 3)
        ready = Ready(PROTOCOL_VERSION, os.getpid(), platform.python_version(), torch.__version__, devices, seconds)
        with self._changed:
            self._ready = ready
            is_awaited = self._is_greeted
        if is_awaited:
            self._send(ready)
        return SegmentRunner()

    def _next_job(self, runner: SegmentRunner) -> _Job | None:
        """Wait for a job and prepare, meanwhile, what was asked for; None when the worker shuts down."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job or self._is_shutting_down or self._to_prepare or self._steps)
                if self._is_shutting_down:
                    return None
                if self._job is not None:  # it loads by itself what it needs, and that stays
                    self._to_prepare = self._steps = None
                    self._job.has_begun = True
                    return self._job
                if self._to_prepare is not None:
                    self._steps, self._to_prepare = runner.prepare(self._to_prepare), None
                steps = self._steps
            try:
                is_over = steps is None or next(steps, self) is self
            except Exception as error:  # a job that needs it fails likewise, and says so
                _LOG.info("A model could not be prepared: %s", error)
                runner.forget()
                is_over = True
            if is_over:
                self._steps = None

    def _run_job(self, job: _Job, runner: SegmentRunner) -> None:
        """Run a job and send how it ended."""
        try:
            job.observer.begin()
            outcome: Result | Error = runner.segment(job.request, job.observer)
        except Exception as error:  # whatever a library raises must become an answer, not the end of the worker
            outcome = error_of(error, job.request.job)
        if isinstance(outcome, Error) and outcome.code in (ErrorCode.OUT_OF_MEMORY, ErrorCode.INTERNAL):
            runner.forget()
        with self._changed:  # from here on a cancel comes too late
            self._job = None
            if job.observer.cancelled() and isinstance(outcome, Result):
                outcome = error_of(Cancelled(), job.request.job)
        if isinstance(outcome, Result):
            job.observer.progress(1.0, "Done")
        self._send(outcome)

    # --- The reading thread: requests ---

    def _read_requests(self) -> None:
        splitter = LineSplitter()
        while True:
            try:
                chunk = os.read(self._input, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                self._discard_job()
                os._exit(self._exit_code)
            for line in splitter.feed(chunk):
                try:
                    self._handle(_decode_request(line))
                except ProtocolError as error:
                    job = error.job if isinstance(error, RemovedRequest) else None
                    self._send(Error(job, error.code, error.message, error.hint))

    def _discard_job(self) -> None:
        """Delete the job of a front end that is gone: it was killed, and nobody else will."""
        job = self._job
        if job is not None and is_ours_to_delete(Path(job.request.folder)):
            shutil.rmtree(job.request.folder, ignore_errors=True)

    def _handle(self, request: Request) -> None:
        if isinstance(request, Hello):
            self._greet(request)
        elif isinstance(request, Shutdown):
            self._shut_down()
        elif isinstance(request, Cancel):
            self._cancel(request.job)
        elif not self._is_greeted:
            raise ProtocolError("The first request must be hello.")
        elif isinstance(request, Prepare):
            with self._changed:
                self._to_prepare = request
                self._changed.notify_all()
        else:
            self._accept(request)

    def _greet(self, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            message = f"This worker speaks version {PROTOCOL_VERSION} of the protocol, not {hello.version}."
            hint = "They belong to different versions of AttentionUNetSeg: install one of them again."
            raise ProtocolError(message, hint)
        with self._changed:
            self._is_greeted = True
            ready = self._ready
        if ready is not None:
            self._send(ready)

    def _accept(self, request: Segment) -> None:
        with self._changed:
            busy_with = None if self._job is None else self._job.request.job
            if busy_with == request.job:
                raise ProtocolError(f"There is already an unfinished job named {request.job!r}.")
            if busy_with is None:
                self._job = _Job(request, JobObserver(request.job, self._send))
                self._changed.notify_all()
        if busy_with is not None:
            message = f"The worker is busy with the job {busy_with!r}: it takes one at a time."
            self._send(Error(request.job, ErrorCode.PROTOCOL, message))

    def _cancel(self, name: str) -> None:
        """Drop a job that has not begun, or ask the running one to stop; it answers for itself."""
        with self._changed:
            job = self._job if self._job is not None and self._job.request.job == name else None
            if job is not None:
                job.observer.cancel()
                if not job.has_begun:
                    self._job = None
        if job is not None and not job.has_begun:
            self._send(Error(name, ErrorCode.CANCELLED, "Cancelled before it began."))
        elif job is None:
            self._send(Log("info", "There was nothing to cancel: the job has ended already.", name))

    def _shut_down(self) -> None:
        """Cancel the job and let the main thread return; do not wait for it for long."""
        with self._changed:
            job = self._job
            self._is_shutting_down = True
            self._changed.notify_all()
        if job is not None:
            job.observer.cancel()
            if not job.has_begun:
                self._send(Error(job.request.job, ErrorCode.CANCELLED, "Cancelled: the worker shuts down."))
        end = threading.Timer(_SECONDS_TO_SHUT_DOWN, os._exit, (0,))
        end.daemon = True
        end.start()

    # --- Both threads: events ---

    def _send(self, event: Event) -> None:
        try:
            line = encode(event)
        except ProtocolError as error:  # a NaN in a result, or a file name that is no Unicode in a sentence
            _LOG.error("An event cannot be sent: %s", error.message)
            if not isinstance(event, (Result, Error)):
                return
            message = f"The worker's answer cannot be sent: {error.message}"
            line = encode(Error(event.job, ErrorCode.INTERNAL, message))
        with self._output_lock:
            try:
                while line:
                    line = line[os.write(self._output, line) :]
            except OSError:
                os._exit(0)  # nobody reads any more


def _decode_request(line: bytes | None) -> Request:
    if line is None:
        raise ProtocolError("A request came that is longer than a line may be.")
    message = decode(line)
    if not isinstance(message, REQUESTS):
        raise ProtocolError(f"A {type(message).__name__.lower()} message is an event, not a request.")
    return message


def _libraries_missing(error: Exception) -> Error:
    message = f"The worker cannot load its libraries in {sys.executable}: {error}"
    hint = "Install what is missing, PyTorch in most cases, into that Python."
    return Error(None, ErrorCode.INTERNAL, message.rstrip(".") + ".", hint)
