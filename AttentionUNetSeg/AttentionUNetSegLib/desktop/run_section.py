"""The large button, the progress of the run at work, and how runs end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from ..errors import Cancelled
from ..session import Event, Failed, Progressed, ResultReady, State, StateChanged, Warned
from .torch_installation import ensure_torch

if TYPE_CHECKING:
    from .panel import Panel
    from .runs import Run

_FULL = 1000


class RunSection:
    """Starts runs, shows the one at work and those that wait, cancels, and tells how each ended."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._ui.segmentButton.clicked.connect(self.start)
        self._ui.cancelButton.clicked.connect(self._on_cancel)
        self.update()

    def start(self) -> None:
        """Segment the selected volume; first ask for PyTorch where it is missing."""
        panel = self._panel
        panel.message.clear()
        obstacle = self._obstacle()
        if obstacle:
            panel.message.show(obstacle)
            return
        with panel.errors(retry=self.start):
            ensure_torch()
            panel.logic.startRun(panel.input.volume, panel.input.request())
        self.update()

    def take(self, event: Event) -> None:
        """Show what the session tells."""
        if isinstance(event, ResultReady):
            self._on_result(event)
        elif isinstance(event, Failed):
            self._panel.report(event.error, retry=self.start, has_details=True)
        elif isinstance(event, Warned) and event.job is None:
            self._panel.message.show(event.text, has_details=True)
        elif isinstance(event, StateChanged) and event.state is State.CANCELLED:
            self._panel.message.show(Cancelled().message)
        if isinstance(event, (StateChanged, Progressed)):
            self.update()

    def update(self) -> None:
        """Show whether a run can start, how far the one at work is, and which wait."""
        obstacle = self._obstacle()
        self._ui.segmentButton.enabled = not obstacle
        self._ui.segmentButton.toolTip = obstacle or _("Segment the pancreas on the selected volume.")
        runs = self._panel.logic.unfinishedRuns()
        self._ui.progressWidget.visible = bool(runs)
        if not runs:
            return
        run = runs[0]
        self._ui.progressBar.setValue(round(run.fraction * _FULL))
        self._ui.stageLabel.text = self._describe(run)
        self._ui.cancelButton.enabled = run.state is not State.CANCELLING
        waiting = ", ".join(each.volume_node.GetName() for each in runs[1:])
        self._ui.queueLabel.text = _("Waiting: {names}").format(names=waiting) if waiting else ""
        self._ui.queueLabel.visible = bool(waiting)

    # --- helpers ---

    def _obstacle(self) -> str:
        if self._panel.parameters is None:
            return _("The scene is being closed.")
        if self._panel.input.obstacle:
            return self._panel.input.obstacle
        if any(run.volume_node is self._panel.input.volume for run in self._panel.logic.unfinishedRuns()):
            return _("This volume is being segmented. Cancel that run, or choose another volume.")
        return ""

    def _describe(self, run: Run) -> str:
        if run.state is State.CANCELLING:
            stage = _("Cancelling")
        elif run.state is State.RUNNING and not run.stage:
            stage = _("Starting the background process")
        else:
            stage = run.stage or _("Preparing")
        elapsed = _("{seconds} s").format(seconds=int(time.monotonic() - run.started))
        device = self._panel.logic.deviceName(run.request.device)
        return " · ".join(part for part in (run.volume_node.GetName(), stage, elapsed, device) if part)

    def _on_cancel(self) -> None:
        runs = self._panel.logic.unfinishedRuns()
        if runs:
            self._panel.logic.cancel(runs[0].job)
        self.update()

    def _on_result(self, event: ResultReady) -> None:
        result = event.result
        self._panel.select_new_result(result.nodes.segmentation)
        volume = ", ".join(f"{name} {value:.1f} mL" for name, value in result.volume_ml.items())
        seconds = result.timings.get("total")
        where = result.device_name or result.device
        done = _("Done: {volume}, {seconds:.1f} s on {device}.").format(
            volume=volume, seconds=seconds or 0.0, device=where
        )
        self._panel.message.show("\n".join([done, *result.warnings]))
