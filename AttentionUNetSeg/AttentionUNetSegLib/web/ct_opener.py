"""From a file, a folder, an upload or a phantom to the CT in the views."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from ..errors import BadInput
from ..imaging import Volume
from ..imaging.plain_name import printable_name
from ..phantom import make_phantom
from ..scene import add_volume
from ..worker.reading import Reader
from .background import cancellable, in_background, read_in_background
from .questions import Questions
from .received_files import Choice, ReceivedFiles, as_table, choices_in
from .uploads import display_name, name_of_volume, unpack, without_our_names
from .workspace import Workspace

# Coarser than the command line's: it is there in seconds, and the network works at 3 mm anyway.
PHANTOM_SPACING_MM = (1.2, 1.2, 2.5)


@dataclass(frozen=True)
class _Offered:
    """What a person may choose from. `received` is deleted when they have; None where the files are their own."""

    choices: list[Choice]
    name: str
    received: ReceivedFiles | None


class CTOpener:
    """Opens one CT at a time; the one before, and its result, leave the scene.

    State: `opening` (a sentence while something is being opened, else ""), `volume_name`, `volume_details`,
    `volume_is_phantom`, `series` (choices where several CTs came: value, title, details).

    Parameters
    ----------
    workspace : where the CT goes.
    questions : asked before corrections are lost.
    limit_mb : of what an archive holds.
    on_opened : called when another CT is in the views.
    may_open : whether this is a moment to open another one.
    """

    def __init__(
        self,
        workspace: Workspace,
        questions: Questions,
        limit_mb: int,
        on_opened: Callable[[], None],
        may_open: Callable[[], bool],
    ) -> None:
        self._workspace = workspace
        self._questions = questions
        self._limit_mb = limit_mb
        self._on_opened = on_opened
        self._may_open = may_open
        self._seed = 0
        self._offered: _Offered | None = None
        self._task: asyncio.Task[None] | None = None
        self._source: Path | None = None
        self._reader = Reader()
        workspace.server.state.update(
            {
                "opening": "",
                "volume_name": "",
                "volume_details": "",
                "volume_is_phantom": False,
                "series": [],
            }
        )
        controller = workspace.server.controller
        controller.add("open_phantom")(self.open_phantom)
        controller.add("open_series")(self.open_series)
        controller.add("forget_series")(self.forget_series)
        workspace.server.trigger("cancel_opening")(self.cancel)

    async def open_upload(self, path: Path, sent_name: str) -> None:
        """Open a file that the page sent; it is deleted afterwards. Asks first where corrections would be lost."""
        if not self.is_idle():
            _delete(path)
            return
        self._questions.ask_before_losing(
            "Open another CT",
            lambda: self.run(self._open_upload(path, sent_name)),
            on_no=lambda: _delete(path),
        )

    def open_path(self, path: Path, series: str | None = None) -> None:
        """Open a file or folder of the person's own, named at the start."""
        self.run(self._read(path, printable_name(path), series, is_ours=False))

    def open_phantom(self) -> None:
        """Draw a synthetic CT and open it; every call draws another one."""
        if self.is_idle():
            self._questions.ask_before_losing("Open a phantom", lambda: self.run(self._draw_phantom()))

    def open_series(self, value: int) -> None:
        """Open one of the offered series and files."""
        if self._offered is None or not self.is_idle() or not 0 <= value < len(self._offered.choices):
            return
        offered, self._offered = self._offered, None
        self._workspace.show(series=[])
        self.run(self._read_choice(offered.choices[value], offered.name, offered.received))

    def forget_series(self) -> None:
        """Open none of what is offered."""
        offered, self._offered = self._offered, None
        if offered is not None and offered.received is not None:
            offered.received.delete()
        self._workspace.show(series=[])

    def is_idle(self) -> bool:
        """Whether something can be opened now; where not, the person is told why."""
        if self._workspace.server.state.opening:
            return False
        if not self._may_open():
            self._workspace.notice(
                "warning", "", "Wait for the segmentation to end, or cancel it, before opening a CT."
            )
            return False
        return True

    async def open_files(self, received: ReceivedFiles, sent_name: str) -> None:
        """Open what is a CT among the files of a folder that the page sent."""
        if not self.is_idle():
            received.delete()
            return
        self._questions.ask_before_losing(
            "Open another CT",
            lambda: self.run(self._choose_and_read(received, display_name(sent_name))),
            on_no=received.delete,
        )

    def cancel(self) -> None:
        """Give up what is being opened: a process that reads is killed, an archive or a folder left at once."""
        if self._task is not None:
            self._task.cancel()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Open something in the background; `cancel` gives it up."""
        # From now on, not from its first step on: what a person does at once must find that something is being opened.
        self._begin("Opening")
        task = self._task = self._workspace.start(work)
        task.add_done_callback(lambda ended: self._end() if ended is self._task else None)

    async def _open_upload(self, path: Path, sent_name: str) -> None:
        name = name_of_volume(sent_name)
        if path.suffix != ".zip":
            await self._read(path, name, None, is_ours=True)
            return
        self._begin(f"Unpacking {name}")
        try:
            received = await cancellable(unpack, path, sent_name, self._limit_mb)
        except BaseException:
            self._end()
            raise
        await self._choose_and_read(received, name)

    async def _choose_and_read(self, received: ReceivedFiles, name: str) -> None:
        """Read the one CT among received files, or ask which of several."""
        self._begin(f"Looking through {name}")
        try:
            choices = await cancellable(choices_in, received.folder, received.names)
        except BaseException as error:
            received.delete()
            self._end()
            if isinstance(error, BadInput):
                raise _in_senders_names(error, received.folder, name, received) from error
            raise
        if len(choices) == 1:
            await self._read_choice(choices[0], name, received)
            return
        self._end()
        self._offer(_Offered(choices, name, received))

    async def _read_choice(self, choice: Choice, name: str, received: ReceivedFiles | None) -> None:
        if received is not None and choice.path.is_file():
            name = name_of_volume(received.names.get(choice.path.name, name))
        await self._read(choice.path, name, choice.series, is_ours=received is not None, received=received)

    def _offer(self, offered: _Offered) -> None:
        self._offered = offered
        self._workspace.show(series=as_table(offered.choices))

    async def _read(
        self, path: Path, name: str, series: str | None, is_ours: bool, received: ReceivedFiles | None = None
    ) -> None:
        """Read and show; what is ours is deleted afterwards, but for the DICOM files that a result refers to."""
        self._begin(f"Reading {name}")
        keep = False
        try:
            if path.is_dir() and series is None:
                choices = await cancellable(choices_in, path, None)
                if len(choices) > 1:
                    self._offer(_Offered(choices, name, None))
                    return
            # A header may name what was sent beside it, by a plain name; with nothing beside it, all is inside.
            alone = is_ours and path.is_file() and len(os.listdir(path.parent)) == 1
            volume = await read_in_background(self._reader, path, series, self_contained=alone)
            keep = is_ours and bool(volume.dicom_files)
            if is_ours and (path.is_file() or volume.name == path.name):  # a series without description has our name
                volume = dataclasses.replace(volume, name=name)
            if received is not None:
                volume = dataclasses.replace(volume, warnings=tuple(map(received.in_senders_names, volume.warnings)))
            await self._show(volume)
            if keep:
                self._source = path
        except BadInput as error:
            raise _in_senders_names(error, path, name, received) if is_ours else error from error
        finally:
            self._end()
            if is_ours and not (keep and self._source == path):
                _delete(path)
                if received is not None:
                    received.delete()

    async def _draw_phantom(self) -> None:
        self._seed += 1
        self._begin("Drawing a phantom")
        try:
            phantom = await in_background(make_phantom, self._seed, PHANTOM_SPACING_MM)
            await self._show(Volume(phantom.ct, f"Phantom {self._seed}", is_phantom=True))
        finally:
            self._end()

    async def _show(self, volume: Volume) -> None:
        workspace = self._workspace
        self._begin(f"Showing {volume.name}")
        await workspace.breathe()
        self.forget_series()
        workspace.clear_notices()
        workspace.result, workspace.editor = None, None
        workspace.dicom_files = volume.dicom_files
        if self._source is not None:
            _delete(self._source)
            self._source = None
        workspace.scene.Clear(False)
        self.show_volume(add_volume(workspace.scene, volume), volume.is_phantom)
        for text in volume.warnings:
            workspace.notice("warning", text, "About this CT")
        self._on_opened()

    def show_volume(self, node: slicer.vtkMRMLScalarVolumeNode, is_phantom: bool = False) -> None:
        """Make a volume of the scene the CT that is open."""
        workspace = self._workspace
        workspace.volume = node
        workspace.views.show_volume(node)
        size, spacing = node.GetImageData().GetDimensions(), node.GetSpacing()
        workspace.show(
            volume_name=node.GetName(),
            can_save_seg=bool(workspace.dicom_files),
            volume_is_phantom=is_phantom,
            volume_details=f"{' × '.join(map(str, size))} voxels of {' × '.join(f'{each:.3g}' for each in spacing)} mm",
        )

    def _begin(self, sentence: str) -> None:
        self._workspace.show(opening=sentence)

    def _end(self) -> None:
        self._workspace.show(opening="")


def _in_senders_names(error: BadInput, path: Path, name: str, received: ReceivedFiles | None) -> BadInput:
    renamed = without_our_names(error, path, name)
    if received is None:
        return renamed
    return BadInput(received.in_senders_names(renamed.message), received.in_senders_names(renamed.hint))


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
