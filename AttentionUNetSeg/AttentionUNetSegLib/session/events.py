"""What a session takes and tells: requests, results, the states of a job, every event, and who listens to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts import ModelIdentity, QualityReport, ResultFiles, SegmentOptions
from ..errors import AttentionUNetSegError

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsROINode

    from ..models import ModelPackage
    from ..scene import ResultNodes


class State(str, Enum):
    """Where a job is; `IDLE` and `CLOSED` are states of the session only."""

    IDLE = "idle"
    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    IMPORTING = "importing"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSED = "closed"


TRANSITIONS = {
    State.QUEUED: {State.PREPARING, State.CANCELLED},
    State.PREPARING: {State.RUNNING, State.FAILED, State.CANCELLED},
    State.RUNNING: {State.IMPORTING, State.FAILED, State.CANCELLING, State.CANCELLED},
    State.IMPORTING: {State.DONE, State.FAILED, State.CANCELLED},
    State.CANCELLING: {State.CANCELLED},
}


@dataclass(frozen=True)
class SegmentRequest(SegmentOptions):
    """What to do with a volume: beside the options of `contracts.SegmentOptions`, with which model, and where.

    Attributes
    ----------
    model : a package, or its id in the session's catalogue; None: the catalogue's default.
    region : a box that limits the result, and the work to it and its surroundings; None: the whole volume.
    """

    model: str | ModelPackage | None = None
    region: vtkMRMLMarkupsROINode | None = None


@dataclass
class SegmentResult:
    """A job that succeeded: its nodes in the scene, and how they came about.

    Attributes
    ----------
    nodes : the nodes in the scene.
    threshold, keep_largest, volume_ml : how the segment is made from the probability now, and its volume in mL
        by label name; they follow `Session.set_threshold`.
    timings : seconds by stage: the session's "export" and "import", and the worker's own between them.
    device, device_name : for example "cuda:0" and "NVIDIA H200".
    model : the package that made it.
    warnings : everything that was told by `Warned` for this job.
    quality : reasons to distrust the result, which are among the warnings too, and how sure the network was.
    """

    job: str
    nodes: ResultNodes
    threshold: float
    keep_largest: bool
    volume_ml: dict[str, float]
    timings: dict[str, float]
    device: str
    device_name: str
    model: ModelIdentity
    warnings: tuple[str, ...]
    quality: QualityReport


@dataclass(frozen=True)
class StateChanged:
    """A job went from one state to the next. With `CANCELLED` it is the job's last event."""

    job: str
    state: State


@dataclass(frozen=True)
class Progressed:
    """How far a running job is: `fraction` in 0..1 never falls, `elapsed` is in seconds."""

    job: str
    fraction: float
    stage: str
    elapsed: float


@dataclass(frozen=True)
class Warned:
    """Something the person should know about a job, or about the worker itself (`job` None)."""

    job: str | None
    text: str


@dataclass(frozen=True)
class WorkerReady:
    """The worker has loaded torch: its version, and the devices as (id, name)."""

    torch: str
    devices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ResultReady:
    """A job succeeded. `folder` holds the worker's `files`, and is deleted once the listener returns."""

    job: str
    result: SegmentResult
    folder: Path
    files: ResultFiles


@dataclass(frozen=True)
class Failed:
    """A job failed. `folder` is the job folder that is kept for `attention-unet-seg replay`, if one is.

    `detail` is for developers: the last lines of the worker's log.
    """

    job: str
    error: AttentionUNetSegError
    folder: Path | None
    detail: str = ""


Event = StateChanged | Progressed | Warned | WorkerReady | ResultReady | Failed


class SessionListener:
    """What a session tells; this one hears nothing. Derive from it and define what matters."""

    def on_state_changed(self, event: StateChanged) -> None:
        """Take the next state of a job."""
        self.on_event(event)

    def on_progress(self, event: Progressed) -> None:
        """Take how far the running job is."""
        self.on_event(event)

    def on_warning(self, event: Warned) -> None:
        """Take a sentence for the person."""
        self.on_event(event)

    def on_worker_ready(self, event: WorkerReady) -> None:
        """Take it that a worker runs."""
        self.on_event(event)

    def on_result(self, event: ResultReady) -> None:
        """Take a result, and from its folder whatever is to be kept."""
        self.on_event(event)

    def on_failure(self, event: Failed) -> None:
        """Take it that a job failed."""
        self.on_event(event)

    def on_event(self, event: Event) -> None:
        """Take what has no method of its own here."""
