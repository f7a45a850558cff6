"""Slow work beside the event loop, in threads that can be left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..errors import Cancelled
from ..imaging import Volume
from ..worker.reading import Reader

_T = TypeVar("_T")


async def in_background(work: Callable[..., _T], *arguments: Any) -> _T:
    """Run a function in a thread of its own and return its result.

    When the waiting is cancelled the thread is left alone: a file that hangs holds up neither the page nor the end of
    the process, which asyncio's own threads would.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            tell: Callable[[], None] = partial(done.set_result, work(*arguments))
        except BaseException as raised:
            tell = partial(done.set_exception, raised)
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(lambda: None if done.done() else tell())

    threading.Thread(target=run, daemon=True, name=f"page: {work.__name__}").start()
    return await done


async def cancellable(work: Callable[..., _T], *arguments: Any) -> _T:
    """Run a function as `in_background` does, with a last argument that it calls often.

    When the waiting is cancelled, that raises Cancelled in the thread, which ends soon.
    """
    is_cancelled = threading.Event()

    def check() -> None:
        if is_cancelled.is_set():
            raise Cancelled

    try:
        return await in_background(work, *arguments, check)
    except asyncio.CancelledError:
        is_cancelled.set()
        raise


async def read_in_background(
    reader: Reader, path: Path, series: str | None = None, self_contained: bool = False
) -> Volume:
    """Read a CT in the reader's process, which is killed when the waiting is cancelled; raises as `Reader.read`."""
    try:
        return await in_background(reader.read, path, series, self_contained, reader.turn())
    except asyncio.CancelledError:
        reader.stop()
        raise
