"""Slicer views as pictures in a page: rough (JPEG) while they change, exact (PNG) as soon as they rest.

One picture of a view is under way at a time: a slow browser or machine sees fewer pictures, never old ones. One view is
drawn at a time too, and its picture sent before the next is drawn: what changed first is seen first. Every picture has
a number and keeps its geometry for a while: what a person clicks on is the picture that they saw, whatever the view
shows by then.
"""

from __future__ import annotations

import asyncio
import heapq
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import slicer
from PIL import Image
from trame_slicer.views import AbstractView, ScheduledRenderStrategy
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkCommonDataModel import vtkImageData

PICTURES_PER_SECOND = 25.0
STILL_AFTER_SECONDS = 0.2
# A page that does not say that it shows a picture (it is in the background) holds nobody up for longer.
LONGEST_WAIT_SECONDS = 0.3
MOVING_QUALITY = 75
_PICTURES_REMEMBERED = 64
SMALLEST_SIDE, LARGEST_SIDE = 10, 8192


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a picture lay.

    xy_to_ras : of a slice view, 4 by 4, from pixels (x to the right, y up from the lowest row) to world RAS in mm.
    """

    width: int
    height: int
    xy_to_ras: np.ndarray | None = None

    def position(self, from_left: float, from_top: float) -> tuple[float, float, float] | None:
        """Return the world RAS position (mm) of a place in a slice's picture, in fractions of its width and height."""
        if self.xy_to_ras is None:
            return None
        # Slicer samples at whole XY, which is in the middle of a pixel on the screen.
        xy = np.array([from_left * self.width - 0.5, (1.0 - from_top) * self.height - 0.5, 0.0, 1.0])
        right, anterior, superior = (float(value) for value in (self.xy_to_ras @ xy)[:3])
        return right, anterior, superior


class ViewWindow:
    """A view's render window: it is drawn, resized, and hears of mouse and keys.

    Parameters
    ----------
    view : the Slicer view.
    resizing : makes a context that the window gets another size in.
    """

    def __init__(self, view: AbstractView, resizing: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._view = view
        self._resizing = resizing
        self._image = vtkImageData()
        view.interactor().EnableRenderOff()
        view.render_window().ShowWindowOff()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._view.render_window().GetSize()

    def draw(self) -> tuple[np.ndarray, Geometry]:
        """Draw the view now; return RGB uint8 (rows from the top, columns, 3), and where it lies."""
        node = self._view.get_view_node()
        matrix = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()) if node.IsA("vtkMRMLSliceNode") else None
        self._view.render_window().Render()
        # Unlike vtkWindowToImageFilter this touches neither renderers nor cameras.
        slicer.vtkMRMLLayerDisplayableManager.RenderWindowBufferToImage(self._view.render_window(), self._image)
        width, height, _ = self._image.GetDimensions()
        pixels = vtk_to_numpy(self._image.GetPointData().GetScalars()).reshape(height, width, -1)
        return pixels[::-1, :, :3].copy(), Geometry(width, height, matrix)

    def resize(self, width: int, height: int) -> None:
        """Follow the size of the pane in a page, in pixels."""
        size = tuple(min(max(int(side), SMALLEST_SIDE), LARGEST_SIDE) for side in (width, height))
        if size != tuple(self.size):
            with self._resizing():
                self._view.interactor().UpdateSize(*size)
                self._view.interactor().InvokeEvent(vtkCommand.WindowResizeEvent)
            self._view.schedule_render()

    def interact(self, event: dict[str, Any]) -> None:
        """Pass on what the mouse did: `type`, `x` and `y` (pixels from the lower left), `shiftKey`, `controlKey`."""
        interactor = self._view.interactor()
        interactor.SetEventInformation(event["x"], event["y"], event["controlKey"], event["shiftKey"])
        interactor.SetAltKey(event["altKey"])
        interactor.InvokeEvent(f"{event['type']}Event")


class Turns:
    """Lets one view at a time draw and send: those of the lowest rank first, of these the one that waits longest."""

    def __init__(self) -> None:
        self._is_taken = False
        self._numbers = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def of(self, rank: int) -> AsyncIterator[None]:
        """Make a context for what one view does in its turn."""
        if self._is_taken:
            mine = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (rank, next(self._numbers), mine))
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._pass_on()
                raise
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, next_one = heapq.heappop(self._waiting)
            if not next_one.done():
                next_one.set_result(None)  # the turn stays taken until it wakes
                return
        self._is_taken = False


class ViewStream(ScheduledRenderStrategy):
    """Draws a view when it asks for it and sends the pictures.

    Needs a running asyncio loop.

    Parameters
    ----------
    window : what is drawn.
    send : takes each encoded picture, and what is to be known of it (type, number, width, height, matrix).
    turns : shared by the views of a page; `rank` says who goes first.
    """

    def __init__(
        self,
        window: ViewWindow,
        send: Callable[[bytes, dict[str, Any]], None],
        turns: Turns | None = None,
        rank: int = 0,
    ) -> None:
        super().__init__()
        self._turns, self._rank = turns or Turns(), rank
        self._window = window
        self._send = send
        self._numbers = count(1)
        self._geometries: dict[int, Geometry] = {}
        self._shown = asyncio.Event()
        self._shown.set()
        self._latest = 0
        self._wanted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def schedule_render(self) -> None:
        """Ask for a picture; any number of requests until it is drawn cost one."""
        self._wanted.set()

    def geometry(self, number: int) -> Geometry | None:
        """Return where the picture of this number lay; None where that is too long ago."""
        return self._geometries.get(number)

    def acknowledge(self, number: int) -> None:
        """Take a page's word that it shows the picture."""
        if number >= self._latest:
            self._shown.set()

    async def close(self) -> None:
        """Stop drawing."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            started = time.monotonic()
            async with self._turns.of(self._rank):
                pixels, geometry = self._window.draw()
                content = await _encoded(pixels, is_still=False)
                is_sent = self._shown.is_set()
                if is_sent:
                    self._tell(content, geometry, is_still=False)
                    await asyncio.sleep(0.001)  # in which it goes out
            if not is_sent:
                await self._push(content, geometry, is_still=False)
            await asyncio.sleep(max(0.0, 1.0 / PICTURES_PER_SECOND - (time.monotonic() - started)))
            if not await self._happens_within(STILL_AFTER_SECONDS, self._wanted):
                await self._push(await _encoded(pixels, is_still=True), geometry, is_still=True)

    async def _push(self, content: bytes, geometry: Geometry, is_still: bool) -> None:
        await self._happens_within(LONGEST_WAIT_SECONDS, self._shown)
        self._tell(content, geometry, is_still)

    def _tell(self, content: bytes, geometry: Geometry, is_still: bool) -> None:
        self._shown.clear()
        self._latest = number = next(self._numbers)
        self._geometries[number] = geometry
        self._geometries.pop(number - _PICTURES_REMEMBERED, None)
        matrix = geometry.xy_to_ras
        self._send(
            content,
            {
                "type": "image/png" if is_still else "image/jpeg",
                "number": number,
                "width": geometry.width,
                "height": geometry.height,
                "matrix": None if matrix is None else matrix.ravel().tolist(),
            },
        )

    async def _happens_within(self, seconds: float, event: asyncio.Event) -> bool:
        # Before Python 3.12 asyncio.wait_for loses a cancellation that comes with the change: close() would never end.
        if not event.is_set():
            change = asyncio.ensure_future(event.wait())
            try:
                await asyncio.wait({change}, timeout=seconds)
            finally:
                change.cancel()
        return event.is_set()


async def _encoded(pixels: np.ndarray, is_still: bool) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, _encode, pixels, is_still)


def _encode(pixels: np.ndarray, is_still: bool) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if is_still:
        image.save(file, "png", compress_level=1)
    else:
        image.save(file, "jpeg", quality=MOVING_QUALITY)
    return file.getvalue()
