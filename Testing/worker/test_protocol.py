"""The messages: what goes through comes back the same, and everything else is refused by name."""

from __future__ import annotations

import json
import math

import pytest
from AttentionUNetSegLib.contracts import ModelIdentity, QualityReport, ResultFiles
from AttentionUNetSegLib.errors import AttentionUNetSegError, BadInput, BadModel, ErrorCode, ProtocolError
from AttentionUNetSegLib.worker.protocol import (
    EVENTS,
    MAXIMUM_LINE_BYTES,
    REQUESTS,
    Cancel,
    Device,
    Error,
    Hello,
    Log,
    Prepare,
    Progress,
    Ready,
    Result,
    Segment,
    Shutdown,
    decode,
    encode,
    message_from_fields,
    message_to_fields,
)
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(max_size=40)  # hypothesis leaves out half surrogates, as UTF-8 does
JOB = st.text(min_size=1, max_size=128)
PLAIN_NAME = st.from_regex(r"[A-Za-z0-9_é][A-Za-z0-9_. -]{0,30}", fullmatch=True)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
AMOUNTS = st.dictionaries(TEXT, NUMBER, max_size=4)

MESSAGES = {
    Hello: st.builds(Hello, st.integers()),
    Prepare: st.builds(Prepare, TEXT, TEXT),
    Segment: st.builds(
        Segment,
        JOB,
        TEXT,
        TEXT,
        PLAIN_NAME,
        device=TEXT,
        tta=st.booleans(),
        max_memory_mb=st.none() | st.integers(min_value=1),
        any_intensity=st.booleans(),
        is_part=st.booleans(),
    ),
    Cancel: st.builds(Cancel, TEXT),
    Shutdown: st.builds(Shutdown),
    Ready: st.builds(
        Ready,
        st.integers(),
        st.integers(),
        TEXT,
        TEXT,
        st.lists(st.builds(Device, TEXT, TEXT), max_size=3).map(tuple),
        NUMBER,
    ),
    Progress: st.builds(Progress, TEXT, st.floats(0, 1), TEXT, NUMBER),
    Log: st.builds(Log, st.sampled_from(["info", "warning", "error"]), TEXT, st.none() | TEXT),
    Result: st.builds(
        Result,
        TEXT,
        TEXT,
        st.builds(ResultFiles, PLAIN_NAME, st.lists(PLAIN_NAME, max_size=4).map(tuple), st.none() | PLAIN_NAME),
        AMOUNTS,
        NUMBER,
        AMOUNTS,
        TEXT,
        TEXT,
        st.builds(ModelIdentity, TEXT, TEXT, TEXT, TEXT),
        st.lists(TEXT, max_size=3).map(tuple),
        st.builds(QualityReport, st.lists(TEXT, max_size=3).map(tuple), st.none() | NUMBER, st.none() | NUMBER),
    ),
    Error: st.builds(Error, st.none() | TEXT, st.sampled_from(ErrorCode), TEXT, TEXT, TEXT),
}

SEGMENT = {"type": "segment", "job": "1", "folder": "/job", "model": "/model"}


def test_every_message_has_a_strategy():
    assert set(MESSAGES) == set(REQUESTS + EVENTS)


@given(st.one_of(*MESSAGES.values()))
def test_a_message_comes_back_as_it_was_sent(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message
    assert decode(line.rstrip(b"\n")) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(line):
    try:
        message = decode(line)
    except ProtocolError as error:
        assert error.message
    else:
        assert isinstance(message, REQUESTS + EVENTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.one_of(*MESSAGES.values()), st.data())
def test_any_value_in_any_field_is_a_message_or_a_protocol_error(message, data):
    fields = message_to_fields(message)
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    try:
        decoded = decode(json.dumps(fields).encode())
    except ProtocolError as error:
        encode(Error(None, error.code, error.message))  # the refusal itself can be sent, whatever it quotes
    else:
        assert decode(encode(decoded)) == decoded


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": None}, "without a type"),
        ({"type": "sgment"}, "'sgment'"),
        ({"type": ["segment"]}, "segment"),
        ({"speed": 9}, "unknown field 'speed'"),
        ({"job": 7}, "segment.job must be text, not 7"),
        ({"job": ""}, "segment.job"),
        ({"job": "x" * 129}, "segment.job"),
        ({"tta": 1}, "segment.tta must be true or false, not 1"),
        ({"tta": None}, "segment.tta must be true or false, not null"),
        ({"max_memory_mb": 1.5}, "segment.max_memory_mb must be a whole number, not 1.5"),
        ({"max_memory_mb": True}, "segment.max_memory_mb"),
        ({"max_memory_mb": 0}, "segment.max_memory_mb"),
        ({"folder": ["/job"]}, "segment.folder must be text, not a list"),
        ({"model": {}}, "segment.model must be text, not an object"),
        ({"device": "\ud800"}, "segment.device holds characters"),
        ({"input": "../secret.nrrd"}, "segment.input must be a plain file name"),
        ({"input": "/etc/passwd"}, "segment.input"),
        ({"input": "C:input.nrrd"}, "segment.input"),
        ({"input": "a\\b"}, "segment.input"),
        ({"input": ".."}, "segment.input"),
        ({"input": ""}, "segment.input"),
        ({"input": "a\0b"}, "segment.input"),
    ],
)
def test_a_wrong_field_is_named(change, named):
    with pytest.raises(ProtocolError) as refusal:
        decode(json.dumps({**SEGMENT, **change}).encode())
    assert named in refusal.value.message


@pytest.mark.parametrize("name", ["job", "folder", "model"])
def test_a_missing_field_is_named(name):
    fields = {key: value for key, value in SEGMENT.items() if key != name}
    with pytest.raises(ProtocolError, match=f"segment lacks the field '{name}'"):
        message_from_fields(fields)


def test_fields_inside_fields_are_named_with_their_path():
    fields = message_to_fields(Ready(1, 1, "", "", (Device("cpu", "CPU"),), 0.0))
    fields["devices"][0]["name"] = 7
    with pytest.raises(ProtocolError, match=r"ready.devices\[0\].name must be text, not 7"):
        message_from_fields(fields)


def test_what_earlier_versions_said_is_refused_with_the_reason():
    with pytest.raises(ProtocolError, match="Refining a result with the network was removed") as refusal:
        decode(b'{"type": "correct", "job": "a7", "folder": "/job", "clicks": []}')
    assert refusal.value.job == "a7" and refusal.value.hint


def test_fields_with_a_default_may_be_missing():
    assert message_from_fields(SEGMENT) == Segment(
        "1", "/job", "/model", "input.nrrd", device="auto", tta=False, max_memory_mb=None
    )


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"[]", "JSON object"),
        (b'"hello"', "JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"type":"hello","version":1}{"type":"hello","version":1}', "not JSON"),
        (b'{"type":"cancel","job":"1","job":"2"}', "'job' comes twice"),
        (b'{"type":"progress","job":"1","fraction":NaN,"stage":"","elapsed":0}', "NaN"),
        (b'{"type":"progress","job":"1","fraction":0,"stage":"","elapsed":-Infinity}', "-Infinity"),
        (b'{"type":"progress","job":"1","fraction":0,"stage":"","elapsed":1e999}', "progress.elapsed"),
        (b'{"type":"progress","job":"1","fraction":1.01,"stage":"","elapsed":0}', "progress.fraction"),
        (b'{"type":"progress","job":"1","fraction":0,"stage":"","elapsed":1' + b"0" * 400 + b"}", "progress.elapsed"),
        (b'{"type":"hello","version":' + b"1" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested"),
        (b'{"type":"cancel","job":"' + b"x" * MAXIMUM_LINE_BYTES + b'"}', "bytes"),
        (b'{"type":"error","job":null,"code":"tired","message":""}', "error.code must be one of bad_input"),
        (b'{"type":"log","level":"loud","text":""}', "log.level must be one of info"),
    ],
)
def test_what_is_no_message_is_refused(line, named):
    with pytest.raises(ProtocolError) as refusal:
        decode(line)
    assert named in refusal.value.message


@pytest.mark.parametrize(
    "message",
    [
        lambda: Log("info", "half \udc80 a character"),
        lambda: Log("loud", "text"),
        lambda: Cancel(7),
        lambda: Cancel("x" * MAXIMUM_LINE_BYTES),
        lambda: Progress("1", math.nan, "", 0.0),
        lambda: Progress("1", 0.5, "", math.inf),
        lambda: Ready(1, 1, "", "", (("cpu", "CPU"),), 0.0),
        lambda: Ready(1, 1, "", "", [Device("cpu", "CPU")], 0.0),
        lambda: Segment("1", "/job", "/model", input="../input.nrrd"),
        lambda: "hello",
    ],
)
def test_nothing_malformed_can_be_sent(message):
    with pytest.raises(ProtocolError):
        encode(message())


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_becomes_the_exception_of_its_code(code):
    exception = Error("1", code, "It broke.", "Mend it.").exception()
    assert isinstance(exception, AttentionUNetSegError)
    assert (exception.code, exception.message, exception.hint) == (code, "It broke.", "Mend it.")
    assert isinstance(exception, BadInput) == (code is ErrorCode.BAD_INPUT)
    assert isinstance(exception, BadModel) == (code is ErrorCode.BAD_MODEL)
