"""Long work that yields between its parts, so that an event loop can go on, and whose result is what it returns."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


def done_at_once(parts: Generator[None, None, Result]) -> Result:
    """Do all parts, one after the other, and return the result."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            result: Result = end.value
            return result
