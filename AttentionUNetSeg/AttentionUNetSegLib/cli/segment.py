"""`attention-unet-seg segment`: from a CT to segmentation, probability, spread, attention, scene, picture, report."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import PROBABILITY_FILE, SPREAD_FILE, attention_file
from ..session import (
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    SegmentResult,
    Session,
    SessionListener,
    Warned,
    WorkerReady,
)
from .chosen_model import chosen_model
from .clock import Clock
from .dicom_objects import check_dicom, require_dicom_files, store_objects, wants_dicom, write_objects
from .given_input import GivenInput
from .nifti_outputs import write_as_nifti
from .outputs import OutputFolder
from .report import describe, make_report, write_report
from .scene_files import begin_drawing, draw, libraries_loading, measure, open_scene, save, save_parts
from .terminal import ProgressLine, Terminal

# The packages `imaging` and `scene` are imported where they are used: together they cost two to three seconds, in which
# the worker, started before, already loads torch.
if TYPE_CHECKING:
    import slicer

    from ..imaging import Volume

# Where each part of a run ends on the progress bar.
_READ, _OPENED, _SEGMENTED, _SAVED, _DRAWN = 0.02, 0.06, 0.85, 0.95, 0.98
_SECONDS_BETWEEN_LOOKS = 0.2  # for an interrupt, which waits until MRML has returned


def run(options: Namespace, terminal: Terminal) -> None:
    """Segment `options.input` and leave all results in `options.output`, or none.

    Raises
    ------
    AttentionUNetSegError : whatever makes a result impossible.
    KeyboardInterrupt : the person asked to stop; nothing is left behind.
    """
    request = SegmentRequest(
        model=chosen_model(options.model),
        device=options.device,
        tta=options.tta,
        max_memory_mb=options.max_memory,
        threshold=options.threshold,
        keep_largest=options.keep_largest,
    )
    clock = Clock()
    with (
        terminal.progress() as line,
        _started_session(options, request, terminal, line) as (session, listener),
        ExitStack() as fetched,
    ):
        with terminal.interrupts.deferred():
            given = GivenInput.of(options.input, options.series)
        source: dict[str, Any] = {"path": given.name, "series": options.series}
        outputs = OutputFolder(options.output, given.stem)
        outputs.check(source, options.force)
        check_dicom(options)
        with clock.measure("read"):
            path = fetched.enter_context(given.on_disk(lambda done, text: line.show(_READ * done, text)))
            volume = _read(path, options, terminal)
        if wants_dicom(options):
            require_dicom_files(volume.dicom_files, given.name)
        source.update(volume.described())
        line.show(_READ, "Opening the scene")
        with clock.measure("open_scene"):
            _app, scene = open_scene(terminal)  # the application lives as long as the scene is used
            with terminal.interrupts.deferred():
                node = _add(scene, volume, terminal, listener)
        # The scene has its own copy of the voxels, and a CT may take half a gigabyte.
        dicom_files, ct = volume.dicom_files, volume.image if options.format == "nifti" else None
        del volume
        with outputs.staging() as staging, ExitStack() as saved:
            listener.destination = OutputFolder(staging, outputs.stem)
            with clock.measure("segment"):
                result = _segment(session, terminal, node, request)
            if not options.no_picture:
                begin_drawing()
            line.show(_SEGMENTED, "Measuring")
            with clock.measure("measure"), terminal.interrupts.deferred():
                measurements = measure(result.nodes, listener.destination, with_csv=options.csv)
            line.show(_SEGMENTED, "Saving")
            with clock.measure("save"), terminal.interrupts.deferred():
                saved.enter_context(save(scene, result.nodes, listener.destination, with_scene=not options.no_scene))
                if options.parts:
                    save_parts(listener.destination, measurements)
            line.show(_SAVED, "Drawing the picture")
            with clock.measure("picture"), terminal.interrupts.deferred():
                if not options.no_picture:
                    draw(result.nodes, listener.destination.file("overview.png"), terminal, listener.warn)
            with clock.measure("save"), terminal.interrupts.deferred():
                saved.close()
            if wants_dicom(options):
                with clock.measure("dicom"), terminal.interrupts.deferred():
                    made = result.nodes, dicom_files, result.threshold, measurements
                    write_objects(options, listener.destination, *made)
            if ct is not None:  # the last, because it takes the place of what the others read
                write_as_nifti(listener.destination, ct)
            report = make_report(
                outputs, source, request, result, listener.warnings, clock.seconds, staging, measurements
            )
            write_report(report, listener.destination.file("report.json"))
        if options.store:
            line.show(_DRAWN, "Sending to the PACS")
            store_objects(options.store, outputs, report)
    terminal.answer(report, describe(report))


class _Listener(SessionListener):
    """Shows what the session tells, collects the warnings, and takes the worker's files before they are deleted."""

    def __init__(self, terminal: Terminal, line: ProgressLine, device: str) -> None:
        self.warnings: list[str] = []
        self.destination: OutputFolder  # of the worker's files; known before the run begins
        self._terminal = terminal
        self._line = line
        self._device = device

    def on_progress(self, event: Progressed) -> None:
        self._line.show(_OPENED + event.fraction * (_SEGMENTED - _OPENED), event.stage)

    def on_worker_ready(self, event: WorkerReady) -> None:
        self._line.device(self._name_of_device(event))

    def on_result(self, event: ResultReady) -> None:
        endings = {event.files.probability: PROBABILITY_FILE}
        if event.files.spread is not None:
            endings[event.files.spread] = SPREAD_FILE
        endings.update((name, attention_file(n)) for n, name in enumerate(event.files.attention, start=1))
        for name, ending in endings.items():
            shutil.copyfile(event.folder / name, self.destination.file(ending))

    def on_failure(self, event: Failed) -> None:
        self._terminal.note(event.detail)

    def on_warning(self, event: Warned) -> None:
        if event.job is None:  # about the worker: if it matters, the job's own error says so too
            self._terminal.note(event.text)
        else:
            self.warn(event.text)

    def warn(self, text: str) -> None:
        """Show a warning and keep it for the report, once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._terminal.warn(text)

    def _name_of_device(self, ready: WorkerReady) -> str:
        names = dict(ready.devices)  # the best comes first, and "auto" takes it
        return next(iter(names.values()), "") if self._device == "auto" else names.get(self._device, self._device)


@contextmanager
def _started_session(
    options: Namespace, request: SegmentRequest, terminal: Terminal, line: ProgressLine
) -> Iterator[tuple[Session, _Listener]]:
    listener = _Listener(terminal, line, options.device)
    with Session(listener=listener) as session:
        line.show(0.0, "Reading the CT")
        if isinstance(options.input, str) or options.input.exists():  # otherwise the sentence about it comes at once
            session.start_worker(request.model, request.device)
        yield session, listener


def _read(path: Path, options: Namespace, terminal: Terminal) -> Volume:
    with terminal.interrupts.deferred():
        from ..imaging import dicom, read_volume  # noqa: F401  pydicom before the thread begins, which imports it too

    with libraries_loading(path):
        return read_volume(path, options.series)


def _add(
    scene: slicer.vtkMRMLScene, volume: Volume, terminal: Terminal, listener: _Listener
) -> slicer.vtkMRMLScalarVolumeNode:
    """Say what is doubtful about the CT, and put it into the scene."""
    from ..scene import add_volume

    for text in volume.warnings:
        listener.warn(text)
    for text in volume.left_out:
        terminal.note(text)
    return add_volume(scene, volume)


def _segment(
    session: Session, terminal: Terminal, node: slicer.vtkMRMLScalarVolumeNode, request: SegmentRequest
) -> SegmentResult:
    result = None
    with terminal.interrupts.deferred():
        job = session.segment(node, request)
    while result is None:
        with terminal.interrupts.deferred(), suppress(TimeoutError):
            result = session.wait(job, _SECONDS_BETWEEN_LOOKS)
    return result
