"""How long steps take, and how much of that is waiting for patches: whether a GPU is fed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

RECENT = 50
# From here on the sentence at the end says what to do.
MUCH_WAITING = 0.1


class StepTimes:
    """Stop watch for the two halves of a step: waiting for its patches, and the step itself.

    Attributes
    ----------
    steps : counted since the process began, not since the run did.
    waiting_seconds, stepping_seconds : in all.
    """

    def __init__(self) -> None:
        self.steps, self.waiting_seconds, self.stepping_seconds = 0, 0.0, 0.0
        self._waited = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the block waits for the patches of a step."""
        begun = time.perf_counter()
        yield
        self._waited = time.perf_counter() - begun
        self.waiting_seconds += self._waited

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """While the block does the step that was waited for."""
        begun = time.perf_counter()
        yield
        stepped = time.perf_counter() - begun
        self.stepping_seconds += stepped
        self._recent.append((stepped + self._waited, self._waited))
        self.steps += 1

    @property
    def last(self) -> tuple[float, float]:
        """Seconds of the last step, waiting included, and those of waiting."""
        return self._recent[-1]

    @property
    def recent(self) -> tuple[float, float]:
        """Mean seconds of the last 50 steps, waiting included, and the share (0..1) of waiting."""
        whole, waited = (sum(column) for column in zip(*self._recent, strict=True))
        return whole / len(self._recent), waited / max(whole, 1e-9)

    def sentence(self) -> str:
        """What all steps took, and what to do about much waiting."""
        whole = self.waiting_seconds + self.stepping_seconds
        share = self.waiting_seconds / max(whole, 1e-9)
        advice = " More --workers may help." if share > MUCH_WAITING else ""
        return (
            f"{self.steps} steps took {whole / max(self.steps, 1):.3g} s each; {share:.0%} of that was waiting for "
            f"patches.{advice}"
        )
