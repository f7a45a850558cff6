"""Lines out of a byte stream, however it is cut."""

from __future__ import annotations

from AttentionUNetSegLib.worker.transport import LineSplitter
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines, data):
    lines = [line.rstrip(b"\r") or b"x" for line in lines]
    stream = b"".join(line + data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])) for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter = LineSplitter()
    ends = [*cuts, len(stream)]
    parts = [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert [line for part in parts for line in splitter.feed(part)] == lines


def test_a_line_without_end_is_kept_for_the_next_chunk():
    splitter = LineSplitter()
    assert list(splitter.feed(b"one\ntw")) == [b"one"]
    assert list(splitter.feed(b"o\n")) == [b"two"]


def test_a_line_that_is_too_long_is_dropped_while_it_streams_in():
    splitter = LineSplitter(maximum_bytes=10)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 9)) == []
    assert len(splitter._beginning) < 10
    assert list(splitter.feed(b"\nok\n")) == [None, b"ok"]
