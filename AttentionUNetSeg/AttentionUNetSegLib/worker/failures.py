"""From whatever a job raised to the `Error` event a person reads."""

from __future__ import annotations

import errno
import logging

from ..errors import AttentionUNetSegError, ErrorCode, is_out_of_memory
from .protocol import Error

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_LOG = logging.getLogger("AttentionUNetSeg.worker")


def error_of(exception: BaseException, job: str) -> Error:
    """Return the event for an exception. What is not ours is logged with its traceback and called internal."""
    if isinstance(exception, AttentionUNetSegError):
        return Error(job, exception.code, exception.message, exception.hint)
    _LOG.error("Job %s failed.", job, exc_info=exception)
    if is_out_of_memory(exception):
        message = "There is not enough memory for this run."
        hint = "Close other programs, crop the CT to the abdomen, or choose another device."
        return Error(job, ErrorCode.OUT_OF_MEMORY, message, hint)
    if isinstance(exception, OSError) and exception.errno in _DISK_FULL:
        message = f"The disk of the job folder is full ({exception.strerror})."
        return Error(job, ErrorCode.INTERNAL, message, "Free some space and run again.")
    kind, text = type(exception).__name__, " ".join(str(exception).split())[:500]
    message = f"The run failed unexpectedly: {kind}: {text}" if text else f"The run failed unexpectedly: {kind}"
    return Error(job, ErrorCode.INTERNAL, message.rstrip(".") + ".", "The worker's log has the details.")
