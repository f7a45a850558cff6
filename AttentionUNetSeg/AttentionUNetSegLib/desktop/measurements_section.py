"""Numbers of the selected result, measured in the background when somebody asks, and the result as DICOM.

Both are the work of processes of their own: masks and CT go out in a folder, numbers or files come back.
"""

from __future__ import annotations

import html
import importlib
import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import AttentionUNetSegError, BadInput, Cancelled, InternalError
from ..imaging import write_image
from ..measure import Measurements
from ..scene import (
    ResultNodes,
    are_old,
    measurement_table,
    provenance,
    read_table,
    settings_of,
    show_centre_line,
    state_of_segment,
    write_measured_in_parts,
)
from ..scene.dicom_identity import dicom_identity
from ..scene.segment import DIGEST
from ..scene.volumes import state_of_voxels
from ..worker.dicom_process import DicomSegRequest, dicom_seg_command, read_answer
from ..worker.transport import ProcessExit, worker_command
from .delayed_call import DelayedCall
from .interpreter import interpreter_command, other_interpreter, slicer_python
from .messages import Messages
from .parameters import Selection
from .processes import AnsweringProcess, folder_with, no_place

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

LIBRARIES = ("highdicom", "dicomweb_client")


class MeasurementsSection:
    """Shows the result's table node, says when it is old, and measures anew. One thing at a time."""

    def __init__(self, ui: Any, selection: Selection, messages: Messages) -> None:
        self._ui, self._selection, self._messages = ui, selection, messages
        self._work: Measuring | DicomExport | None = None
        self._drawn_for: ResultNodes | None = None
        ui.measureButton.clicked.connect(self._on_measure)
        ui.showTableButton.clicked.connect(self._on_show_table)
        ui.exportDicomButton.clicked.connect(self._on_export)
        ui.centreLineCheckBox.toggled.connect(lambda checked: self.update())
        ui.dicomKindComboBox.addItem(_("Segment (BINARY), with its measurements (SR)"))
        ui.dicomKindComboBox.addItem(_("Probability (FRACTIONAL)"))

    def show(self, editor: ResultEditor | None) -> None:
        """Turn to another result, or none. What is under way for the last one goes on."""
        last = self._drawn_for
        if (
            last is not None
            and last.segmentation.GetScene() is not None
            and self._selection.result is not last.segmentation
        ):
            show_centre_line(last, False)
        self._drawn_for = editor.nodes if editor is not None else None
        if editor is not None and editor.nodes.measurements is not None:
            self._ui.measurementsCollapsibleButton.collapsed = False
        self.update()

    def update(self) -> None:
        """Show the numbers that there are, and whether they are of the segment as it is now."""
        ui, editor = self._ui, self._selection.editor
        table = editor.nodes.measurements if editor is not None else None
        measuring = self._work if isinstance(self._work, Measuring) else None
        ui.measureButton.enabled = measuring is not None or (editor is not None and self._work is None)
        ui.measureButton.text = _("Cancel") if measuring is not None else _("Measure")
        is_exporting = isinstance(self._work, DicomExport)
        ui.exportDicomButton.enabled = is_exporting or (editor is not None and self._work is None)
        ui.exportDicomButton.text = _("Cancel the export") if is_exporting else _("Export DICOM…")
        ui.showTableButton.enabled = table is not None
        ui.measurementsLabel.text = _as_html(table) if table is not None else ""
        state = ""
        if measuring is not None:
            state = _("Measuring {name}…").format(name=measuring.nodes.segmentation.GetName())
        elif is_exporting:
            state = _("Writing DICOM…")
        elif editor is not None and are_old(editor.nodes):
            state = _("Old: the segment has changed since. Measure again.")
        elif table is not None:
            state = _("Of the segment as it is now. {notes}").format(notes=table.GetDescription() or "").strip()
        if editor is not None:
            show_centre_line(editor.nodes, ui.centreLineCheckBox.checked)
        ui.measurementsStateLabel.text = state
        ui.measurementsStateLabel.visible = bool(state)

    def cancel(self) -> None:
        """Stop what is under way: its scene closes, or the person does not want it."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def export_to(self, folder: str) -> None:
        """Write the selected result as the chosen DICOM; raises as `DicomExport.start` and `require_dicom_files`."""
        editor = self._selection.require_editor()
        editor.absorb_strokes()
        files, is_fractional = require_dicom_files(editor.nodes.volume), self._ui.dicomKindComboBox.currentIndex == 1
        work = DicomExport(editor.nodes, files, folder, is_fractional, self._take_export)
        work.start()
        self._work = work
        self.update()

    # --- What the person does ---

    def _on_measure(self) -> None:
        if self._work is not None:
            self.cancel()
        elif self._selection.editor is not None:
            with self._messages.errors():
                self._selection.editor.absorb_strokes()
                work = Measuring(self._selection.editor.nodes, self._take)
                work.start()
                self._work = work
        self.update()

    def _on_show_table(self) -> None:
        table = self._selection.editor.nodes.measurements if self._selection.editor is not None else None
        if table is None:
            return
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetActiveTableID(table.GetID())
        logic.PropagateTableSelection()

    def _on_export(self) -> None:
        if self._work is not None:
            self.cancel()
            self.update()
            return
        if self._selection.editor is None:
            return
        with self._messages.errors():
            require_dicom_files(self._selection.editor.nodes.volume)  # before anybody is asked where to
            folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Where to write DICOM"))
            if folder:
                self.export_to(folder)

    # --- What the processes tell ---

    def _take(self, error: AttentionUNetSegError | None) -> None:
        self._work = None
        if error is not None:
            self._messages.report(error, retry=self._on_measure)
        self.update()

    def _take_export(self, outcome: AttentionUNetSegError | list[str]) -> None:
        self._work = None
        if isinstance(outcome, list):
            text = _("Written: {files}").format(files=", ".join(outcome))
            self._messages.show(text, subject="export")
        else:
            self._messages.report(outcome, subject="export")
        self.update()


class Measuring:
    """One measurement. The table is about the segment as it was at the start, and old where that has changed since.

    Parameters
    ----------
    nodes : the result.
    on_end : called once with None, or with what went wrong; never after `cancel`.
    """

    def __init__(self, nodes: ResultNodes, on_end: Callable[[AttentionUNetSegError | None], None]) -> None:
        self.nodes = nodes
        self._on_end = on_end
        self._running: AnsweringProcess | None = None
        self._filling = FilledFolder(
            nodes, "measure", "measured", lambda folder: write_measured_in_parts(nodes, folder), self._measure, on_end
        )

    def start(self) -> None:
        """Begin; everything follows from Qt's event loop.

        Raises
        ------
        BadInput : the result cannot be measured (see `scene.measure_result`).
        CannotWrite : there is no place for temporary files.
        """
        self._filling.start()

    def _measure(self, used: Path) -> None:
        worker = worker_command(slicer_python())
        arguments = (worker.arguments[0], "-m", "AttentionUNetSegLib.measure", str(used))
        self._running = AnsweringProcess(replace(worker, arguments=arguments), self._take, used)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda error: None
        self._filling.cancel()
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, said: str, last_words: str) -> None:
        try:
            error = None
            measurements = _measurements_of(exit, said, last_words)
            if self.nodes.segmentation.GetScene() is None:
                raise BadInput("The result was removed from the scene before it was measured.")
            measurement_table(self.nodes, measurements, self._filling.state)
        except AttentionUNetSegError as raised:
            error = raised
        self._on_end(error)


class FilledFolder:
    """A temporary folder that is filled with a result in parts, between which Qt's event loop goes on.

    Where the result or its CT changes meanwhile it is filled anew: parts of two states are of none.

    Parameters
    ----------
    name : part of the folder's name.
    purpose : what is being done to the result, for people: "measured", "exported".
    write : fills the folder, and yields after each part.
    then : called with the folder, which is its own from then on.
    on_error : called instead with what went wrong; neither is called after `cancel`.
    """

    def __init__(
        self,
        nodes: ResultNodes,
        name: str,
        purpose: str,
        write: Callable[[Path], Iterator[None]],
        then: Callable[[Path], None],
        on_error: Callable[[AttentionUNetSegError], None],
    ) -> None:
        self._nodes, self._name, self._purpose = nodes, name, purpose
        self._write, self._then, self._on_error = write, then, on_error
        self.state = ""
        self._seen: object = None
        self._folder, self._is_ours = Path(), False
        self._parts: Iterator[None] = iter(())
        self._next = DelayedCall(0, self._go_on)

    def start(self) -> None:
        """Do the first part; raises CannotWrite, and what `write` raises at once."""
        self._folder, self._is_ours = folder_with(self._name, lambda folder: None), True
        try:
            self._begin()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Stop; the folder goes."""
        self._next.drop()
        if self._is_ours:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        self.state, self._seen = state_of_segment(self._nodes), _what_is_seen(self._nodes)
        self._parts = self._write(self._folder)
        next(self._parts)
        self._next.request()

    def _go_on(self) -> None:
        try:
            for node, what in ((self._nodes.segmentation, "result"), (self._nodes.volume, "CT of the result")):
                if node.GetScene() is None:
                    raise BadInput(f"The {what} was removed from the scene before the result was {self._purpose}.")
            if _what_is_seen(self._nodes) != self._seen:
                self._begin()
                return
            for _part in self._parts:
                self._next.request()
                return
        except AttentionUNetSegError as error:
            self.cancel()
            self._on_error(error)
        except OSError as error:
            self.cancel()
            self._on_error(no_place(error))
        else:
            self._is_ours = False
            self._then(self._folder)


def _what_is_seen(nodes: ResultNodes) -> tuple[object, ...]:
    """Return what changes when the segment or the CT does, without a look at every voxel."""
    voxels = (state_of_voxels(node) for node in (nodes.volume, nodes.field))
    return (settings_of(nodes), provenance.read(nodes.segmentation, DIGEST), *voxels)


class DicomExport:
    """One export. Nothing that exists is written over.

    Parameters
    ----------
    nodes : the result.
    files : those of the CT's series.
    folder : where to write.
    is_fractional : write the probability, as a FRACTIONAL segmentation without a report, rather than the segment.
    on_end : called once with the paths that were written, or with what went wrong; never after `cancel`.
    """

    def __init__(
        self,
        nodes: ResultNodes,
        files: list[str],
        folder: str,
        is_fractional: bool,
        on_end: Callable[[AttentionUNetSegError | list[str]], None],
    ) -> None:
        self.nodes = nodes
        self._files, self._target, self._on_end = files, Path(folder), on_end
        self._is_fractional = is_fractional
        self._filling: FilledFolder | None = None
        self._running: AnsweringProcess | None = None

    def start(self) -> None:
        """Ask for what is missing, and start the process. Never call it but from a person's click.

        Raises
        ------
        Cancelled : the person declined an installation.
        BadInput : the result cannot be exported.
        CannotWrite : there is no place for temporary files, or a library cannot be installed.
        """
        self._python, self._environment = _python_with_libraries()
        self._filling = FilledFolder(self.nodes, "dicom", "exported", self._write, self._export, self._on_end)
        self._filling.start()

    def _write(self, folder: Path) -> Iterator[None]:
        yield from write_measured_in_parts(self.nodes, folder)
        stem = re.sub(r"[^\w.-]+", "_", self.nodes.segmentation.GetName()).strip("._") or "segment"
        kinds = ("probability", "sr") if self._is_fractional else ("seg", "sr")
        segment, report = (_free(self._target, f"{stem}_{kind}.dcm") for kind in kinds)
        identity = dicom_identity(self.nodes, self._is_fractional)
        yield
        origin, threshold = identity.origin, settings_of(self.nodes)[0]
        write_image(identity.image, folder / "segment.nrrd", compress=False)
        DicomSegRequest(
            path=str(segment), segment=str(folder / "segment.nrrd"), dicom_files=self._files,
            model=origin.model, label=origin.label.as_manifest(), semiautomatic=origin.is_semiautomatic,
            fractional=self._is_fractional, threshold=None if self._is_fractional else threshold,
            report=None if self._is_fractional else str(report), masks=str(folder), ct=identity.ct,
        ).save(folder / "request.json")  # fmt: skip

    def _export(self, used: Path) -> None:
        command = dicom_seg_command(used / "request.json", self._python, self._environment)
        self._running = AnsweringProcess(command, self._take, used)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda outcome: None
        if self._filling is not None:
            self._filling.cancel()
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, said: str, last_words: str) -> None:
        outcome: AttentionUNetSegError | list[str]
        try:
            outcome = read_answer(said, last_words or exit.describe()).splitlines()
        except AttentionUNetSegError as error:
            outcome = error
        self._on_end(outcome)


def require_dicom_files(volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """Return the files of the series that Slicer loaded a CT from.

    Raises
    ------
    BadInput : it was not loaded from DICOM, or files of it are no longer in Slicer's DICOM database.
    """
    uids = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not uids:
        raise BadInput(
            f"{volume_node.GetName()} was not loaded from DICOM, so there is no series that a DICOM object could "
            "refer to.",
            "Import the series in Slicer's DICOM module and load it from there.",
        )
    database = slicer.app.dicomDatabase()
    files = [str(database.fileForInstance(uid) or "") for uid in uids] if database is not None else [""] * len(uids)
    gone = sum(not each or not Path(each).is_file() for each in files)
    if gone:
        raise BadInput(
            f"{gone} of the {len(uids)} files that {volume_node.GetName()} was loaded from are no longer in Slicer's "
            "DICOM database.",
            "Import the series again.",
        )
    return files


def highdicom_question() -> str:
    """What the person is asked before anything is downloaded."""
    return _(
        "DICOM objects are written with highdicom, which this Slicer does not bring.\n\n"
        "highdicom and dicomweb-client would now be downloaded and installed into Slicer's Python: some 10 MB, once. "
        "Slicer does not respond meanwhile.\n\n"
        "Your images stay on this computer. Install them now?"
    )


def _python_with_libraries() -> tuple[str, dict[str, str] | None]:
    """Return the Python that writes DICOM, and its environment (None: Slicer's own)."""
    if not _missing():
        return slicer_python(), None
    if other_interpreter():  # it says itself what it lacks
        command = interpreter_command()
        return command.arguments[0], command.environment
    if slicer.app.testingEnabled():
        raise InternalError(_("highdicom is missing, and nothing is installed while Slicer runs tests."))
    if not slicer.util.confirmOkCancelDisplay(highdicom_question(), _("Install highdicom?")):
        raise Cancelled(_("highdicom was not installed, so nothing was exported."))
    try:
        with slicer.util.WaitCursor():
            slicer.util.pip_install("highdicom dicomweb-client")
    except Exception as error:
        raise InternalError(
            _("highdicom could not be installed ({error}).").format(error=" ".join(str(error).split())[:300]),
            _("Check the internet connection, then try again."),
        ) from error
    importlib.invalidate_caches()
    if _missing():
        raise InternalError(_("highdicom was installed, but Slicer does not find it."), _("Restart Slicer."))
    return slicer_python(), None


def _missing() -> list[str]:
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def _free(folder: Path, name: str) -> Path:
    """Return a path in the folder at which nothing exists: the name itself, or with a number."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}.dcm"
    return path


def _measurements_of(exit: ProcessExit, said: str, last_words: str) -> Measurements:
    try:
        answer = json.loads(said)
        if "error" not in answer:
            return Measurements.of_json(answer)
    except (ValueError, KeyError, TypeError):
        reason = ": ".join(part for part in (exit.describe(), last_words) if part)
        raise InternalError(f"The segment could not be measured ({reason}).") from None
    raise BadInput(answer["error"])


def _as_html(table: slicer.vtkMRMLTableNode) -> str:
    """Return the table's rows as a page may show them: name, value with its range, unit."""
    rows = []
    for name, value, low, high, unit in read_table(table):
        if value is None:
            continue
        text = f"{value:g}" if low is None or high is None else f"{value:g} ({low:g} to {high:g})"
        rows.append(f"<tr><td>{html.escape(name)}&nbsp;</td><td>{text} {html.escape(unit)}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""
