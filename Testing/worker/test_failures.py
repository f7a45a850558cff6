"""What a person reads when something raised."""

from __future__ import annotations

import errno
import os

import pytest
from AttentionUNetSegLib.errors import BadModel, Cancelled, ErrorCode
from AttentionUNetSegLib.worker.protocol import Error
from AttentionUNetSegLib.worker.segmenting import error_of


def torch_allocation_failure() -> BaseException:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**60, dtype=torch.uint8)
    return failure.value


def numpy_allocation_failure() -> BaseException:
    import numpy as np

    with pytest.raises(MemoryError) as failure:
        np.empty(2**60, dtype=np.uint8)
    return failure.value


def test_our_own_errors_keep_their_code_and_words():
    assert error_of(BadModel("It is broken.", "Mend it."), "1") == Error(
        "1", ErrorCode.BAD_MODEL, "It is broken.", "Mend it."
    )
    assert error_of(Cancelled(), "1").code is ErrorCode.CANCELLED


@pytest.mark.parametrize("make", [torch_allocation_failure, numpy_allocation_failure])
def test_a_real_allocation_failure_is_out_of_memory(make):
    assert error_of(make(), "1").code is ErrorCode.OUT_OF_MEMORY


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_called_so(number):
    event = error_of(OSError(number, os.strerror(number)), "1")
    assert event.code is ErrorCode.CANNOT_WRITE
    assert "disk of the job folder is full" in event.message


def test_anything_else_is_internal_and_only_the_log_has_the_traceback(caplog):
    try:
        raise RuntimeError("shapes\ndiffer")
    except RuntimeError as error:
        event = error_of(error, "job 7")
    assert event == Error(
        "job 7",
        ErrorCode.INTERNAL,
        "The run failed unexpectedly: RuntimeError: shapes differ.",
        "The worker's log has the details.",
    )
    assert "Traceback" in caplog.text
    assert "job 7" in caplog.text
