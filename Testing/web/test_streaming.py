"""When a stream sends pictures, and that it ends at every moment; tests in a browser see what a real view draws."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from AttentionUNetSegLib.web.streaming import STILL_AFTER_SECONDS, ViewStream


class GreyWindow:
    """A window without OpenGL, whose context could not leave the thread that all other tests draw in."""

    img_cols_rows = np.full((8, 16, 3), 127, np.uint8), 16, 8


def in_a_loop(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in a thread of its own: Playwright's event loop holds this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(asyncio.wait_for(work(), 30))).result()


def test_a_moving_view_is_sent_rough_and_a_resting_one_exact():
    async def stream() -> list[str]:
        view = ViewStream(GreyWindow())
        sent: list[str] = []
        view.set_push_callback(lambda content, meta: sent.append(meta["type"]))
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
        view = ViewStream(GreyWindow())
        pictures: asyncio.Queue = asyncio.Queue()
        view.set_push_callback(lambda content, meta: pictures.put_nowait(meta))
        view.schedule_render()
        await pictures.get()
        await asyncio.sleep(STILL_AFTER_SECONDS / 2)  # now it waits for a change
        view.schedule_render()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(view.close(), 10)

    in_a_loop(stream)
