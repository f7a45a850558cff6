"""A stream of pictures from a real Slicer view, ended at every moment."""

from __future__ import annotations

import asyncio

import pytest
from AttentionUNetSegLib.web.streaming import STILL_AFTER_SECONDS, ViewStream, ViewWindow
from trame_slicer.core import SlicerApp
from trame_slicer.views import DirectRendering, SliceView


@pytest.fixture(scope="module")
def window() -> ViewWindow:
    app = SlicerApp()
    view = SliceView(app.scene, app.app_logic, "Red", scheduled_render_strategy=DirectRendering())
    view.render_window().SetSize(64, 64)
    return ViewWindow(view, on_event=lambda event: False, on_resize=lambda: None)


def test_a_moving_view_is_sent_rough_and_a_resting_one_exact(window):
    async def stream() -> list[str]:
        view = ViewStream(window)
        sent: list[str] = []
        view.set_push_callback(lambda content, meta: sent.append(meta["type"]))
        view.schedule_render()
        while len(sent) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * STILL_AFTER_SECONDS)
        await view.close()
        return sent

    assert asyncio.run(asyncio.wait_for(stream(), 30)) == ["image/jpeg", "image/png"]


@pytest.mark.parametrize("steps", range(6))
def test_a_view_asked_for_as_it_is_closed_still_closes(window, steps):
    """The request comes any number of steps of the event loop before the end."""

    async def stream() -> None:
        view = ViewStream(window)
        pictures: asyncio.Queue = asyncio.Queue()
        view.set_push_callback(lambda content, meta: pictures.put_nowait(meta))
        view.schedule_render()
        await pictures.get()
        await asyncio.sleep(STILL_AFTER_SECONDS / 2)  # now it waits for a change
        view.schedule_render()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(view.close(), 10)

    asyncio.run(stream())
