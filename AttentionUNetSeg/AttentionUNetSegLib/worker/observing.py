"""What a running job shows of itself, as events, and how it learns that it should stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import Cancelled
from .protocol import Event, Log, Progress

SECONDS_BETWEEN_PROGRESS = 0.05


class JobObserver:
    """The `inference.Observer` of one job: sends `Progress` and `Log` events, and holds the flag that cancels it.

    Progress never falls and comes about 20 times a second at most; the first, the last (1.0) and every new stage are
    always sent. `cancel` may be called from any thread, everything else is for the thread that runs the job.
    """

    def __init__(self, job: str, send: Callable[[Event], None]) -> None:
        self._job = job
        self._send = send
        self._cancel = threading.Event()
        self._started = time.monotonic()
        self._sent_at = float("-inf")
        self._fraction = 0.0
        self._stage = ""

    def begin(self) -> None:
        """Start the job's clock and show that it runs."""
        self._started = time.monotonic()
        self.progress(0.0, "Starting")

    def progress(self, fraction: float, stage: str) -> None:
        """Show that `fraction` (0..1) of the job is done and what it does now."""
        now = time.monotonic()
        is_news = stage != self._stage or (fraction >= 1.0 > self._fraction)
        self._fraction = min(max(fraction, self._fraction), 1.0)
        self._stage = stage
        if is_news or now - self._sent_at >= SECONDS_BETWEEN_PROGRESS:
            self._sent_at = now
            self._send(Progress(self._job, self._fraction, stage, round(now - self._started, 3)))

    def warning(self, message: str) -> None:
        """Show one sentence that the person should read."""
        self._send(Log("warning", message, self._job))

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._cancel.set()

    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancel.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled if the job should stop."""
        if self.cancelled():
            raise Cancelled
