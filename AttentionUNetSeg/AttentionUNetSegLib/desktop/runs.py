"""The runs that a person started: one session with one worker behind it, made when first needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import qt
import slicer

from ..errors import InternalError
from ..models import Catalogue
from ..session import (
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    SegmentResult,
    Session,
    SessionListener,
    State,
    StateChanged,
    Warned,
    WorkerReady,
)
from ..worker.transport import WorkerCommand
from .interpreter import interpreter_command, keep_worker_warm
from .processes import QProcessTransport

_TICK_MILLISECONDS = 250
_WAIT_SECONDS = 0.05
_LOG = logging.getLogger(__name__)
_IN_PARTS = (State.PREPARING, State.IMPORTING)
_ENDED = (State.DONE, State.FAILED, State.CANCELLED)


@dataclass
class Run:
    """One run, for a person to look at: which volume, how far, since when (seconds of `time.monotonic`)."""

    job: str
    volume_node: slicer.vtkMRMLScalarVolumeNode
    request: SegmentRequest
    state: State = State.QUEUED
    fraction: float = 0.0
    stage: str = ""
    started: float = field(default_factory=time.monotonic)


class RunListener(SessionListener):
    """What the runs tell: all that a session tells, and two things more."""

    def on_log_line(self, text: str) -> None:
        """Take a line for the log: what the worker wrote on stderr, or what became of a run."""

    def on_tick(self) -> None:
        """Take it that some time has passed while there are runs; comes four times a second."""


class Runs(SessionListener):
    """Starts, follows, cancels and awaits runs, and tells every listener how they go."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.worker: WorkerReady | None = None
        self._session: Session | None = None
        self._unfinished: dict[str, Run] = {}
        self._starting: tuple[slicer.vtkMRMLScalarVolumeNode, SegmentRequest] | None = None
        self._listeners: list[RunListener] = []
        self._command: WorkerCommand  # of the session's worker
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MILLISECONDS)
        self._timer.timeout.connect(self._on_tick)
        self._parts = qt.QTimer()  # as often as Qt's event loop comes round, while the session works in parts
        self._parts.setInterval(0)
        self._parts.timeout.connect(self._on_parts)

    @property
    def unfinished(self) -> tuple[Run, ...]:
        """The run at work and those that wait for it, in order."""
        return tuple(self._unfinished.values())

    def add_listener(self, listener: RunListener) -> None:
        """Tell `listener` everything from now on."""
        self._listeners.append(listener)

    def remove_listener(self, listener: RunListener) -> None:
        """Tell `listener` nothing more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def start(self, volume_node: slicer.vtkMRMLScalarVolumeNode, request: SegmentRequest) -> str:
        """Queue a run and return its job id. Whatever goes wrong is told by `Failed`."""
        session = self._open_session()
        self._timer.start()
        self._starting = (volume_node, request)
        try:
            return session.segment(volume_node, request)
        finally:
            self._starting = None

    def cancel(self, job: str) -> None:
        """Stop a run that has not ended."""
        if self._session is not None:
            self._session.cancel(job)

    def wait(self, job: str) -> SegmentResult:
        """Return the result of a run, or raise what it failed with. Slicer's windows stay alive meanwhile."""
        session = self._session  # it may be closed meanwhile, and then tells that the run was cancelled
        if session is None:
            raise InternalError(f"There is no run {job} to wait for.")
        while True:
            try:
                return session.wait(job, _WAIT_SECONDS)
            except TimeoutError:
                slicer.app.processEvents()

    def device_name(self, device: str) -> str:
        """Return the name of the processor that a device stands for; "" for "auto" before the worker has started."""
        devices = dict(self.worker.devices) if self.worker is not None else {}
        if device == "auto":
            return next(iter(devices.values()), "")
        return devices.get(device, device)

    def close(self) -> None:
        """Cancel all runs and end the worker. The next `start` makes a new one."""
        session, self._session = self._session, None
        self._timer.stop()
        self._parts.stop()
        if session is not None:
            slicer.app.aboutToQuit.disconnect(self.close)
            session.close()
        self._unfinished.clear()
        self.worker = None

    # --- The session ---

    def _open_session(self) -> Session:
        """Return the session; a new one where the chosen Python has changed since and nothing runs."""
        command = interpreter_command()
        if self._session is not None and command.arguments != self._command.arguments and not self._unfinished:
            self.close()
        if self._session is None:
            self._command = command
            self._session = Session(self.catalogue, self._new_transport, self, works_in_parts=True)
            # Slicer ends without deleting Python's objects one by one, and the worker shall not outlive it.
            slicer.app.aboutToQuit.connect(self.close)
        return self._session

    def _new_transport(self) -> QProcessTransport:
        self._log("Starting " + " ".join(self._command.arguments))
        return QProcessTransport(self._command, self._log)

    # --- SessionListener: what happens to the runs ---

    def on_progress(self, event: Progressed) -> None:
        """Remember how far the run is."""
        if event.job in self._unfinished:
            run = self._unfinished[event.job]
            run.fraction, run.stage = event.fraction, event.stage
        self._tell(lambda listener: listener.on_progress(event))

    def on_warning(self, event: Warned) -> None:
        """Pass it on."""
        self._tell(lambda listener: listener.on_warning(event))

    def on_worker_ready(self, event: WorkerReady) -> None:
        """Remember what the worker found."""
        self.worker = event
        self._tell(lambda listener: listener.on_worker_ready(event))

    def on_failure(self, event: Failed) -> None:
        """Log it."""
        self._log(f"Failed: {event.error}")
        if event.detail:
            self._log(event.detail)
        self._tell(lambda listener: listener.on_failure(event))

    def on_result(self, event: ResultReady) -> None:
        """Log how long it took."""
        seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in event.result.timings.items())
        self._log(f"Done on {event.result.device_name or event.result.device}: {seconds}")
        self._tell(lambda listener: listener.on_result(event))

    def on_state_changed(self, event: StateChanged) -> None:
        """Follow the run, and let the session do its own part of it while Qt's event loop goes on."""
        if event.state in _IN_PARTS:
            self._parts.start()
        if event.state is State.QUEUED and self._starting is not None:
            self._unfinished[event.job] = Run(event.job, *self._starting)
        elif event.state in _ENDED:
            self._unfinished.pop(event.job, None)
        elif event.job in self._unfinished:
            run = self._unfinished[event.job]
            run.state = event.state
            if event.state is State.PREPARING:
                run.started = time.monotonic()
        self._tell(lambda listener: listener.on_state_changed(event))

    # --- helpers ---

    def _log(self, text: str) -> None:
        self._tell(lambda listener: listener.on_log_line(text))

    def _tell(self, tell: Callable[[RunListener], None]) -> None:
        for listener in tuple(self._listeners):
            try:
                tell(listener)
            except Exception:  # a fault of the panel must not reach the session, in whose middle we are
                _LOG.exception("A listener to the runs failed.")

    def _on_parts(self) -> None:
        if self._session is None or self._session.state not in _IN_PARTS:
            self._parts.stop()
        else:
            self._session.pump()

    def _on_tick(self) -> None:
        if self._session is None:
            return
        self._session.pump()
        self._tell(lambda listener: listener.on_tick())
        if not self._unfinished:
            self._timer.stop()
            if not keep_worker_warm():
                self.close()
