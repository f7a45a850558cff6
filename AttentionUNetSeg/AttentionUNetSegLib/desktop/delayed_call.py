"""A call that comes a little later, and only once however often it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class DelayedCall:
    """Calls `function` with the latest arguments, `milliseconds` after the first of several requests at most."""

    def __init__(self, milliseconds: int, function: Callable[..., None]) -> None:
        self._function = function
        self._arguments: tuple[Any, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(self._call)

    def request(self, *arguments: object) -> None:
        """Call soon; while a call is due, only its arguments change."""
        self._arguments = arguments
        if not self._timer.isActive():
            self._timer.start()

    def drop(self) -> None:
        """Forget a call that is due."""
        self._timer.stop()

    def _call(self) -> None:
        self._function(*self._arguments)
