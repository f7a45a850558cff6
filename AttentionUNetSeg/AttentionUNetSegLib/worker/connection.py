"""One worker process from its start to its end: greeting, events, stderr, exit."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from typing import Protocol

from ..errors import ErrorCode, ProtocolError
from .protocol import (
    EVENTS,
    PROTOCOL_VERSION,
    Error,
    Event,
    Hello,
    Log,
    Ready,
    Request,
    Shutdown,
    decode,
    encode,
)
from .transport import ProcessExit, Transport

_KEPT_STDERR_LINES = 60


class ConnectionListener(Protocol):
    """What a connection tells its client. After `on_lost` nothing more comes."""

    def on_event(self, event: Event) -> None:
        """Take an event of the worker; the first `Ready` means that requests may be sent."""

    def on_lost(self, reason: Error, started: bool) -> None:
        """Take the end of the worker and why; `started` says whether it had been ready before."""


class WorkerConnection:
    """Starts a worker through `transport`, greets it, checks its version, and explains how it ended."""

    def __init__(self, transport: Transport, listener: ConnectionListener, start_timeout: float) -> None:
        self._transport = transport
        self._listener = listener
        self._start_timeout = start_timeout
        self._start_deadline = math.inf
        self._stderr: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self._reason: Error | None = None
        self._is_lost = False
        self.ready: Ready | None = None

    def start(self) -> None:
        """Start the process and greet it. A failure is told by `on_lost`, perhaps before this returns."""
        self._start_deadline = time.monotonic() + self._start_timeout
        self._transport.start(self)
        self.send(Hello())

    def send(self, request: Request) -> None:
        """Send one request; raises ProtocolError if it cannot be put in a line."""
        self._transport.send(encode(request))

    def pump(self, timeout: float) -> None:
        """Deliver what came, waiting `timeout` seconds at most; give up on a worker that does not start."""
        self._transport.pump(timeout)
        if self.ready is None and not self._is_lost and time.monotonic() > self._start_deadline:
            self.abandon(
                Error(
                    None,
                    ErrorCode.PROCESS_DIED,
                    f"The worker process did not answer within {self._start_timeout:g} seconds of its start.",
                    "Try again; if it stays so, look at its log.",
                )
            )

    def abandon(self, reason: Error) -> None:
        """Kill the worker and tell `on_lost` with `reason` at once."""
        self._transport.kill()
        self._lose(reason, "killed by the client")

    def discard(self) -> None:
        """Kill the worker; nothing more is told. `pump` until it is no longer running."""
        self._is_lost = True
        self._transport.kill()

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._transport.is_running

    def close(self, grace: float) -> None:
        """End the worker, politely for `grace` seconds, and wait until it is gone. Nothing more is told."""
        self._is_lost = True
        self._transport.send(encode(Shutdown()))
        self._transport.close_input()
        if not self._wait_for_end(grace):
            self._transport.kill()
            self._wait_for_end(2.0)

    # --- TransportListener ---

    def on_line(self, line: bytes | None) -> None:
        """Decode one line of stdout. Before `Ready` a launcher may print there; after it that is a fault."""
        if self._is_lost:
            return
        try:
            event = _decode_event(line)
        except ProtocolError as error:
            if self.ready is None:
                text = "" if line is None else line.decode("utf-8", "replace")
                self._stderr.append(text)
                self._listener.on_event(Log("warning", f"The worker's launcher printed: {text[:500]}"))
            else:
                message = f"The worker does not follow the protocol. {error.message}"
                self.abandon(Error(None, ErrorCode.PROTOCOL, message))
            return
        if self.ready is None and not self._is_greeting(event):
            return
        if isinstance(event, Error) and event.code is ErrorCode.INTERNAL and not event.detail:
            event = dataclasses.replace(event, detail="\n".join(self._stderr))
        self._listener.on_event(event)

    def on_stderr(self, text: str) -> None:
        """Keep the last lines for the explanation of a crash."""
        self._stderr.append(text)

    def on_exit(self, exit: ProcessExit) -> None:
        """Explain the end of the process."""
        self._lose(self._reason or self._explain(exit), exit.describe())

    # --- helpers ---

    def _is_greeting(self, event: Event) -> bool:
        """Handle what may come before `Ready`; return whether to pass it on.

        An error here means that this worker can do nothing (no PyTorch, another version of the protocol): it
        is let go by closing its stdin, so that its last words and its exit code still arrive.
        """
        if isinstance(event, Ready) and event.version == PROTOCOL_VERSION:
            self.ready = event
            return True
        if isinstance(event, Ready):
            event = _version_mismatch(event.version)
        if isinstance(event, Error):
            self._reason = self._reason or event
            self._transport.close_input()
            return False
        return True

    def _explain(self, exit: ProcessExit) -> Error:
        if self.ready is None:
            message = f"The worker process could not start: {exit.describe()}."
            hint = "Check the Python interpreter it is started with and that PyTorch can be imported there."
            if exit.code is not None and exit.code < 0:  # then it is not the interpreter's fault
                message = f"The worker process was ended while it started: {exit.describe()}."
                hint = "Try again."
        else:
            message = f"The worker process ended unexpectedly: {exit.describe()}."
            hint = "The next run starts a fresh one."
        if exit.code is not None and exit.code in (-9, 137):
            hint = "The system does this when memory runs out: close other programs or use less memory."
        return Error(None, ErrorCode.PROCESS_DIED, message, hint)

    def _lose(self, reason: Error, how_it_ended: str) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        detail = "\n".join([reason.detail or f"Worker process: {how_it_ended}.", *self._stderr])
        self._listener.on_lost(dataclasses.replace(reason, job=None, detail=detail), self.ready is not None)

    def _wait_for_end(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._transport.is_running and (left := deadline - time.monotonic()) > 0:
            self._transport.pump(left)
        return not self._transport.is_running


def _decode_event(line: bytes | None) -> Event:
    if line is None:
        raise ProtocolError("A line came that is too long.")
    message = decode(line)
    if not isinstance(message, EVENTS):
        raise ProtocolError(f"A {type(message).__name__.lower()} came, which is a request, not an event.")
    return message


def _version_mismatch(version: int) -> Error:
    message = f"The worker speaks version {version} of the protocol, this program version {PROTOCOL_VERSION}."
    hint = "They belong to different versions of AttentionUNetSeg: install one of them again."
    return Error(None, ErrorCode.PROTOCOL, message, hint)
