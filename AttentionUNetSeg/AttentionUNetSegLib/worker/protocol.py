"""The messages between a front end and the worker process: typed, closed, one JSON object a line.

A message is a frozen dataclass. On the wire it is one line of UTF-8 JSON, an object whose `type` names the
class (`segment`, `result`, ...) and whose other fields are the class's own. Nothing is guessed: unknown,
missing, repeated and wrongly typed fields, NaN and infinities are refused with a `ProtocolError` that names
the field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from ..contracts import INPUT_FILE, ModelIdentity, QualityReport, ResultFiles, RunOptions, require_plain_name
from ..errors import AttentionUNetSegError, ErrorCode, ProtocolError
from .typed_json import from_fields, to_fields

PROTOCOL_VERSION = 2
MAXIMUM_LINE_BYTES = 1024 * 1024


# --- Requests: front end -> worker ---


@dataclass(frozen=True)
class Hello:
    """Opens the conversation. The worker answers `Ready` once its libraries are loaded, or `Error`."""

    version: int = PROTOCOL_VERSION


@dataclass(frozen=True)
class Prepare:
    """Make a model (the folder of its package) ready on a device while nothing else is asked for. It has no answer.

    A job goes before it; what is wrong with the model or the device, the job that needs them says.
    """

    model: str
    device: str = "auto"


@dataclass(frozen=True)
class Segment(RunOptions):
    """Segment the CT `input` (a plain file name) of the job folder `folder` (an absolute path), with some options.

    `model` is the folder of a model package.
    """

    job: str
    folder: str
    model: str
    input: str = INPUT_FILE

    def __post_init__(self) -> None:
        _require_job(self.job, "segment")
        require_plain_name(self.input, "segment.input")
        if self.max_memory_mb is not None and self.max_memory_mb <= 0:
            raise ProtocolError("segment.max_memory_mb must be above zero.")


@dataclass(frozen=True)
class Cancel:
    """Stop the job, whether it runs or has not begun. The job then ends with `Error` `cancelled`."""

    job: str


@dataclass(frozen=True)
class Shutdown:
    """Cancel everything and end the worker process."""


# --- Events: worker -> front end ---

_NOT_ASSESSED = QualityReport()


@dataclass(frozen=True)
class Device:
    """A device a job may ask for: its identifier ("cuda") and the name people know ("NVIDIA H200")."""

    id: str
    name: str


@dataclass(frozen=True)
class Ready:
    """The worker runs: its process, interpreter, torch version and devices, and its seconds to start."""

    version: int
    pid: int
    python: str
    torch: str
    devices: tuple[Device, ...]
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far a job is: `fraction` (0..1) never falls, `elapsed` is in seconds since the job began."""

    job: str
    fraction: float
    stage: str
    elapsed: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.fraction <= 1.0:
            raise ProtocolError(f"progress.fraction must lie in 0..1, not {self.fraction}.")


@dataclass(frozen=True)
class Log:
    """Something a person may want to read; `job` says which run it is about, None: the worker itself."""

    level: Literal["info", "warning", "error"]
    text: str
    job: str | None = None


@dataclass(frozen=True)
class Result:
    """A job that succeeded: volumes in mL by label at `threshold` (0..1), timings in seconds by stage."""

    job: str
    folder: str
    files: ResultFiles
    volume_ml: dict[str, float]
    threshold: float
    timings: dict[str, float]
    device: str
    device_name: str
    model: ModelIdentity
    warnings: tuple[str, ...] = ()
    quality: QualityReport = _NOT_ASSESSED


@dataclass(frozen=True)
class Error:
    """A job that failed (`job`), or a fault of the conversation or the worker itself (`job` None).

    `message` and `hint` are sentences for people; `detail` is for developers: the worker's last log lines.
    """

    job: str | None
    code: ErrorCode
    message: str
    hint: str = ""
    detail: str = field(default="", repr=False)

    def exception(self) -> AttentionUNetSegError:
        """The exception with this code, message and hint, ready to be raised."""
        for kind in AttentionUNetSegError.__subclasses__():
            if kind.code is self.code:
                return kind(self.message, self.hint)
        return AttentionUNetSegError(self.message, self.hint)


Request = Hello | Prepare | Segment | Cancel | Shutdown
Event = Ready | Progress | Log | Result | Error
Message = Request | Event

REQUESTS = (Hello, Prepare, Segment, Cancel, Shutdown)
EVENTS = (Ready, Progress, Log, Result, Error)
_CLASS_BY_TYPE: dict[str, type] = {kind.__name__.lower(): kind for kind in REQUESTS + EVENTS}
# What earlier versions said, and why nobody listens any more.
_REMOVED = {"correct": "Refining a result with the network was removed, because it brought no gain."}


class RemovedRequest(ProtocolError):
    """A request that earlier versions knew; `job` is what it was about, where it said so."""

    def __init__(self, message: str, hint: str, job: str | None) -> None:
        super().__init__(message, hint)
        self.job = job


def encode(message: Message) -> bytes:
    """Return the message as one line of UTF-8 JSON, newline included.

    Raises
    ------
    ProtocolError : a field has the wrong type, is NaN or infinite or is no valid Unicode, or the line exceeds
        1 MiB.
    """
    fields = message_to_fields(message)
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    line = text.encode("utf-8") + b"\n"
    if len(line) > MAXIMUM_LINE_BYTES:
        raise ProtocolError(_too_long(len(line)))
    return line


def decode(line: bytes) -> Message:
    """Return the message of one line; the newline at its end may be missing.

    Raises
    ------
    ProtocolError : the line is too long, not UTF-8, not one JSON object, or not exactly one of the messages
        above. `RemovedRequest` where earlier versions knew it.
    """
    if len(line) > MAXIMUM_LINE_BYTES:
        raise ProtocolError(_too_long(len(line)))
    try:
        text = line.decode("utf-8")
        fields = json.loads(text, object_pairs_hook=_object_without_repeats, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ProtocolError("A line came that is not UTF-8 text.") from None
    except RecursionError:
        raise ProtocolError("A line came whose JSON is nested too deeply.") from None
    except ValueError as error:
        raise ProtocolError(f"A line came that is not JSON: {error}.") from None
    return message_from_fields(fields)


def message_to_fields(message: Message) -> dict[str, object]:
    """Return the message as the JSON object of its line; raises ProtocolError as `encode` does."""
    name = type(message).__name__.lower()
    if _CLASS_BY_TYPE.get(name) is not type(message):
        raise ProtocolError(f"{type(message).__name__} is not a message of the worker protocol.")
    return {"type": name, **to_fields(message, name)}


def message_from_fields(fields: object) -> Message:
    """Return the message of a parsed JSON object; raises ProtocolError as `decode` does."""
    if not isinstance(fields, dict):
        raise ProtocolError("A message must be a JSON object with a type.")
    name = fields.get("type")
    if name is None:
        raise ProtocolError("A message came without a type.")
    if isinstance(name, str) and name in _REMOVED:
        job = fields.get("job")
        is_named = isinstance(job, str) and 0 < len(job) <= 128
        hint = "The front end is of an earlier version: close it and start it again."
        raise RemovedRequest(_REMOVED[name], hint, job if is_named else None)
    if not isinstance(name, str) or name not in _CLASS_BY_TYPE:
        known = ", ".join(_CLASS_BY_TYPE)
        raise ProtocolError(f"Unknown message type {str(name)[:60]!r}; known are {known}.")
    others = {key: value for key, value in fields.items() if key != "type"}
    return from_fields(_CLASS_BY_TYPE[name], others, name)


def _too_long(length: int) -> str:
    return f"A line has {length} bytes; {MAXIMUM_LINE_BYTES} are the most it may have."


def _require_job(job: str, message: str) -> None:
    if not 0 < len(job) <= 128:
        raise ProtocolError(f"{message}.job must have 1 to 128 characters.")


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ProtocolError(f"The field {repeated[:60]!r} comes twice in one object.")
    return fields


def _refuse_constant(constant: str) -> None:
    raise ProtocolError(f"{constant} is not a number a message may hold.")
