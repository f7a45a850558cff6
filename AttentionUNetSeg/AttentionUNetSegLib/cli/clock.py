"""Where the seconds of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by stage, and "total" since the clock was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._stages: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the block's time as this stage's, which may have several."""
        started = time.monotonic()
        yield
        self._stages[stage] = self._stages.get(stage, 0.0) + time.monotonic() - started

    @property
    def seconds(self) -> dict[str, float]:
        """The stages that have ended, and "total"."""
        return {**self._stages, "total": time.monotonic() - self._started}
