"""The worker process as a peer sees it: raw lines in, raw lines out, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from AttentionUNetSegLib.errors import ErrorCode
from AttentionUNetSegLib.temporary_folder import keep, make_folder
from AttentionUNetSegLib.worker.protocol import (
    MAXIMUM_LINE_BYTES,
    PROTOCOL_VERSION,
    Cancel,
    Error,
    Event,
    Hello,
    Log,
    Prepare,
    Ready,
    Segment,
    Shutdown,
    decode,
    encode,
)
from AttentionUNetSegLib.worker.segmenting import SegmentRunner
from AttentionUNetSegLib.worker.server import Server
from AttentionUNetSegLib.worker.transport import worker_command


class RawWorker:
    """A worker process and its bare pipes."""

    def __init__(self) -> None:
        command = worker_command()
        self.process = subprocess.Popen(
            command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=command.environment,
            cwd=command.folder,
            start_new_session=True,
        )

    def say(self, *lines: bytes) -> None:
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()

    def hear(self) -> Event:
        return decode(self.process.stdout.readline())


@contextlib.contextmanager
def raw_worker() -> Iterator[RawWorker]:
    worker = RawWorker()
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()
        for pipe in (worker.process.stdin, worker.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[RawWorker]:
    """A worker that was greeted; no test here ends it."""
    with raw_worker() as worker:
        worker.say(encode(Hello()))
        ready = worker.hear()
        assert isinstance(ready, Ready)
        assert ready.pid == worker.process.pid
        assert ready.devices[-1].id == "cpu"
        assert ready.seconds > 0
        yield worker


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"garbage", "not JSON"),
        (b"\x00\xff\xfe\x80", "not UTF-8"),
        (b'{"type": "sing", "job": "1"}', "'sing'"),
        (b'{"type": "segment", "job": "1"}', "'folder'"),
        (b'{"type": "segment", "job": "1", "folder": "/", "model": "/", "input": "../x"}', "plain file name"),
        (b"[" * 100_000, "nested"),
        (b"x" * (3 * MAXIMUM_LINE_BYTES), "longer than a line"),
        (encode(Ready(1, 1, "", "", (), 0.0)).strip(), "ready message is an event"),
    ],
)
def test_a_line_that_is_no_request_is_refused_and_the_worker_goes_on(worker, line, named):
    worker.say(line + b"\n", b"\n", encode(Cancel("nothing")))
    refusal, answer = worker.hear(), worker.hear()
    assert isinstance(refusal, Error)
    assert (refusal.job, refusal.code) == (None, ErrorCode.PROTOCOL)
    assert named in refusal.message
    assert answer == Log("info", "There was nothing to cancel: the job has ended already.", "nothing")


def test_another_version_of_the_protocol_is_refused_with_both_numbers(worker):
    worker.say(encode(Hello(version=99)))
    refusal = worker.hear()
    assert (refusal.job, refusal.code) == (None, ErrorCode.PROTOCOL)
    assert "99" in refusal.message
    assert f"version {PROTOCOL_VERSION}" in refusal.message


def test_a_request_of_an_earlier_version_ends_its_job_with_a_sentence(worker):
    worker.say(b'{"type": "correct", "job": "c", "folder": "/job", "clicks": []}\n')
    refusal = worker.hear()
    assert (refusal.job, refusal.code) == ("c", ErrorCode.PROTOCOL)
    assert "removed" in refusal.message and "start it again" in refusal.hint


def test_folders_that_cannot_be_used_are_named(worker, tmp_path):
    for folder, named in [
        ("relative", "not an absolute path"),
        (str(tmp_path / "missing"), "no job folder"),
        (str(tmp_path), "no file input.nrrd"),
        (str(tmp_path) + "\0", "no job folder"),
    ]:
        worker.say(encode(Segment("f", folder, "/model")))
        while not isinstance(event := worker.hear(), Error):
            pass
        assert (event.job, event.code) == ("f", ErrorCode.BAD_INPUT)
        assert named in event.message


def test_a_model_that_cannot_be_prepared_is_no_answer_and_no_end(worker):
    worker.say(encode(Prepare("/no/model", "cpu")), encode(Prepare("relative", "tpu")), encode(Cancel("nothing")))
    assert isinstance(worker.hear(), Log)
    worker.say(encode(Hello()))
    assert isinstance(worker.hear(), Ready)


def test_a_job_goes_before_what_is_left_to_prepare():
    server = Server(*os.pipe())
    steps = []

    class Runner:
        def prepare(self, request):
            for step in ("load", "warm up", "more"):
                steps.append((request.model, step))
                if step == "warm up":
                    server._handle(Segment("job", "/folder", "/model"))
                yield

    server._handle(Hello())
    server._handle(Prepare("/model", "cpu"))
    assert server._next_job(Runner()).request.job == "job"
    assert steps == [("/model", "load"), ("/model", "warm up")]


def test_what_was_prepared_is_what_a_job_uses(tiny_model_package, monkeypatch):
    from AttentionUNetSegLib import inference

    runner = SegmentRunner()
    for _step in runner.prepare(Prepare(str(tiny_model_package.folder), "cpu")):
        pass
    monkeypatch.setattr(inference, "Segmenter", None)  # nothing is loaded a second time
    segmenter = runner._segmenter(tiny_model_package.folder, "cpu")
    assert segmenter.first.predictor._network is not None, "it has computed"


def test_a_terminal_interrupt_does_not_end_the_worker(worker):
    os.kill(worker.process.pid, signal.SIGINT)
    worker.say(encode(Hello()))
    assert isinstance(worker.hear(), Ready)


def test_a_job_is_refused_before_the_greeting_and_beside_another_and_shutdown_ends():
    with raw_worker() as worker:
        job = Segment("early", "/nowhere", "/model")
        worker.say(encode(job), encode(Hello()))
        refusal = worker.hear()
        assert (refusal.job, refusal.code) == (None, ErrorCode.PROTOCOL)
        assert "hello" in refusal.message
        # While the libraries are loaded a job waits: a second is refused, so is its own name; it can be cancelled.
        other = Segment("late", "/nowhere", "/model")
        worker.say(encode(other), encode(job), encode(other), encode(Cancel("late")), encode(job))
        refused, repeated, cancelled = worker.hear(), worker.hear(), worker.hear()
        assert (refused.job, refused.code) == ("early", ErrorCode.PROTOCOL)
        assert "busy with the job 'late'" in refused.message
        assert (repeated.job, repeated.code) == (None, ErrorCode.PROTOCOL)
        assert "'late'" in repeated.message
        assert (cancelled.job, cancelled.code) == ("late", ErrorCode.CANCELLED)
        events = [worker.hear()]
        while not isinstance(events[-1], Error):
            events.append(worker.hear())
        assert isinstance(events[0], Ready)
        assert (events[-1].job, events[-1].code) == ("early", ErrorCode.BAD_INPUT)
        worker.say(encode(Shutdown()))
        assert worker.process.wait(60) == 0


def test_the_end_of_stdin_ends_the_worker_while_it_loads_its_libraries():
    with raw_worker() as worker:
        time.sleep(0.5)
        worker.process.stdin.close()
        started = time.monotonic()
        assert worker.process.wait(60) == 0
        # Torch's import holds the interpreter for some tenths of a second.
        print(f"ended after {time.monotonic() - started:.2f} s")


def test_the_job_of_a_front_end_that_is_gone_is_deleted_and_no_other_folder():
    ours, kept, foreign = make_folder("job"), make_folder("job"), Path(tempfile.mkdtemp(prefix="attention-test-"))
    keep(kept)
    try:
        for folder in (ours, kept, foreign):
            (folder / "input.nrrd").write_bytes(b"a CT")
            with raw_worker() as worker:
                worker.say(encode(Hello()), encode(Segment(folder.name, str(folder), "/model")))
                worker.process.stdin.close()
                assert worker.process.wait(60) == 0
        assert (ours.exists(), kept.exists(), foreign.exists()) == (False, True, True)
    finally:
        for folder in (ours, kept, foreign):
            shutil.rmtree(folder, ignore_errors=True)


PARENT = """
import subprocess, sys
from AttentionUNetSegLib.worker.transport import worker_command
from AttentionUNetSegLib.worker.protocol import Hello, encode
command = worker_command()
worker = subprocess.Popen(command.arguments, env=command.environment, cwd=command.folder, start_new_session=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
worker.stdin.write(encode(Hello()))
worker.stdin.flush()
worker.stdout.readline()
print(worker.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for the orphan in /proc")
def test_a_killed_front_end_leaves_no_worker_behind():
    environment = worker_command().environment
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.send_signal(signal.SIGKILL)
        started = time.monotonic()
        while is_running(worker):
            assert time.monotonic() - started < 20.0, "the worker outlived its front end"
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.communicate()


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


NOISE = """
import atexit, ctypes, os, sys, threading, time
print("a banner from sitecustomize", flush=True)
def shout():
    while "AttentionUNetSegLib.worker.server" not in sys.modules:
        time.sleep(0.01)
    libc = ctypes.CDLL(None)
    for number in range(10000):
        print("noise from Python", flush=True)
        sys.__stdout__.write('{"type": "log", "level": "info", "text": "forged"}\\n')
        os.write(1, b"noise from a descriptor\\n")
        libc.puts(b"noise from C"); libc.fflush(None)
        os.system("echo noise from a child; head -c 1 > /dev/null")
        time.sleep(0.02)
threading.Thread(target=shout, daemon=True).start()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the noise is made with the C library of POSIX")
def test_nothing_that_libraries_print_or_read_touches_the_protocol(new_client, new_job, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    command = worker_command()
    command.environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    client = new_client(command)
    client.submit(new_job("noisy"))
    result = client.wait("noisy", 60)
    assert type(result).__name__ == "Result", result
    assert "a banner from sitecustomize" in client.warnings()[0]
    stderr = "\n".join(client._connection._stderr)
    for source in ("Python", "a descriptor", "C", "a child"):
        assert f"noise from {source}\n" in stderr
    assert all("noise" not in json.dumps(str(event)) and "forged" not in str(event) for event in client.events)
