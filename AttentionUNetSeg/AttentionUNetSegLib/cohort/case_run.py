"""One case from its CT to its folder, in a worker process that keeps its model warm."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..contracts import SegmentOptions
from ..errors import (
    AttentionUNetSegError,
    BadModel,
    CannotWrite,
    InternalError,
    OutOfMemory,
    ProcessDied,
    UnavailableDevice,
)
from .case import Case
from .case_files import lacks_objects, write_dicom, write_files
from .case_folder import REPORT, CaseFolder, write_report

if TYPE_CHECKING:
    from ..inference import Segmenter

# The packages imaging, inference and measure are imported where a case runs: whoever gives the orders needs no torch.

DONE, FAILED, SUSPECT = "done", "failed", "suspect"
DEATHS = 2  # in one run, before a case is given up
_one_at_a_time = Lock()  # a worker with several threads has one model all the same


@dataclass(frozen=True)
class Order(SegmentOptions):
    """What a worker is told to do, with some options; small, because thousands of them wait.

    Attributes
    ----------
    case : the CT.
    output : the cohort's folder, the same place for every worker.
    model, sha256 : package folder, and the hash that its weights must have: a worker elsewhere may hold another one.
    gpus : with `device` "auto" and several of them, each worker of a local cluster takes its own.
    threads : for the processor, per worker; None leaves it to torch.
    run : token of this run of the command.
    alone : nothing else is under way: a case that may have killed its worker is tried again.
    again : a failure that the folder holds does not count as finished.
    dicom : also write the result as DICOM SEG and SR, where the CT is a DICOM series.
    fractional : and its probability as a FRACTIONAL SEG.
    """

    case: Case
    output: str
    model: str
    sha256: str
    run: str
    gpus: int = 0
    picture: bool = True
    threads: int | None = None
    alone: bool = False
    again: bool = False
    dicom: bool = False
    fractional: bool = False

    @property
    def folder(self) -> CaseFolder:
        """Where the case's results go."""
        return CaseFolder(Path(self.output), self.case.folder_name)

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on; a folder whose report says the same need not be made again."""
        keys = "sha256", "threshold", "tta", "keep_largest"
        return {
            **{key: getattr(self, key) for key in keys},
            "path": self.case.path,
            "series": self.case.series,
            "changed": _changed(Path(self.case.path)),
            "objects": [name for name in ("dicom", "fractional") if getattr(self, name)],
        }

    def finished(self, again: bool = False) -> bool:
        """Whether the case's folder holds the outcome of this order, or more; with `again`, failures do not count."""
        report = self.folder.report()
        if report is None:
            return False
        made, wanted = dict(report.get("settings") or {}), self.settings
        missing = set(wanted.pop("objects")) - set(made.pop("objects", ()))
        failed = "error" in report or lacks_objects(report)
        return made == wanted and not (missing and "error" not in report) and not (again and failed)


@dataclass(frozen=True)
class Outcome:
    """How an order ended.

    state : "done", "failed" (the report says why), or "suspect": the case was begun before and its process died.
    report : only where the folder does not hold it, because it could not be written.
    """

    id: str
    state: str
    report: dict[str, object] | None = field(default=None, repr=False)


def run_case(order: Order) -> Outcome:
    """Segment and measure one case, and leave its folder; whatever is wrong with the case is a failed outcome.

    Raises
    ------
    BadModel, UnavailableDevice : no case can run on this worker.
    """
    with _one_at_a_time:
        return _run_case(order)


def _run_case(order: Order) -> Outcome:
    folder = order.folder
    if order.finished(order.again):
        return Outcome(order.case.id, FAILED if "error" in (folder.report() or {}) else DONE)
    begun = folder.begun()
    if begun and not order.alone:
        return Outcome(order.case.id, SUSPECT)
    if begun.count(order.run) >= DEATHS:
        died = ProcessDied(
            f"The process that segmented it died {DEATHS} times, the last time with nothing else under way.",
            "Look for too little memory, or a file that makes a library crash.",
        )
        with folder.under_way(order.run):
            return _failed(order, died, {})
    with folder.under_way(order.run):
        return _run(order)


def _run(order: Order) -> Outcome:
    timings: dict[str, float] = {}
    try:
        with order.folder.written() as place:
            _fill(order, place, timings)
        return Outcome(order.case.id, DONE)
    except (BadModel, UnavailableDevice):
        raise
    except AttentionUNetSegError as error:
        return _failed(order, error, timings)
    except MemoryError:
        return _failed(order, OutOfMemory("There is not enough memory for this CT."), timings)
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        return _failed(order, InternalError(f"Unexpected {type(error).__name__}: {reason}."), timings, error)


def _fill(order: Order, place: Path, timings: dict[str, float]) -> None:
    with _stage(timings, "read"):
        from ..imaging import read_volume

        volume = read_volume(order.case.path, order.case.series)
    with _stage(timings, "load"):
        segmenter = _segmenter(order.model, order.sha256, _device(order), order.threads)
    with _stage(timings, "segment"):
        found = segmenter.segment(volume, order)
    threshold = found.threshold if order.threshold is None else order.threshold
    with _stage(timings, "measure"):
        from ..measure import measure

        measurements = measure(found.probability, volume.image, threshold, order.keep_largest)
    label, model, dicom = segmenter.package.labels[0], segmenter.package.identity.as_json(), None
    with _stage(timings, "write"):
        files, mask = write_files(place, label, volume, found, order, threshold, measurements)
    if order.dicom or order.fractional:
        with _stage(timings, "dicom"):
            objects, dicom = write_dicom(place, label, volume, found, mask, order, model, threshold, measurements)
            files |= objects
    report = {
        **_heading(order),
        "input": {"path": order.case.path, "series": order.case.series, **volume.described()},
        "model": model,
        "device": found.device,
        "device_name": found.device_name,
        "tta": order.tta,
        "threshold": threshold,
        "keep_largest": order.keep_largest,
        "volume_ml": {label["name"]: measurements["volume"].value},
        "measurements": measurements.as_json(),
        "warnings": found.warnings,
        "expected_dice": _expected_dice(found.probability, threshold),
        "trust": found.quality.as_json(),
        "timings": {**timings, "total": round(sum(timings.values()), 3)},
        "files": files,
        "dicom": dicom,
    }
    write_report(report, place)


def _expected_dice(probability: sitk.Image, threshold: float) -> float | None:
    """At the threshold of the order, not the model's; None where nothing reaches it."""
    from ..inference.quality import expected_dice

    values = sitk.GetArrayViewFromImage(probability)
    p = values[values > 0] / np.float32(255)  # nothing adds nothing, and is most of the box
    return round(expected_dice(p, threshold), 4) if (p >= threshold).any() else None


def _failed(
    order: Order, error: AttentionUNetSegError, timings: dict[str, float], cause: Exception | None = None
) -> Outcome:
    """Leave a folder with the reason alone."""
    report = {
        **_heading(order),
        "input": {"path": order.case.path, "series": order.case.series},
        "error": {"code": error.code.value, "message": error.message, "hint": error.hint},
        "timings": {**timings, "total": round(sum(timings.values()), 3)},
        "files": {"report": REPORT},
    }
    if cause is not None:
        report["error"]["traceback"] = "".join(traceback.format_exception(cause))
    try:
        with order.folder.written() as place:
            write_report(report, place)
    except (CannotWrite, InternalError):
        return Outcome(order.case.id, FAILED, report)
    return Outcome(order.case.id, FAILED)


def _heading(order: Order) -> dict[str, Any]:
    return {
        "program": f"attention-unet-seg {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "case": {"id": order.case.id, "columns": dict(order.case.columns)},
        "settings": order.settings,
    }


@lru_cache(maxsize=1)
def _segmenter(model: str, sha256: str, device: str, threads: int | None) -> Segmenter:
    """The warm model of this process."""
    import torch

    from ..inference import Segmenter
    from ..models import load_package

    if threads is not None:
        torch.set_num_threads(threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    package = load_package(Path(model))
    if package.weights_sha256 != sha256:
        raise BadModel(f"The model in {model} is another one on this worker than where the cohort was started.")
    return Segmenter(package, device)


def _device(order: Order) -> str:
    if order.device != "auto" or order.gpus < 2:
        return order.device
    from distributed import get_worker

    return f"cuda:{int(get_worker().name) % order.gpus}"  # a local cluster numbers its workers


def _changed(path: Path) -> list[float] | None:
    """Size and time of change of an image file, so that a file that was replaced is segmented again."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return None if path.is_dir() else [stat.st_size, stat.st_mtime]


@contextmanager
def _stage(timings: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = round(time.perf_counter() - started, 3)
