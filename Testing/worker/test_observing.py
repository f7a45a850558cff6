"""What a job shows of itself."""

from __future__ import annotations

import time

import pytest
from AttentionUNetSegLib.errors import Cancelled
from AttentionUNetSegLib.worker.protocol import Event, Log, Progress
from AttentionUNetSegLib.worker.segmenting import JobObserver


def test_progress_is_thinned_out_never_falls_and_keeps_first_last_and_new_stages():
    sent: list[Event] = []
    observer = JobObserver("1", sent.append)
    observer.begin()
    started = time.monotonic()
    for step in range(2000):
        observer.progress(step / 2000, "Network")
        observer.progress(step / 4000, "Network")
    seconds = time.monotonic() - started
    observer.progress(0.5, "Writing")
    observer.progress(1.7, "Writing")
    fractions = [event.fraction for event in sent]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert [event.stage for event in sent][:2] == ["Starting", "Network"]
    assert "Writing" in [event.stage for event in sent]
    assert len(sent) <= 4 + seconds * 20 + 1


def test_progress_goes_on_while_time_passes():
    sent: list[Progress] = []
    observer = JobObserver("1", sent.append)
    observer.begin()
    for step in range(10):
        time.sleep(0.02)
        observer.progress(step / 10, "Network")
    assert 3 <= len(sent) <= 7
    assert sent[-1].elapsed >= 0.1


def test_warnings_carry_the_job_and_a_cancel_is_seen():
    sent: list[Event] = []
    observer = JobObserver("1", sent.append)
    observer.warning("Look closely.")
    assert sent == [Log("warning", "Look closely.", "1")]
    observer.raise_if_cancelled()
    observer.cancel()
    assert observer.cancelled()
    with pytest.raises(Cancelled):
        observer.raise_if_cancelled()
