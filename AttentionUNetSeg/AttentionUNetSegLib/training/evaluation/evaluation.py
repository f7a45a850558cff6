"""Run a model on labelled scans and measure it: the real segmenter, scan after scan."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import SimpleITK as sitk

from ...contracts import SegmentOptions
from ...errors import BadInput
from ...imaging import Volume, check_ct
from ...imaging.image_file import is_phantom
from ...inference import Observer, Segmentation, Segmenter, SilentObserver
from ..labelled_scan import LabelledScan, LoadedScan
from .calibration import CalibrationCounts, count_case
from .case_metrics import compare
from .case_result import CaseResult
from .cropped_case import CroppedCase, crop_case
from .gate_selectivity import GateSelectivity, gate_selectivity


@dataclass(frozen=True)
class MeasuredCase:
    """One scan that was measured, while its images are still there.

    Attributes
    ----------
    result : the numbers.
    calibration : counts for the reliability diagram.
    segmentation : what the model said.
    scan : the images that were read.
    case : label and segment in their box.
    """

    result: CaseResult
    calibration: CalibrationCounts
    segmentation: Segmentation = field(repr=False)
    scan: LoadedScan = field(repr=False)
    case: CroppedCase = field(repr=False)


@dataclass(frozen=True)
class NotEvaluated:
    """A scan that could not be measured, and why."""

    name: str
    reason: str


def evaluate_scans(
    segmenter: Segmenter,
    scans: Sequence[LabelledScan],
    options: SegmentOptions | None = None,
    observer: Observer | None = None,
) -> Iterator[MeasuredCase | NotEvaluated]:
    """Segment and measure each scan, in order; a scan that cannot be read does not end the run.

    Parameters
    ----------
    segmenter : the model, ready.
    scans : what to measure it on.
    options : defaults where None.
    observer : sees the progress over all scans; can cancel.

    Raises
    ------
    Cancelled : the observer asked for it.
    OutOfMemory : neither the device nor main memory suffices for a scan.
    """
    options, observer = options or SegmentOptions(), observer or SilentObserver()
    for number, scan in enumerate(scans):
        part = _CaseObserver(observer, number, len(scans), scan.name)
        part.progress(0.0, "reading")
        try:
            loaded = scan.load()
            if "pancreas" not in loaded.structures:
                raise BadInput(f"The pancreas is not annotated in {scan.name}.")
            volume = Volume(loaded.ct, scan.name, is_phantom(loaded.ct), tuple(check_ct(loaded.ct)))
        except BadInput as error:
            yield NotEvaluated(scan.name, str(error))
            continue
        yield _measured(segmenter, scan, loaded, volume, options, part)
    observer.progress(1.0, "Done")


def _measured(
    segmenter: Segmenter,
    scan: LabelledScan,
    loaded: LoadedScan,
    volume: Volume,
    options: SegmentOptions,
    observer: Observer,
) -> MeasuredCase:
    started = time.perf_counter()
    # The segmenter's own end is not the case's end: measuring follows.
    result = segmenter.segment(volume, options, _Share(observer, 0.02, 0.9))
    seconds = time.perf_counter() - started
    observer.progress(0.9, "measuring")
    label = loaded.structures["pancreas"]
    case = crop_case(
        label,
        result.probability,
        segmenter.package.threshold if options.threshold is None else options.threshold,
        loaded.ignore,
        result.spread,
        options.keep_largest,
    )
    numbers = CaseResult(
        name=scan.name,
        patient=scan.patient,
        labels_by=scan.labels_by,
        size=loaded.ct.GetSize(),
        spacing_mm=loaded.ct.GetSpacing(),
        metrics=compare(case),
        seconds=seconds,
        mean_spread=result.quality.mean_spread,
        mean_probability=result.quality.mean_probability,
        expected_dice=result.quality.expected_dice,
        gates=_gates(result, loaded, label),
        warnings=tuple(result.warnings),
    )
    return MeasuredCase(numbers, count_case(case), result, loaded, case)


def _gates(result: Segmentation, loaded: LoadedScan, label: sitk.Image) -> tuple[GateSelectivity, ...]:
    return tuple(gate_selectivity(each, loaded.ct, label, loaded.ignore) for each in result.attention)


class _CaseObserver:
    """One scan's share of the progress over all of them."""

    def __init__(self, observer: Observer, number: int, count: int, name: str) -> None:
        self._observer, self._number, self._count, self._name = observer, number, count, name

    def progress(self, fraction: float, stage: str) -> None:
        words = f"{self._number + 1}/{self._count} {self._name}: {stage[:1].lower()}{stage[1:]}"
        self._observer.progress((self._number + fraction) / self._count, words)

    def warning(self, message: str) -> None:
        self._observer.warning(message)

    def cancelled(self) -> bool:
        return self._observer.cancelled()


class _Share:
    """The part from `start` to `stop` of another observer's progress."""

    def __init__(self, observer: Observer, start: float, stop: float) -> None:
        self._observer, self._start, self._stop = observer, start, stop
        self.warning, self.cancelled = observer.warning, observer.cancelled

    def progress(self, fraction: float, stage: str) -> None:
        self._observer.progress(self._start + fraction * (self._stop - self._start), stage)
