"""`job.json`: what is written is read, and what is damaged is named."""

from __future__ import annotations

import json
import os

import pytest
from AttentionUNetSegLib.errors import BadInput, CannotWrite
from AttentionUNetSegLib.worker.job_folder import read_job, write_job
from AttentionUNetSegLib.worker.protocol import PROTOCOL_VERSION, Segment


def test_a_job_is_read_as_it_was_written(tmp_path):
    request = Segment(
        "Bauchspeicheldrüse 1", str(tmp_path), "/models/a", "ct.nii.gz", device="cuda:1", tta=True, max_memory_mb=4000
    )
    path = write_job(tmp_path, request)
    assert read_job(tmp_path) == request
    assert os.listdir(tmp_path) == [path.name]
    assert "Bauchspeicheldrüse" in path.read_text(encoding="utf-8")


def test_a_moved_job_lies_where_it_is_now(tmp_path):
    folder = tmp_path / "now"
    folder.mkdir()
    write_job(folder, Segment("1", "/long/ago", "/model"))
    assert read_job(folder).folder == str(folder)


REQUEST = {"type": "segment", "job": "1", "folder": "/", "model": "/m"}
OF_THIS_VERSION = {"protocol_version": PROTOCOL_VERSION}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not JSON"),
        ("[]", "version None"),
        (json.dumps({"protocol_version": 99, "request": REQUEST}), "version 99"),
        (json.dumps(OF_THIS_VERSION), "JSON object"),
        (json.dumps({**OF_THIS_VERSION, "request": {**REQUEST, "input": "../x"}}), "plain file name"),
        (json.dumps({**OF_THIS_VERSION, "request": {"type": "shutdown"}}), "no segment request"),
        (json.dumps({**OF_THIS_VERSION, "request": {"type": "correct", "job": "1"}}), "was removed"),
    ],
)
def test_a_damaged_job_is_refused(tmp_path, text, named):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(BadInput) as refusal:
        read_job(tmp_path)
    assert named in refusal.value.message
    assert str(tmp_path) in refusal.value.message


def test_what_is_no_job_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="no job folder"):
        read_job(tmp_path / "missing")
    with pytest.raises(CannotWrite, match="could not be written"):
        write_job(tmp_path / "missing", Segment("1", "/", "/m"))
