"""One segment job in the worker: from its folder to its result or its error, and what it shows of itself meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AttentionUNetSegError, BadInput, BadModel, Cancelled, ErrorCode, is_disk_full, is_out_of_memory
from .protocol import Error, Event, Log, Prepare, Progress, Result, Segment

# Torch takes seconds to load; a greeting must be answered, and a cancel taken, meanwhile: it is imported where it is
# needed, which the server sees to.
if TYPE_CHECKING:
    from .. import inference

SECONDS_BETWEEN_PROGRESS = 0.05
_KEPT_SEGMENTERS = 2
_LOG = logging.getLogger("AttentionUNetSeg.worker")


class SegmentRunner:
    """Runs jobs one after the other and keeps the models of the last two warm."""

    def __init__(self) -> None:
        self._segmenters: OrderedDict[tuple[object, ...], inference.Segmenter] = OrderedDict()

    def segment(self, request: Segment, observer: JobObserver) -> Result:
        """Segment the CT in the job folder and write the results beside it.

        Raises
        ------
        BadInput : no such folder or file, or it is no usable CT.
        BadModel : the package is missing, damaged or not what its manifest says.
        AttentionUNetSegError : whatever else the pipeline refuses (see `inference.Segmenter.segment`).
        """
        from .. import imaging, inference

        timings: dict[str, float] = {}
        started = time.monotonic()
        path = _require_file(request.folder, request.input)
        observer.progress(0.0, "Loading the model")
        segmenter = self._segmenter(Path(request.model), request.device)
        timings["load_model"] = _seconds_since(started)
        observer.raise_if_cancelled()

        observer.progress(0.01, "Reading the CT")
        reading = time.monotonic()
        volume = imaging.read_volume(path, any_intensity=request.any_intensity)
        timings["read"] = _seconds_since(reading)
        observer.raise_if_cancelled()

        segmentation = segmenter.segment(volume, request, observer)
        observer.raise_if_cancelled()

        observer.progress(0.97, "Writing the results")
        writing = time.monotonic()
        files = inference.write_segmentation(segmentation, path.parent)
        timings["write"] = _seconds_since(writing)
        return Result(
            job=request.job,
            folder=request.folder,
            files=files,
            volume_ml=dict(segmentation.volume_ml),
            threshold=segmentation.threshold,
            timings={**timings, **segmentation.timings, "total": _seconds_since(started)},
            device=segmentation.device,
            device_name=segmentation.device_name,
            model=segmenter.package.identity,
            warnings=tuple(segmentation.warnings),
            quality=segmentation.quality,
        )

    def prepare(self, request: Prepare) -> Iterator[None]:
        """Load a model and let its networks compute once; yields between the steps, where a job may go first.

        Raises
        ------
        AttentionUNetSegError : as `segment`, for model and device.
        """
        segmenter = self._segmenter(Path(request.model), request.device)
        yield
        yield from segmenter.warm_up()

    def forget(self) -> None:
        """Drop the loaded models, to give memory back after a failure."""
        self._segmenters.clear()

    def _segmenter(self, folder: Path, device: str) -> inference.Segmenter:
        """Return the loaded model, from memory if neither manifest nor weights have changed on the disk since."""
        from .. import inference, models

        if not folder.is_absolute():
            raise BadModel(f"The model folder {folder} is not an absolute path.")
        package = models.load_package(folder)
        key = (str(folder), device, package.weights_sha256, *_file_stamp(package.weights_path))
        segmenter = self._segmenters.pop(key, None) or inference.Segmenter(package, device)
        self._segmenters[key] = segmenter
        while len(self._segmenters) > _KEPT_SEGMENTERS:
            self._segmenters.popitem(last=False)
        return segmenter


class JobObserver:
    """The `inference.Observer` of one job: sends `Progress` and `Log` events, and holds the flag that cancels it.

    Progress never falls and comes about 20 times a second at most; the first, the last (1.0) and every new stage are
    always sent. `cancel` may be called from any thread, everything else is for the thread that runs the job.
    """

    def __init__(self, job: str, send: Callable[[Event], None]) -> None:
        self._job = job
        self._send = send
        self._cancel = threading.Event()
        self._started = time.monotonic()
        self._sent_at = float("-inf")
        self._fraction = 0.0
        self._stage = ""

    def begin(self) -> None:
        """Start the job's clock and show that it runs."""
        self._started = time.monotonic()
        self.progress(0.0, "Starting")

    def progress(self, fraction: float, stage: str) -> None:
        """Show that `fraction` (0..1) of the job is done and what it does now."""
        now = time.monotonic()
        is_news = stage != self._stage or (fraction >= 1.0 > self._fraction)
        self._fraction = min(max(fraction, self._fraction), 1.0)
        self._stage = stage
        if is_news or now - self._sent_at >= SECONDS_BETWEEN_PROGRESS:
            self._sent_at = now
            self._send(Progress(self._job, self._fraction, stage, round(now - self._started, 3)))

    def warning(self, message: str) -> None:
        """Show one sentence that the person should read."""
        self._send(Log("warning", message, self._job))

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._cancel.set()

    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancel.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled if the job should stop."""
        if self.cancelled():
            raise Cancelled


def error_of(exception: BaseException, job: str) -> Error:
    """Return the event for an exception. What is not ours is logged with its traceback and called internal."""
    if isinstance(exception, AttentionUNetSegError):
        return Error(job, exception.code, exception.message, exception.hint)
    _LOG.error("Job %s failed.", job, exc_info=exception)
    if is_out_of_memory(exception):
        message = "There is not enough memory for this run."
        hint = "Close other programs, crop the CT to the abdomen, or choose another device."
        return Error(job, ErrorCode.OUT_OF_MEMORY, message, hint)
    if is_disk_full(exception):
        message = f"The disk of the job folder is full ({exception.strerror})."
        return Error(job, ErrorCode.CANNOT_WRITE, message, "Free some space and run again.")
    kind, text = type(exception).__name__, " ".join(str(exception).split())[:500]
    message = f"The run failed unexpectedly: {kind}: {text}" if text else f"The run failed unexpectedly: {kind}"
    return Error(job, ErrorCode.INTERNAL, message.rstrip(".") + ".", "The worker's log has the details.")


def _require_file(folder: str, name: str) -> Path:
    """Return the path of a file in a job folder; raises BadInput where folder or file are not there."""
    where = Path(folder)
    if not where.is_absolute():
        raise BadInput(f"The job folder {folder} is not an absolute path.")
    if not where.is_dir():
        raise BadInput(f"There is no job folder {folder}.")
    path = where / name
    if not path.is_file():
        raise BadInput(f"There is no file {name} in the job folder {folder}.")
    return path


def _seconds_since(start: float) -> float:
    """Seconds since a time of `time.monotonic`."""
    return round(time.monotonic() - start, 4)


def _file_stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a missing file, about which the Segmenter has the right sentence."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
