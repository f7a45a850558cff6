"""The event loop: what is due when somebody calls `slicer.app.processEvents()`. Time is real, so workers are too."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from .signals import call


class EventLoop:
    """Posted calls, timers, objects to delete, and sources (processes) that are asked whether something came.

    Timers and sources are held weakly: what Python forgets, PythonQt deletes, and then nothing comes any more.
    """

    def __init__(self) -> None:
        self._posted: deque[Callable[[], object]] = deque()
        self._timers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._sources: weakref.WeakSet[Any] = weakref.WeakSet()

    def post(self, what: Callable[[], object]) -> None:
        """Call it when events are processed next."""
        self._posted.append(what)

    def watch_timer(self, timer: Any) -> None:
        """Ask `timer.is_due(now)` from now on, and `timer.fire()` it."""
        self._timers.add(timer)

    def watch_source(self, source: Any) -> None:
        """Call `source.deliver()` whenever events are processed."""
        self._sources.add(source)

    def process(self) -> None:
        """Deliver what is due now; what that brings about comes with the next call, or posted events at once."""
        for source in list(self._sources):
            source.deliver()
        for _ in range(len(self._posted)):
            if self._posted:  # a nested call may have been faster
                self._posted.popleft()()
        now = time.monotonic()
        for timer in list(self._timers):
            if timer.is_due(now):
                timer.fire()

    def clear(self) -> None:
        """Forget everything, between tests."""
        self._posted.clear()
        self._timers.clear()
        self._sources.clear()


loop = EventLoop()


def call_later(milliseconds: int, receiver: Callable[..., object]) -> None:
    """Call once, as QTimer.singleShot does; the loop keeps the callable."""
    due = time.monotonic() + milliseconds / 1000

    def wait() -> None:
        if time.monotonic() >= due:
            call(receiver)
        else:
            loop.post(wait)

    loop.post(wait)


def process_until(condition: Callable[[], object], seconds: float = 60.0, what: str = "the condition") -> None:
    """Process events until the condition holds.

    Raises
    ------
    AssertionError : it does not within `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds:g} s.")
        loop.process()
        time.sleep(0.002)
