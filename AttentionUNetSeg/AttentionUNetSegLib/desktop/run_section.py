"""The large button, the progress of the run at work, and how runs end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled
from ..scene import give_own_color
from ..session import Failed, Progressed, ResultReady, SegmentRequest, State, StateChanged, Warned
from .interpreter import ensure_torch
from .messages import Messages
from .parameters import Selection
from .runs import Run, RunListener

_FULL = 1000


class RunSection(RunListener):
    """Starts runs, shows the one at work and those that wait, cancels, and tells how each ended.

    Parameters
    ----------
    obstacle : returns why nothing can be segmented now, or "".
    request : returns what the person asks for.
    offer_result : shows a new result's segmentation node unless the person has turned elsewhere; returns whether.
    show_result : shows one in any case.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        selection: Selection,
        messages: Messages,
        obstacle: Callable[[], str],
        request: Callable[[], SegmentRequest],
        offer_result: Callable[[Any], bool],
        show_result: Callable[[Any], None],
    ) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._obstacle_of_input, self._request = obstacle, request
        self._offer_result, self._show_result = offer_result, show_result
        self._runs: dict[str, Run] = {}  # until they have ended: the logic forgets them a moment earlier
        self._ui.segmentButton.clicked.connect(self.start)
        self._ui.cancelButton.clicked.connect(self._on_cancel)
        self.update()

    def start(self) -> None:
        """Segment the selected volume."""
        obstacle = self._obstacle()
        self._messages.clear()
        if obstacle:
            self._messages.show(obstacle, is_error=True)
            return
        self._start(self._selection.volume, self._request())

    def _start(self, volume: slicer.vtkMRMLScalarVolumeNode, request: SegmentRequest) -> None:
        """Segment a volume as it was asked for; first ask for PyTorch where it is missing."""
        subject = _subject(volume)
        self._messages.clear(subject)
        if volume.GetScene() is None:
            self._messages.show(_("The volume is no longer in the scene."), is_error=True)
            return
        try:
            ensure_torch()
            self._logic.startRun(volume, request)
        except Exception as error:
            self._messages.report(error, retry=lambda: self._start(volume, request), subject=subject, node=volume)
        self.update()

    # --- RunListener: one line a run, which no other run's words erase ---

    def on_state_changed(self, event: StateChanged) -> None:
        """Show it, and tell it if the run was cancelled."""
        if event.state is State.QUEUED:
            self._runs.update({run.job: run for run in self._logic.unfinishedRuns()})
        elif event.state is State.CANCELLED and (run := self._runs.pop(event.job, None)) is not None:
            text = f"{run.volume_node.GetName()}: {Cancelled().message}"
            self._messages.show(text, subject=_subject(run.volume_node), node=run.volume_node)
        self.update()

    def on_progress(self, event: Progressed) -> None:
        """Show it."""
        self.update()

    def on_tick(self) -> None:
        """Show how long the run has taken."""
        self.update()

    def on_warning(self, event: Warned) -> None:
        """Tell what is about the worker; what is about a run comes with its result."""
        if event.job is None:
            self._messages.show(event.text, subject="worker", has_details=True)

    def on_result(self, event: ResultReady) -> None:
        """Show the result unless the person has turned elsewhere, and tell of it."""
        self._runs.pop(event.job, None)
        result = event.result
        segmentation, volume = result.nodes.segmentation, result.nodes.volume
        give_own_color(result.nodes)
        is_shown = self._offer_result(segmentation)
        where = result.device_name or result.device
        done = _("{volume}: done in {seconds:.1f} s on {device}, as {result}.").format(
            volume=volume.GetName(), seconds=result.timings.get("total") or 0.0, device=where,
            result=segmentation.GetName(),
        )  # fmt: skip
        action = None if is_shown else (_("Show it"), lambda: self._show_result(segmentation))
        warnings = [text for text in result.warnings if text not in done]
        self._messages.show("\n".join([done, *warnings]), subject=_subject(volume), node=segmentation, action=action)

    def on_failure(self, event: Failed) -> None:
        """Tell why, and offer to try again."""
        run = self._runs.pop(event.job, None)
        if run is None:  # its volume is unknown: a run of a panel that was reloaded meanwhile
            self._messages.report(event.error, has_details=True, folder=event.folder)
            return
        volume, request = run.volume_node, run.request
        error = event.error
        text = f"{volume.GetName()}: {error}"
        self._messages.show(
            text, subject=_subject(volume), is_error=True, retry=lambda: self._start(volume, request), has_details=True,
            folder=event.folder,
        )  # fmt: skip

    # --- What the person sees ---

    def update(self) -> None:
        """Show whether a run can start, how far the one at work is, and which wait."""
        obstacle = self._obstacle()
        self._ui.segmentButton.enabled = not obstacle
        self._ui.segmentButton.toolTip = obstacle or _("Segment the pancreas on the selected volume.")
        runs = self._logic.unfinishedRuns()
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
        if self._selection.parameters is None:
            return _("The scene is being closed.")
        if self._obstacle_of_input():
            return self._obstacle_of_input()
        if any(run.volume_node is self._selection.volume for run in self._logic.unfinishedRuns()):
            return _("This volume is being segmented. Cancel that run, or choose another volume.")
        return ""

    def _describe(self, run: Run) -> str:
        if run.state is State.CANCELLING:
            stage = _("Cancelling")
        elif run.state is State.IMPORTING:
            stage = _("Bringing the result into the scene")
        elif run.state is State.RUNNING and not run.stage:
            stage = _("Starting the background process")
        else:
            stage = run.stage or _("Preparing")
        elapsed = _("{seconds} s").format(seconds=int(time.monotonic() - run.started))
        device = self._logic.deviceName(run.request.device)
        return " · ".join(part for part in (run.volume_node.GetName(), stage, elapsed, device) if part)

    def _on_cancel(self) -> None:
        runs = self._logic.unfinishedRuns()
        if runs:
            self._logic.cancel(runs[0].job)
        self.update()


def _subject(volume: slicer.vtkMRMLScalarVolumeNode) -> tuple[str, str]:
    """Return what messages about runs on a volume are about: one line for each CT."""
    return "run", volume.GetID() or volume.GetName()
