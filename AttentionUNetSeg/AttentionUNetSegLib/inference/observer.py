"""How long work shows itself and is stopped."""

from __future__ import annotations

from typing import Protocol

from ..errors import Cancelled


class Observer(Protocol):
    """What the caller of a long computation sees of it. Called often, on the computing thread: keep it quick."""

    def progress(self, fraction: float, stage: str) -> None:
        """`fraction` of the whole work (0..1, never falling) is done; `stage` says in words what runs now."""

    def warning(self, message: str) -> None:
        """One sentence that the person should read; the work goes on."""

    def cancelled(self) -> bool:
        """True as soon as the work should stop; it then raises `errors.Cancelled`."""


class SilentObserver:
    """An observer for scripts: shows nothing, never cancels, collects the warnings in a list."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def progress(self, fraction: float, stage: str) -> None:
        """Nothing is shown."""

    def warning(self, message: str) -> None:
        """Kept in `warnings`."""
        self.warnings.append(message)

    def cancelled(self) -> bool:
        """Never."""
        return False


class StageProgress:
    """One stage's share of the whole work, counted in the stage's own units (for the network: multiply-adds).

    Parameters
    ----------
    observer : Observer
        Told of every step.
    stage : str
        Words for the person.
    start, stop : float
        The stage's part of the whole work, 0..1.
    total : float
        Units of the stage.
    """

    def __init__(self, observer: Observer, stage: str, start: float, stop: float, total: float = 1.0) -> None:
        self.observer, self.stage, self.start, self.stop = observer, stage, start, stop
        self.restart(total)

    def restart(self, total: float) -> None:
        """Begin again with another total, when the work had to be planned anew. The shown fraction never falls."""
        self.total, self.done = max(total, 1e-9), 0.0
        self.start = max(self.start, getattr(self, "shown", self.start))
        self.advance(0.0)

    def advance(self, units: float) -> None:
        """`units` more are done. Raises `errors.Cancelled` when the observer says so."""
        if self.observer.cancelled():
            raise Cancelled
        self.done += units
        self.shown = self.start + (self.stop - self.start) * min(self.done / self.total, 1.0)
        self.observer.progress(self.shown, self.stage)
