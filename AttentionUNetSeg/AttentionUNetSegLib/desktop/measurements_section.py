"""The panel's measurements: the result's numbers and whether they are old, its centre line, and the way to DICOM."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import AttentionUNetSegError
from ..scene import ResultNodes, are_old, read_table, show_centre_line
from .dicom_export import DicomExport, require_dicom_files
from .measuring import Measuring
from .messages import Messages
from .parameters import Selection

if TYPE_CHECKING:
    from ..session.editing import ResultEditor


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


def _as_html(table: slicer.vtkMRMLTableNode) -> str:
    """Return the table's rows as a page may show them: name, value with its range, unit."""
    rows = []
    for name, value, low, high, unit in read_table(table):
        if value is None:
            continue
        text = f"{value:g}" if low is None or high is None else f"{value:g} ({low:g} to {high:g})"
        rows.append(f"<tr><td>{html.escape(name)}&nbsp;</td><td>{text} {html.escape(unit)}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""
