"""Slicer views as pictures in a page: rough (JPEG) while they change, exact (PNG) as soon as they rest.

One picture of a view is under way at a time: a slow browser or machine sees fewer pictures, never old ones.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from slicer import vtkMRMLLayerDisplayableManager
from trame_rca.rca.vtk_rca import VtkRemoteControlledArea
from trame_slicer.views import AbstractView, ScheduledRenderStrategy
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkCommonDataModel import vtkImageData

PICTURES_PER_SECOND = 25.0
STILL_AFTER_SECONDS = 0.2
MOVING_QUALITY = 70


class ViewWindow(VtkRemoteControlledArea):
    """A view's render window as trame-rca drives it.

    Parameters
    ----------
    view : the Slicer view.
    on_event : called with every event of mouse and keyboard first; returns True to keep it from the view.
    on_resize : called after the window got another size.
    """

    def __init__(
        self, view: AbstractView, on_event: Callable[[dict[str, Any]], bool], on_resize: Callable[[], None]
    ) -> None:
        super().__init__(view.render_window())
        self._view = view
        self._on_event = on_event
        self._on_resize = on_resize
        self._image = vtkImageData()

    @property
    def img_cols_rows(self) -> tuple[np.ndarray, int, int]:
        """The view drawn now: RGB uint8 (rows from the top, columns, 3), its width and height."""
        self._view.render_window().Render()
        # Unlike vtkWindowToImageFilter this touches neither renderers nor cameras.
        vtkMRMLLayerDisplayableManager.RenderWindowBufferToImage(self._view.render_window(), self._image)
        width, height, _ = self._image.GetDimensions()
        picture = vtk_to_numpy(self._image.GetPointData().GetScalars()).reshape(height, width, -1)
        return picture[::-1, :, :3].copy(), width, height

    def process_resize_event(self, width: int, height: int) -> None:
        """Follow the size of the pane in the page, in pixels."""
        super().process_resize_event(width, height)
        self._view.interactor().InvokeEvent(vtkCommand.WindowResizeEvent)
        self._on_resize()

    def process_interaction_event(self, event: dict[str, Any]) -> None:
        """Pass on what mouse and keyboard did in the pane."""
        if not self._on_event(event):
            super().process_interaction_event(event)


class ViewStream(ScheduledRenderStrategy):
    """Draws a view when it asks for it and sends the pictures; trame-rca's scheduler and trame-slicer's strategy.

    Needs a running asyncio loop.
    """

    target_fps = PICTURES_PER_SECOND

    def __init__(self, window: ViewWindow) -> None:
        super().__init__()
        self.rca = window
        self._push: Callable[[bytes, dict[str, Any]], None] = lambda content, meta: None
        self._wanted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def set_push_callback(self, callback: Callable[[bytes, dict[str, Any]], None]) -> None:
        """Set what takes the encoded pictures."""
        self._push = callback

    def schedule_render(self) -> None:
        """Ask for a picture; any number of requests until it is drawn cost one."""
        self._wanted.set()

    def reset(self) -> None:
        """Send a picture to a page that has just come."""
        self.schedule_render()

    async def close(self) -> None:
        """Stop drawing."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            started = time.monotonic()
            await self._send(is_still=False)
            await asyncio.sleep(max(0.0, 1.0 / PICTURES_PER_SECOND - (time.monotonic() - started)))
            if not await self._changes_within(STILL_AFTER_SECONDS):
                await self._send(is_still=True)

    async def _changes_within(self, seconds: float) -> bool:
        # Before Python 3.12 asyncio.wait_for loses a cancellation that comes with the change: close() would never end.
        change = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({change}, timeout=seconds)
        finally:
            change.cancel()
        return self._wanted.is_set()

    async def _send(self, is_still: bool) -> None:
        self._wanted.clear()
        picture, width, height = self.rca.img_cols_rows
        content = await asyncio.get_running_loop().run_in_executor(None, _encode, picture, is_still)
        meta = {
            "type": "image/png" if is_still else "image/jpeg",
            "codec": "",
            "w": width,
            "h": height,
            "st": int(time.time() * 1000),
            "key": "key",
            "quality": 100 if is_still else MOVING_QUALITY,
        }
        self._push(content, meta)


def _encode(picture: np.ndarray, is_still: bool) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(picture)
    if is_still:
        image.save(file, "png", compress_level=1)
    else:
        image.save(file, "jpeg", quality=MOVING_QUALITY)
    return file.getvalue()
