"""Bytes from a pipe to whole lines, with a bound on the length of a line."""

from __future__ import annotations

from collections.abc import Iterator

from .protocol import MAXIMUM_LINE_BYTES


class LineSplitter:
    """Collects chunks of a byte stream and gives back its lines, without their newline.

    A line above the limit is dropped as it streams in, so no peer can fill the memory; None takes its place.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_LINE_BYTES) -> None:
        self._maximum_bytes = maximum_bytes
        self._beginning = bytearray()
        self._is_too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the lines that `chunk` completes; None for one that is too long. Empty lines are skipped."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._append(end)
            line = None if self._is_too_long else bytes(self._beginning).rstrip(b"\r")
            self._beginning.clear()
            self._is_too_long = False
            if line is None or line:
                yield line
        self._append(rest)

    def _append(self, part: bytes) -> None:
        if self._is_too_long or len(self._beginning) + len(part) >= self._maximum_bytes:
            self._beginning.clear()
            self._is_too_long = True
        else:
            self._beginning += part
