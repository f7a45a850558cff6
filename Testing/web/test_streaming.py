"""When a stream sends pictures, and that it ends at every moment; tests in a browser see what a real view draws."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from AttentionUNetSegLib.web.streaming import LONGEST_WAIT_SECONDS, STILL_AFTER_SECONDS, Geometry, ViewStream


class GreyWindow:
    """A window without OpenGL, whose context could not leave the thread that all other tests draw in."""

    def draw(self):
        return np.full((8, 16, 3), 127, np.uint8), Geometry(16, 8)


def in_a_loop(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in a thread of its own: Playwright's event loop holds this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(asyncio.wait_for(work(), 30))).result()


def test_a_moving_view_is_sent_rough_and_a_resting_one_exact():
    async def stream() -> list[str]:
        sent: list[str] = []
        view = ViewStream(GreyWindow(), lambda content, meta: sent.append(meta["type"]))
        view.schedule_render()
        while len(sent) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * STILL_AFTER_SECONDS)
        await view.close()
        return sent

    assert in_a_loop(stream) == ["image/jpeg", "image/png"]


@pytest.mark.parametrize("steps", range(6))
def test_a_view_asked_for_as_it_is_closed_still_closes(steps):
    """The request comes any number of steps of the event loop before the end."""

    async def stream() -> None:
        pictures: asyncio.Queue = asyncio.Queue()
        view = ViewStream(GreyWindow(), lambda content, meta: pictures.put_nowait(meta))
        view.schedule_render()
        await pictures.get()
        await asyncio.sleep(STILL_AFTER_SECONDS / 2)  # now it waits for a change
        view.schedule_render()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(view.close(), 10)

    in_a_loop(stream)


def test_a_page_that_is_still_busy_with_a_picture_is_sent_no_other():
    async def stream() -> list[int]:
        sent: list[int] = []
        view = ViewStream(GreyWindow(), lambda content, meta: sent.append(meta["number"]))
        asked = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < asked + LONGEST_WAIT_SECONDS / 2:
            view.schedule_render()
            await asyncio.sleep(0.01)
        waiting = list(sent)
        view.acknowledge(1)
        while len(sent) == len(waiting):
            view.schedule_render()
            await asyncio.sleep(0.01)
        await view.close()
        return waiting

    assert in_a_loop(stream) == [1]


def test_a_place_in_a_picture_is_a_place_in_the_slice():
    to_ras = np.diag([0.5, 2.0, 1.0, 1.0])
    to_ras[:3, 3] = 10.0, 20.0, 30.0
    picture = Geometry(100, 50, to_ras)
    assert picture.position(0.005, 0.99) == pytest.approx((10.0, 20.0, 30.0))  # the middle of the pixel at lower left
    assert picture.position(1.0, 0.0) == pytest.approx((10.0 + 0.5 * 99.5, 20.0 + 2 * 49.5, 30.0))
    assert Geometry(100, 50).position(0.5, 0.5) is None
