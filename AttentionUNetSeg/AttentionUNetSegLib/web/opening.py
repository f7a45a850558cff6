"""From a file, a folder, an upload or a phantom to the CT in the views."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from ..errors import BadInput
from ..imaging import DicomSeries, Volume, list_dicom_series, read_volume
from ..scene import add_volume
from ..training.phantom import make_phantom
from .desk import Desk
from .questions import Questions
from .uploads import name_of_volume, unpack

# Coarser than the command line's: it is there in seconds, and the network works at 3 mm anyway.
PHANTOM_SPACING_MM = (1.2, 1.2, 2.5)
_FEWEST_IMAGES = 8


class Opening:
    """Opens one CT at a time; the one before, and its result, leave the scene.

    State: `opening` (a sentence while something is being opened, else ""), `volume_name`, `volume_details`,
    `volume_is_phantom`, `series` (choices of a DICOM folder that holds several CTs: value, title).

    Parameters
    ----------
    desk : where the CT goes.
    questions : asked before corrections are lost.
    limit_mb : of what an archive holds.
    on_opened : called when another CT is in the views.
    may_open : whether this is a moment to open another one.
    """

    def __init__(
        self,
        desk: Desk,
        questions: Questions,
        limit_mb: int,
        on_opened: Callable[[], None],
        may_open: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._questions = questions
        self._limit_mb = limit_mb
        self._on_opened = on_opened
        self._may_open = may_open
        self._seed = 0
        self._to_choose_from: tuple[Path, str, bool] | None = None
        desk.server.state.update(
            {
                "opening": "",
                "volume_name": "",
                "volume_details": "",
                "volume_is_phantom": False,
                "series": [],
            }
        )
        controller = desk.server.controller
        controller.add("open_phantom")(self.open_phantom)
        controller.add("open_series")(self.open_series)
        controller.add("forget_series")(self.forget_series)

    async def open_upload(self, path: Path, sent_name: str) -> None:
        """Open a file that the page sent; it is deleted afterwards. Asks first where corrections would be lost."""
        if not self._is_idle():
            _delete(path)
            return
        self._questions.ask_before_losing(
            "Open another CT",
            lambda: self._desk.start(self._open_upload(path, sent_name)),
            on_no=lambda: _delete(path),
        )

    def open_path(self, path: Path, series: str | None = None) -> None:
        """Open a file or folder of the person's own, named at the start."""
        self._desk.start(self._read(path, path.name, series, is_ours=False))

    def open_phantom(self) -> None:
        """Draw a synthetic CT and open it; every call draws another one."""
        if self._is_idle():
            self._questions.ask_before_losing("Open a phantom", lambda: self._desk.start(self._draw_phantom()))

    def open_series(self, uid: str) -> None:
        """Open one series of the folder whose series are offered."""
        if self._to_choose_from and self._is_idle():
            folder, name, is_ours = self._to_choose_from
            self._to_choose_from = None
            self._desk.show(series=[])
            self._desk.start(self._read(folder, name, uid, is_ours))

    def forget_series(self) -> None:
        """Open none of the offered series."""
        if self._to_choose_from and self._to_choose_from[2]:
            _delete(self._to_choose_from[0])
        self._to_choose_from = None
        self._desk.show(series=[])

    def _is_idle(self) -> bool:
        if self._desk.server.state.opening:
            return False
        if not self._may_open():
            self._desk.notice("warning", "", "Wait for the segmentation to end, or cancel it, before opening a CT.")
            return False
        return True

    async def _open_upload(self, path: Path, sent_name: str) -> None:
        name = name_of_volume(sent_name)
        if path.suffix == ".zip":
            self._begin(f"Unpacking {name}")
            try:
                path = await asyncio.to_thread(unpack, path, sent_name, self._limit_mb)
            except BaseException:
                self._end()
                raise
        await self._read(path, name, None, is_ours=True)

    async def _read(self, path: Path, name: str, series: str | None, is_ours: bool) -> None:
        """Read and show; what is ours is deleted unless a series of it is still to be chosen."""
        self._begin(f"Reading {name}")
        keep = False
        try:
            if path.is_dir() and series is None:
                choices = [each for each in await asyncio.to_thread(list_dicom_series, path) if _is_volume(each)]
                if len(choices) > 1:
                    keep = True
                    self._to_choose_from = (path, name, is_ours)
                    self._desk.show(series=_choices(choices))
                    return
            volume = await asyncio.to_thread(read_volume, path, series)
            await self._show(dataclasses.replace(volume, name=name) if is_ours and path.is_file() else volume)
        except BadInput as error:
            raise _without_our_names(error, path, name) if is_ours else error from error
        finally:
            self._end()
            if is_ours and not keep:
                _delete(path)

    async def _draw_phantom(self) -> None:
        self._seed += 1
        self._begin("Drawing a phantom")
        try:
            phantom = await asyncio.to_thread(make_phantom, self._seed, PHANTOM_SPACING_MM)
            await self._show(Volume(phantom.ct, f"Phantom {self._seed}", is_phantom=True))
        finally:
            self._end()

    async def _show(self, volume: Volume) -> None:
        desk = self._desk
        self._begin(f"Showing {volume.name}")
        await desk.breathe()
        self.forget_series()
        desk.clear_notices()
        desk.result, desk.editor = None, None
        desk.scene.Clear(False)
        self.show_volume(add_volume(desk.scene, volume), volume.is_phantom)
        for text in volume.warnings:
            desk.notice("warning", text, "About this CT")
        self._on_opened()

    def show_volume(self, node: slicer.vtkMRMLScalarVolumeNode, is_phantom: bool = False) -> None:
        """Make a volume of the scene the CT that is open."""
        desk = self._desk
        desk.volume = node
        desk.views.show_volume(node)
        size, spacing = node.GetImageData().GetDimensions(), node.GetSpacing()
        desk.show(
            volume_name=node.GetName(),
            volume_is_phantom=is_phantom,
            volume_details=f"{' × '.join(map(str, size))} voxels of {' × '.join(f'{each:.3g}' for each in spacing)} mm",
        )

    def _begin(self, sentence: str) -> None:
        self._desk.show(opening=sentence)

    def _end(self) -> None:
        self._desk.show(opening="")


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_volume(series: DicomSeries) -> bool:
    return series.modality == "CT" and series.image_count >= _FEWEST_IMAGES


def _choices(series: list[DicomSeries]) -> list[dict[str, str]]:
    """What the page offers: titles as people know them, told apart by their UIDs where they are the same."""
    titles = [str(each) for each in series]
    return [
        {"value": each.uid, "title": title if titles.count(title) == 1 else f"{title}, UID {each.uid}"}
        for each, title in zip(series, titles, strict=True)
    ]


def _without_our_names(error: BadInput, path: Path, name: str) -> BadInput:
    """The same error about the file as the person knows it: our path says nothing to them."""

    def rename(text: Any) -> str:
        return str(text).replace(str(path), name).replace(path.name, name)

    return BadInput(rename(error.message), rename(error.hint))
