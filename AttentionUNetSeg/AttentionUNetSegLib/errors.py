"""The errors a person can meet, each with a code of the worker protocol's closed enumeration.

Every message is one sentence that says what is wrong and where; `hint` says what to do about it.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import TypeGuard

# How the allocators of torch, CUDA, cuDNN, cuBLAS, oneDNN, Metal and C++ say that there is no memory left.
_OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "defaultcpuallocator",
    "bad allocation",
    "bad_alloc",
    "could not create a primitive",  # oneDNN's only words for it
    "status_alloc_failed",  # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED
    "cuda_error_out_of_memory",
    "cudaerrormemoryallocation",
)
# Windows has no quota of its own among its numbers.
_DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class ErrorCode(str, Enum):
    """The closed enumeration of error codes that the worker protocol and the report use."""

    BAD_INPUT = "bad_input"
    BAD_MODEL = "bad_model"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"
    UNAVAILABLE_DEVICE = "unavailable_device"
    PROTOCOL = "protocol"
    CANNOT_WRITE = "cannot_write"
    PROCESS_DIED = "process_died"
    INTERNAL = "internal"


class AttentionUNetSegError(Exception):
    """Base of all errors this package raises on purpose.

    Parameters
    ----------
    message : one sentence: what is wrong, and where.
    hint : one sentence: what the person can do. May be empty.
    """

    code = ErrorCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(AttentionUNetSegError):
    """The image, file or argument that the person gave cannot be used."""

    code = ErrorCode.BAD_INPUT


class BadModel(AttentionUNetSegError):
    """A model package is missing, damaged or does not follow the schema."""

    code = ErrorCode.BAD_MODEL


class OutOfMemory(AttentionUNetSegError):
    """Neither the chosen device nor the CPU has the memory for the smallest tile."""

    code = ErrorCode.OUT_OF_MEMORY


class Cancelled(AttentionUNetSegError):
    """The person asked to stop."""

    code = ErrorCode.CANCELLED

    def __init__(self, message: str = "Cancelled.", hint: str = "") -> None:
        super().__init__(message, hint)


class UnavailableDevice(AttentionUNetSegError):
    """The requested device does not exist on this machine."""

    code = ErrorCode.UNAVAILABLE_DEVICE


class ProtocolError(AttentionUNetSegError):
    """A message does not follow the worker protocol."""

    code = ErrorCode.PROTOCOL


class CannotWrite(AttentionUNetSegError):
    """A file cannot be written: the disk is full, permissions are missing, the folder has gone."""

    code = ErrorCode.CANNOT_WRITE


class ProcessDied(AttentionUNetSegError):
    """A process of ours crashed, was killed, or could not be started."""

    code = ErrorCode.PROCESS_DIED


class InternalError(AttentionUNetSegError):
    """Something failed that should not have: a bug."""

    code = ErrorCode.INTERNAL


def is_disk_full(exception: BaseException) -> TypeGuard[OSError]:
    """Whether a file found no more room: on the disk, in the user's quota, or by the limit on its own size."""
    return isinstance(exception, OSError) and exception.errno in _DISK_FULL


def file_refused(error: OSError) -> CannotWrite:
    """Return what the system said about a file as an error for people."""
    reason = error.strerror or str(error)
    if is_disk_full(error):
        return CannotWrite(f"There is no more room for a file ({reason}).", "Make room, and do it again.")
    return CannotWrite(f"A file cannot be used ({reason}).", "Check that the disk and its files are still there.")


def is_out_of_memory(exception: BaseException) -> bool:
    """Whether Python, torch or a library below them ran out of memory, on any device (named, not imported)."""
    if isinstance(exception, MemoryError) or type(exception).__name__ == "OutOfMemoryError":
        return True
    words = str(exception).lower()
    return isinstance(exception, RuntimeError) and any(sign in words for sign in _OUT_OF_MEMORY_WORDS)
