"""Choosing a model, starting and cancelling a run, and what the page shows while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..models import Catalogue, ModelPackage, measured_line, model_card
from ..session import (
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    Session,
    SessionListener,
    State,
    StateChanged,
    Warned,
    WorkerReady,
)
from .questions import Questions
from .workspace import Workspace

_PUMP_SECONDS = 0.03
_AT_WORK = {State.QUEUED, State.PREPARING, State.RUNNING, State.IMPORTING, State.CANCELLING}


class SegmentationRun(SessionListener):
    """One run at a time, in a session with one warm worker.

    State: `models` (choices: value, title), `model`, `model_note` (one line about it), `model_card` (all about it,
    in sections), `tta`, `device_name`, `run` ("", "starting", "running", "cancelling"), `progress` (0..100), `stage`.

    Parameters
    ----------
    workspace : whose volume is segmented.
    catalogue : where the models are.
    questions : asked before corrections are lost.
    on_result : called with each result.
    model : id of the model to begin with; None: the default.
    """

    def __init__(
        self,
        workspace: Workspace,
        catalogue: Catalogue,
        questions: Questions,
        on_result: Callable[[ResultReady], None],
        model: str | None = None,
    ) -> None:
        self._workspace = workspace
        self._questions = questions
        self._catalogue = catalogue
        self._on_result = on_result
        self._job: str | None = None
        self._is_called_off = False
        self._session = Session(catalogue, listener=self)
        workspace.server.state.update(
            {
                "model": None,
                "model_note": "",
                "model_card": [],
                "device_name": "",
                "tta": False,
                "run": "",
                "progress": 0,
                "stage": "",
            }
        )
        self._list_models(model)
        workspace.server.controller.add("segment")(self.segment)
        workspace.server.controller.add("cancel")(self.cancel)
        workspace.server.state.change("model")(lambda **state: self._describe_model())

    @property
    def is_at_work(self) -> bool:
        """Whether a run is going on."""
        return self._workspace.server.state.run != ""

    def start_worker(self) -> None:
        """Start the worker, so that it loads torch and the chosen model while the person still looks."""
        self._session.start_worker(self._workspace.server.state.model)

    def close(self) -> None:
        """Stop the run and end the worker."""
        self._session.close()

    def segment(self) -> None:
        """Start a run, unless one is going on or there is nothing to segment; ask first where corrections would go."""
        if self._may_start():
            self._is_called_off = False
            self._questions.ask_before_losing("Segment again", self._start)

    def _may_start(self) -> bool:
        state = self._workspace.server.state
        return not (self.is_at_work or state.opening or self._workspace.volume is None or state.model is None)

    def _start(self) -> None:
        if self._may_start():
            self._workspace.clear_notices()
            self._workspace.show(run="starting", progress=0, stage="Preparing")
            self._workspace.start(self._segment(self._workspace.server.state.model))

    def cancel(self) -> None:
        """Stop the run."""
        if self._job is not None:
            self._session.cancel(self._job)
        else:
            self._is_called_off = True  # asked for, but the session does not know it yet

    async def pump(self) -> None:
        """Deliver what the worker says, for as long as the server lives."""
        while True:
            with self._workspace.reporting():
                self._session.pump()
            await asyncio.sleep(_PUMP_SECONDS)

    # --- SessionListener: what the page shows ---

    def on_worker_ready(self, event: WorkerReady) -> None:
        """Name the device."""
        self._workspace.show(device_name=event.devices[0][1] if event.devices else "")

    def on_progress(self, event: Progressed) -> None:
        """Move the bar."""
        self._workspace.show(progress=round(100 * event.fraction, 1), stage=event.stage)

    def on_warning(self, event: Warned) -> None:
        """Tell it."""
        self._workspace.notice("warning", event.text)

    def on_failure(self, event: Failed) -> None:
        """Tell why."""
        self._workspace.notice("error", event.error.hint, event.error.message)

    def on_result(self, event: ResultReady) -> None:
        """Hand the result on."""
        self._on_result(event)

    def on_state_changed(self, event: StateChanged) -> None:
        """Show whether a run goes on, and remember which."""
        if event.state in _AT_WORK:
            # Before `Session.segment` has returned: its first events already need the job's name.
            self._job = event.job
            is_cancelling = event.state is State.CANCELLING
            self._workspace.show(run="cancelling" if is_cancelling else "running")
            if is_cancelling:
                self._workspace.show(stage="Cancelling")
        else:
            self._job = None
            self._workspace.show(run="", progress=0, stage="")

    async def _segment(self, model: str) -> None:
        await self._workspace.breathe()
        if self._is_called_off:
            self._workspace.show(run="", progress=0, stage="")
            return
        try:
            request = SegmentRequest(model=model, tta=bool(self._workspace.server.state.tta))
            self._session.segment(self._workspace.volume, request)
        except BaseException:
            self._workspace.show(run="")
            raise

    # --- Models ---

    def _list_models(self, wanted: str | None) -> None:
        packages = self._catalogue.packages()
        chosen = self._catalogue.get(wanted).id if packages or wanted else None
        choices = [{"value": each.id, "title": f"{each.name} {each.version}"} for each in packages]
        self._workspace.server.state.update({"models": choices, "model": chosen})
        self._describe_model()
        for broken in self._catalogue.broken():
            self._workspace.notice("warning", broken.reason, f"The model in {broken.folder} cannot be used.")

    def _describe_model(self) -> None:
        model: str | None = self._workspace.server.state.model
        if model is None:
            note = "No model is installed. Add one: attention-unet-seg models add FILE"
            self._workspace.show(model_note=note, model_card=[])
            return
        with self._workspace.reporting():
            package = self._catalogue.get(model)
            self._workspace.show(
                model_note=measured_line(package),
                model_card=_card(package),
            )


def _card(package: ModelPackage) -> list[dict[str, Any]]:
    """The model's card as sections (title, head and rows of its table, lines) for the page; the first is untitled."""
    sections: list[dict[str, Any]] = [_section("")]
    for line in model_card(package).splitlines():
        text = line.strip().replace("**", "").replace("`", "")
        if line.startswith("## "):
            sections.append(_section(text[3:]))
        elif text.startswith("|"):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            if not sections[-1]["head"]:
                sections[-1]["head"] = cells
            elif any(cell.strip("-") for cell in cells):  # not the line below the head
                sections[-1]["rows"].append(cells)
        elif text and not line.startswith("# "):
            sections[-1]["lines"].append(text.removeprefix("- "))
    return sections


def _section(title: str) -> dict[str, Any]:
    return {"title": title, "head": [], "rows": [], "lines": []}
