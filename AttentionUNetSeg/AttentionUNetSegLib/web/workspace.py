"""What all parts of the page work on: one scene with its views, and the CT and the result that are open now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import slicer
from trame_server import Server
from trame_slicer.core import SlicerApp

from ..errors import AttentionUNetSegError, BadInput, Cancelled, file_refused
from ..scene import ResultNodes
from ..session.editing import ResultEditor
from .views import FourViews

_log = logging.getLogger(__name__)
_MOST_NOTICES = 3


class Workspace:
    """One scene on one page.

    State: `notices`, a list of dicts (id, kind "error" | "warning" | "success", title, text), newest last; `unsaved`,
    whether the result was corrected and not saved since.

    Attributes
    ----------
    volume : the CT that is open.
    dicom_files : those that it was read from, in the order of its slices; empty where it was no DICOM.
    result : its result, once there is one; `editor` changes it.
    folder : private and temporary: nobody else can read it, and it is removed when the server ends.
    reactions : the tasks that still bring about what controls were set to.
    """

    def __init__(self, server: Server, slicer_app: SlicerApp, folder: Path) -> None:
        self.server = server
        self.slicer_app = slicer_app
        self.folder = folder
        self.volume: slicer.vtkMRMLScalarVolumeNode | None = None
        self.result: ResultNodes | None = None
        self.editor: ResultEditor | None = None
        self.dicom_files: tuple[Path, ...] = ()
        self.views: FourViews  # made by the application, which knows who listens to them
        self._notice_ids = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.reactions: set[asyncio.Task[None]] = set()
        server.state.notices = []
        server.state.unsaved = False
        server.controller.add("dismiss_notice")(self.dismiss)
        server.trigger("settled")(self.settle)

    @property
    def scene(self) -> slicer.vtkMRMLScene:
        """The MRML scene."""
        return self.slicer_app.scene

    def require_volume(self) -> slicer.vtkMRMLScalarVolumeNode:
        """Return the CT that is open; raises BadInput where none is."""
        if self.volume is None:
            raise BadInput("No CT is open.", "Open the CT first.")
        return self.volume

    def require_result(self) -> ResultNodes:
        """Return the CT's result; raises BadInput where there is none."""
        if self.result is None:
            raise BadInput("There is no result yet.", "Segment the CT first.")
        return self.result

    def require_editor(self) -> ResultEditor:
        """Return what changes the result; raises BadInput where there is none."""
        if self.editor is None:
            raise BadInput("There is no result to correct yet.", "Segment the CT first.")
        return self.editor

    def show(self, **values: Any) -> None:
        """Write values into the page's state, at once."""
        with self.server.state as state:
            state.update(values)

    def notice(self, kind: str, text: str, title: str = "") -> None:
        """Tell the person something; it stays until they dismiss it or there are newer ones."""
        notices = [each for each in self.server.state.notices if each["text"] != text]
        notices.append({"id": next(self._notice_ids), "kind": kind, "title": title, "text": text})
        self.show(notices=notices[-_MOST_NOTICES:])

    def dismiss(self, notice_id: int) -> None:
        """Take one notice away."""
        self.show(notices=[each for each in self.server.state.notices if each["id"] != notice_id])

    def clear_notices(self) -> None:
        """Take all notices away: what they were about is over."""
        self.show(notices=[])

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn whatever goes wrong inside into a notice."""
        try:
            yield
        except Cancelled:
            pass
        except AttentionUNetSegError as error:
            self.notice("error", error.hint, error.message)
        except OSError as error:
            _log.exception("a file could not be read or written")
            refused = file_refused(error)
            self.notice("error", refused.hint, refused.message)
        except Exception as error:  # a bug; the page must go on
            _log.exception("unexpected error")
            self.notice("error", f"({type(error).__name__}: {error})", "Something unexpected went wrong.")

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background; what goes wrong in it becomes a notice."""

        async def run() -> None:
            with self.reporting():
                await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)  # asyncio itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Wait until what the person set has come about; the page does, before files go, which need no websocket."""
        while self.reactions:
            await asyncio.wait(set(self.reactions))

    async def breathe(self) -> None:
        """Let the page show what the state says before something slow keeps this thread busy."""
        await asyncio.sleep(0.03)

    async def close(self) -> None:
        """Stop what runs in the background."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.views.close()


class LatestOnly:
    """Runs a slow reaction to a fast control: once for the newest state, never once for each state on the way.

    Parameters
    ----------
    workspace : runs the reaction and reports its errors.
    react : called on the event loop.
    """

    def __init__(self, workspace: Workspace, react: Callable[[], None]) -> None:
        self._workspace = workspace
        self._react = react
        self._is_wanted = False
        self._is_running = False

    def __call__(self, **state: Any) -> None:
        """React soon; takes what trame passes to those who listen to its state."""
        self._is_wanted = True
        if not self._is_running:
            self._is_running = True
            task = self._workspace.start(self._run())
            self._workspace.reactions.add(task)
            task.add_done_callback(self._workspace.reactions.discard)

    async def _run(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                with self._workspace.reporting():
                    self._react()
                await self._workspace.breathe()  # in which all that has come meanwhile becomes one
        finally:
            self._is_running = False
