"""One segment job, from its folder to its result; models stay loaded between jobs."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path

from .. import imaging, inference, models
from ..errors import BadModel
from .job_files import require_file, seconds_since
from .observing import JobObserver
from .protocol import Result, Segment

_KEPT_SEGMENTERS = 2


class SegmentRunner:
    """Runs jobs one after the other and keeps the models of the last two warm."""

    def __init__(self) -> None:
        self._segmenters: OrderedDict[tuple, inference.Segmenter] = OrderedDict()

    def segment(self, request: Segment, observer: JobObserver) -> Result:
        """Segment the CT in the job folder and write the results beside it.

        Raises
        ------
        BadInput : no such folder or file, or it is no usable CT.
        BadModel : the package is missing, damaged or not what its manifest says.
        AttentionUNetSegError : whatever else the pipeline refuses (see `inference.Segmenter.segment`).
        """
        timings: dict[str, float] = {}
        started = time.monotonic()
        path = require_file(request.folder, request.input)
        observer.progress(0.0, "Loading the model")
        segmenter = self._segmenter(Path(request.model), request.device)
        timings["load_model"] = seconds_since(started)
        observer.raise_if_cancelled()

        observer.progress(0.01, "Reading the CT")
        reading = time.monotonic()
        volume = imaging.read_volume(path, any_intensity=request.any_intensity)
        timings["read"] = seconds_since(reading)
        observer.raise_if_cancelled()

        segmentation = segmenter.segment(volume, request, observer)
        observer.raise_if_cancelled()

        observer.progress(0.97, "Writing the results")
        writing = time.monotonic()
        files = inference.write_segmentation(segmentation, path.parent)
        timings["write"] = seconds_since(writing)
        return Result(
            job=request.job,
            folder=request.folder,
            files=files,
            volume_ml=dict(segmentation.volume_ml),
            threshold=segmentation.threshold,
            timings={**timings, **segmentation.timings, "total": seconds_since(started)},
            device=segmentation.device,
            device_name=segmentation.device_name,
            model=segmenter.package.identity,
            warnings=tuple(segmentation.warnings),
            trust=segmentation.quality,
        )

    def forget(self) -> None:
        """Drop the loaded models, to give memory back after a failure."""
        self._segmenters.clear()

    def _segmenter(self, folder: Path, device: str) -> inference.Segmenter:
        """Return the loaded model, from memory if neither manifest nor weights have changed on the disk since."""
        if not folder.is_absolute():
            raise BadModel(f"The model folder {folder} is not an absolute path.")
        package = models.load_package(folder)
        key = (str(folder), device, package.weights_sha256, *_file_stamp(package.weights_path))
        segmenter = self._segmenters.pop(key, None) or inference.Segmenter(package, device)
        self._segmenters[key] = segmenter
        while len(self._segmenters) > _KEPT_SEGMENTERS:
            self._segmenters.popitem(last=False)
        return segmenter


def _file_stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a missing file, about which the Segmenter has the right sentence."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
