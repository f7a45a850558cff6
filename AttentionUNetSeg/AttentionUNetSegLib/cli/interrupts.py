"""Ctrl-C, and polite requests to end: the run unwinds and cleans up, once, and not from within a native library."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any] | int | None  # what `signal.signal` takes and returns


class Interrupts:
    """While open, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, the first of them only.

    An exception that breaks into an import, or into MRML and VTK, may be swallowed there or leave objects that crash
    when they are destroyed; `deferred` marks such parts.
    """

    def __init__(self) -> None:
        self.came = False
        self._is_deferred = False
        self._previous: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Interrupts:
        kinds = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            kinds.append(signal.SIGHUP)
        self._previous = {kind: signal.signal(kind, self._take) for kind in kinds}
        return self

    def __exit__(self, *error: object) -> None:
        for kind, handler in self._previous.items():
            signal.signal(kind, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Run the block to its end before an interrupt that comes meanwhile is raised.

        Do not return MRML objects from within the block, assign them: a value that is thrown away while an exception
        is on its way is destroyed in the middle of it, which VTK's observers do not survive.
        """
        self._raise_if_came()  # a library may have swallowed an earlier one
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        self._raise_if_came()

    def _raise_if_came(self) -> None:
        if self.came:
            raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self.came:  # later ones must not disturb the cleaning up
            self.came = True
            if not self._is_deferred:
                raise KeyboardInterrupt
