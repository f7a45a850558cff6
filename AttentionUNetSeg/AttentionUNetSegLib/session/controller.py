"""`Session`: the queue of jobs, the warm worker behind it, and the scene that the results go to."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..contracts import check_threshold
from ..errors import AttentionUNetSegError, BadInput, Cancelled, CannotWrite, ErrorCode, InternalError
from ..models import Catalogue, ModelPackage
from ..temporary_folder import keep
from ..worker import protocol
from ..worker.client import WorkerClient, WorkerListener
from ..worker.transport import SubprocessTransport, Transport
from .editing import ResultEditor
from .events import (
    TRANSITIONS,
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    SegmentResult,
    SessionListener,
    State,
    StateChanged,
    Warned,
    WorkerReady,
)
from .job import Job

# The scene package is imported where it is first needed: it costs about two seconds outside Slicer, in which the
# worker that `start_worker` started can already load torch.
if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

    from ..scene import ResultNodes

# Errors that the message explains fully: a copy of the person's CT would lie about for nothing.
_NOTHING_TO_REPLAY = {ErrorCode.BAD_INPUT, ErrorCode.BAD_MODEL, ErrorCode.UNAVAILABLE_DEVICE, ErrorCode.CANCELLED}
_OUTCOMES_KEPT = 8


class Session(WorkerListener):
    """Runs segmentations of volume nodes, one after the other, in one warm worker process.

    It is driven from one thread, blocks in `wait` (and briefly in `close`) only, and tells everything that
    happens to one listener on that thread. Results go to the scene of their volume, as new nodes. Nothing of
    the user's is changed.

    Parameters
    ----------
    catalogue : where model packages are looked up; default: those bundled and those of the user.
    transport_factory : makes the way to a new worker process; Slicer passes one that makes a QProcess.
    listener : is told everything. It may call the session back, `close` included.
    works_in_parts : write the CT of a job, and bring its result into the scene, part by part, one at a time in `pump`,
        so that an event loop goes on. Call it again and again then while the state is `PREPARING` or `IMPORTING`.
    """

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        transport_factory: Callable[[], Transport] = SubprocessTransport,
        listener: SessionListener | None = None,
        works_in_parts: bool = False,
    ) -> None:
        self._catalogue = catalogue or Catalogue()
        self._listener = listener or SessionListener()
        self._works_in_parts = works_in_parts
        self._client = WorkerClient(transport_factory, self)
        self._queue: deque[Job] = deque()
        self._active: Job | None = None
        self._outcomes: dict[str, SegmentResult | AttentionUNetSegError] = {}
        self._is_closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def state(self) -> State:
        """The state of the job at work (or next), `IDLE` when there is none, `CLOSED` after `close()`."""
        if self._is_closed:
            return State.CLOSED
        return self._active.state if self._active else State.QUEUED if self._queue else State.IDLE

    def start_worker(self, model: ModelPackage | str | None = None, device: str = "auto") -> None:
        """Start the worker before its first job, so that it loads torch while a person still chooses.

        `model` and `device`, where they are known already, are made ready too. What is wrong with them, the job says.
        """
        self._client.start()
        if model is not None:
            with suppress(AttentionUNetSegError):
                package = model if isinstance(model, ModelPackage) else self._catalogue.get(model)
                self._client.prepare(protocol.Prepare(str(package.folder), device))

    def segment(self, volume_node: vtkMRMLScalarVolumeNode, request: SegmentRequest | None = None) -> str:
        """Queue a segmentation of the volume node and return its job id.

        Whatever goes wrong, from an unknown model to a dead worker, is told by a `Failed` event. It comes
        before this returns where a look at volume and model is enough.

        Raises
        ------
        InternalError : the session is closed.
        """
        if self._is_closed:
            raise InternalError("The session is closed.")
        job = Job(uuid.uuid4().hex[:12], volume_node, volume_node.GetScene(), request or SegmentRequest())
        self._queue.append(job)
        try:
            self._listener.on_state_changed(StateChanged(job.id, State.QUEUED))
        finally:  # here and below: a listener that raises must not stop the work
            self._start_next()
        return job.id

    def cancel(self, job: str) -> None:
        """Stop a job; it ends as `CANCELLED`. Does nothing for a job that has ended."""
        waiting = next((queued for queued in self._queue if queued.id == job), None)
        if waiting:
            self._queue.remove(waiting)
            self._finish(waiting, State.CANCELLED, Cancelled())
        elif self._active and self._active.id == job:
            if not self._active.is_submitted or self._active.state is State.IMPORTING:
                self._finish(self._active, State.CANCELLED, Cancelled())
            elif self._active.state is State.RUNNING:
                try:
                    self._enter(self._active, State.CANCELLING)
                finally:
                    self._client.cancel(job)

    def wait(self, job: str, timeout: float | None = None) -> SegmentResult:
        """Drive the session until the job has ended and return its result. The only call that blocks.

        Raises
        ------
        AttentionUNetSegError : what the job failed with; `Cancelled` if it was cancelled.
        InternalError : there is no such job, or its outcome has been collected already.
        TimeoutError : the job has not ended after `timeout` seconds; it goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while job not in self._outcomes:
            unfinished = [each.id for each in (self._active, *self._queue) if each]
            if job not in unfinished:
                raise InternalError(f"There is no job {job} to wait for.")
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"The job {job} has not ended after {timeout:g} s.")
            self.pump(0.1)
        outcome = self._outcomes.pop(job)
        if isinstance(outcome, AttentionUNetSegError):
            raise outcome
        return outcome

    def pump(self, timeout: float = 0.0) -> None:
        """Deliver what the worker has said, waiting `timeout` seconds at most for the first of it.

        With a transport that delivers by itself (Qt), call it now and then all the same: it ends a worker that
        does not start or does not obey a cancel.
        """
        if self._active is not None and self._active.parts is not None:
            go_on = self._import if self._active.state is State.IMPORTING else self._export
            go_on(self._active, self._active.parts)
            timeout = 0.0
        self._client.pump(timeout)

    def set_threshold(self, result: SegmentResult, threshold: float, keep_largest: bool = False) -> float:
        """Make the segment anew where the probability is at least `threshold`; return its volume in mL.

        Raises
        ------
        BadInput : the threshold is not in (0, 1], or the result is no longer in the scene.
        """
        check_threshold(threshold)
        volume = ResultEditor(result.nodes).set_threshold(threshold, keep_largest)
        result.threshold, result.keep_largest = threshold, keep_largest
        result.volume_ml = dict.fromkeys(result.volume_ml, volume)
        return volume

    def close(self) -> None:
        """Cancel all jobs, end the worker, delete the job folders at work. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._client.close()
        finally:
            self._cancel_all()

    def _cancel_all(self) -> None:
        job = self._active or (self._queue.popleft() if self._queue else None)
        if job is not None:
            try:
                self._finish(job, State.CANCELLED, Cancelled())
            finally:
                self._cancel_all()

    # --- From the queue to the worker ---

    def _start_next(self) -> None:
        # The client is busy for a moment longer than we are where a job failed for us while the worker was at it.
        while self._queue and not self._active and not self._is_closed and not self._client.is_busy:
            job = self._active = self._queue.popleft()
            try:
                self._enter(job, State.PREPARING)
            finally:
                if job.state is State.PREPARING:  # it may have cancelled the job
                    self._launch(job)

    def _launch(self, job: Job) -> None:
        try:
            exporting = job.export(self._package(job.request))
        except AttentionUNetSegError as error:
            self._fail(job, error)
        else:
            self._export(job, exporting)

    def _export(self, job: Job, exporting: Generator[float, None, None]) -> None:
        """Write the next part of a job's CT, or all that is left of it; then it is the worker's turn."""
        job.parts = None
        try:
            for _fraction in exporting:
                if self._works_in_parts:
                    job.parts = exporting
                    return
        except AttentionUNetSegError as error:
            self._fail(job, error)
            return
        except OSError as error:
            self._fail(job, CannotWrite(f"The job folder cannot be written ({error})."))
            return
        except Exception as error:  # whatever MRML refuses
            self._fail(job, InternalError(f"The volume could not be prepared ({error})."))
            return
        try:
            self._enter(job, State.RUNNING)
        finally:
            if job.state is State.RUNNING:
                self._submit(job)

    def _submit(self, job: Job) -> None:
        job.is_submitted = True
        job.has_worker = self._client.ready is not None
        try:
            self._client.submit(job.message)
        except AttentionUNetSegError as error:
            self._fail(job, error)

    def _package(self, request: SegmentRequest) -> ModelPackage:
        if isinstance(request.model, ModelPackage):
            return request.model
        return self._catalogue.get(request.model)

    # --- WorkerListener: from the worker to the scene ---

    def on_ready(self, ready: protocol.Ready) -> None:
        """Tell it, and that the job at work has a worker."""
        if self._active:
            self._active.has_worker = self._active.is_submitted
        self._listener.on_worker_ready(
            WorkerReady(ready.torch, tuple((device.id, device.name) for device in ready.devices))
        )

    def on_log(self, log: protocol.Log) -> None:
        """Pass warnings on."""
        if log.level != "warning":
            return
        if log.job is None:
            self._listener.on_warning(Warned(None, log.text))
        elif (job := self._at_work(log.job)) is not None:
            self._warn(job, log.text)

    def on_progress(self, progress: protocol.Progress) -> None:
        """Pass it on; a job whose volume has gone ends."""
        job = self._at_work(progress.job)
        if job is None or job.state is State.CANCELLING:
            return
        try:
            job.require_volume()
        except BadInput as error:
            self._client.cancel(job.id)
            self._fail(job, error)
            return
        self._listener.on_progress(Progressed(job.id, progress.fraction, progress.stage, progress.elapsed))

    def on_result(self, result: protocol.Result) -> None:
        """Bring the result into the scene."""
        job = self._at_work(result.job)
        if job is None:
            self._start_next()
            return
        if job.state is State.CANCELLING:
            self._finish(job, State.CANCELLED, Cancelled())
            return
        try:
            self._enter(job, State.IMPORTING)
        finally:
            if job.state is State.IMPORTING:  # who was told may have cancelled the job
                job.parts = self._importing(job, result)
                if not self._works_in_parts:
                    self._import(job, job.parts)

    def on_error(self, error: protocol.Error) -> None:
        """End the job that failed; what the worker says of itself is a warning."""
        if error.job is None:
            self._listener.on_warning(Warned(None, f"{error.message} {error.hint}".strip()))
        elif (job := self._at_work(error.job)) is not None:
            self._fail(job, error.exception(), error.detail)
        else:
            self._start_next()

    def _at_work(self, name: str) -> Job | None:
        """Return the job at work if it has that name: what concerns one that has ended comes too late to matter."""
        job = self._active
        if job is None or job.id != name or job.state not in (State.RUNNING, State.CANCELLING):
            return None
        return job

    def _import(self, job: Job, importing: Generator[None, None, ResultReady]) -> None:
        """Do the next part of bringing a job's result into the scene, or all that is left of it."""
        job.parts = None
        try:
            while job.state is State.IMPORTING:  # what comes into the scene may lead somebody to cancel the job
                next(importing)
                if self._works_in_parts and job.state is State.IMPORTING:
                    job.parts = importing
                    return
            importing.close()
        except StopIteration as end:
            done: ResultReady = end.value
            self._finish(job, State.DONE, done.result, lambda: self._listener.on_result(done))
        except AttentionUNetSegError as error:
            self._fail(job, error)
        except Exception as error:  # whatever MRML refuses; the folder is kept, so that it can be looked into
            self._fail(job, InternalError(f"The result could not be brought into the scene ({error})."))

    def _importing(self, job: Job, event: protocol.Result) -> Generator[None, None, ResultReady]:
        """Bring a result into the scene; of a generator that fails, or is closed before its end, nothing is left."""
        from ..scene import delete_result, import_in_parts

        job.require_unmoved_volume()
        started = time.monotonic()
        has_other_voxels = job.has_other_voxels
        fields = {**asdict(event), "labels": job.labels}
        nodes = yield from import_in_parts(job.scene, job.volume_node, fields, job.folder, box=job.box)
        try:
            yield
            job.require_unmoved_volume()
            result = self._result(job, event, nodes, has_other_voxels)
            yield
            job.require_unmoved_volume()
        except BaseException:
            if nodes.scene is not None:
                delete_result(nodes)
            raise
        result.timings = {"export": job.export_seconds, **event.timings, "import": time.monotonic() - started}
        return ResultReady(job.id, result, job.folder, event.files)

    def _result(self, job: Job, event: protocol.Result, nodes: ResultNodes, has_other_voxels: bool) -> SegmentResult:
        """Make the segment as the request asks for it, and tell what the person should know."""
        from ..scene import segment_volume_ml

        result = SegmentResult(
            job=job.id,
            nodes=nodes,
            threshold=event.threshold,
            keep_largest=False,
            volume_ml=dict.fromkeys(event.volume_ml, segment_volume_ml(nodes)),
            timings={},
            device=event.device,
            device_name=event.device_name,
            model=event.model,
            warnings=(),
            quality=event.quality,
        )
        threshold = event.threshold if job.request.threshold is None else job.request.threshold
        is_own = threshold != event.threshold or job.request.keep_largest or job.box is not None
        if is_own:
            self.set_threshold(result, threshold, job.request.keep_largest)
        is_empty = is_own and not any(result.volume_ml.values())
        if is_empty:
            self._warn(job, f"The segment is empty: nothing in the CT reaches the threshold {threshold:g}.")
        if has_other_voxels:
            name = job.volume_node.GetName()
            self._warn(job, f"{name} shows other values than at the start of the run, to which the result belongs.")
        for text in event.warnings:
            if not (is_empty and text in event.quality.reasons):  # unsure of nothing
                self._warn(job, text)
        result.warnings = tuple(job.warnings)
        return result

    # --- The end of a job ---

    def _fail(self, job: Job, error: AttentionUNetSegError, detail: str = "") -> None:
        if job.state is State.CANCELLING or error.code is ErrorCode.CANCELLED:
            self._finish(job, State.CANCELLED, Cancelled())
            return
        kept = None
        if error.code not in _NOTHING_TO_REPLAY and job.is_replayable:
            kept = job.folder
            keep(kept)
            error.hint = f"{error.hint} The job is kept in {kept}.".strip()
        failed = Failed(job.id, error, kept, detail)
        self._finish(job, State.FAILED, error, lambda: self._listener.on_failure(failed), deletes_folder=kept is None)

    def _finish(
        self,
        job: Job,
        state: State,
        outcome: SegmentResult | AttentionUNetSegError,
        tell: Callable[[], None] = lambda: None,
        deletes_folder: bool = True,
    ) -> None:
        """Let a job end: `tell` comes after its last state, and then the next one starts."""
        if self._active is job:
            self._active = None
        if job.parts is not None:
            job.parts.close()  # it has a file open, or nodes in the scene that are not yet a result
            job.parts = None
        self._keep(job.id, outcome)
        try:
            try:
                self._enter(job, state)
            finally:  # who raised at the state is told the outcome all the same: it may name a folder that is kept
                tell()
        finally:
            if deletes_folder:
                job.delete_folder()
            self._start_next()

    def _keep(self, job: str, outcome: SegmentResult | AttentionUNetSegError) -> None:
        """Keep the outcome for `wait`, but no results whose volume has left its scene: they hold its voxels."""
        self._outcomes[job] = outcome
        for old, kept in list(self._outcomes.items())[:-1]:
            has_left = isinstance(kept, SegmentResult) and kept.nodes.volume.GetScene() is None
            if has_left or len(self._outcomes) > _OUTCOMES_KEPT:
                del self._outcomes[old]

    def _enter(self, job: Job, state: State) -> None:
        if state not in TRANSITIONS.get(job.state, ()):
            raise RuntimeError(f"A job cannot go from {job.state.value} to {state.value}.")
        job.state = state
        self._listener.on_state_changed(StateChanged(job.id, state))

    def _warn(self, job: Job, text: str) -> None:
        if text not in job.warnings:
            job.warnings.append(text)
            self._listener.on_warning(Warned(job.id, text))
