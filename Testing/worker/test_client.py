"""The client against real processes that behave, misbehave and die."""

from __future__ import annotations

import dataclasses
import os
import sys
import time

import pytest
from AttentionUNetSegLib.errors import ErrorCode, InternalError, ProtocolError
from AttentionUNetSegLib.worker.protocol import PROTOCOL_VERSION, Error, Log, Prepare, Ready, Segment
from AttentionUNetSegLib.worker.transport import worker_command
from scripted_worker import GREETING, script_command


def job(name: str) -> Segment:
    return Segment(name, "/nowhere", "/model")


def test_a_missing_interpreter_is_named(new_client):
    client = new_client(dataclasses.replace(worker_command(), arguments=("/nowhere/python", "-m", "x")))
    for name in ("1", "2"):
        client.submit(job(name))
        outcome = client.wait(name, 60)
        assert outcome.code is ErrorCode.PROCESS_DIED
        assert "could not be started" in outcome.message
        assert "/nowhere/python" in outcome.message
        assert not client.is_busy


def test_a_python_without_torch_says_so_with_its_exit_code(new_client, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch in this test')")
    command = worker_command()
    command.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), command.environment.get("PYTHONPATH", "")])
    client = new_client(command)
    client.submit(job("1"))
    outcome = client.wait("1", 60)
    assert outcome.code is ErrorCode.INTERNAL
    assert "no torch in this test" in outcome.message
    assert sys.executable in outcome.message
    assert "PyTorch" in outcome.hint
    assert "exit code 3" in outcome.detail
    assert "Traceback" in outcome.detail


def test_a_process_that_ends_at_once_is_explained_by_its_last_words(new_client):
    client = new_client(script_command("import sys; sys.stderr.write('libcudart is missing'); sys.exit(7)"))
    client.start()
    client.pump_until(lambda: client.events, 60)
    (failure,) = client.events
    assert isinstance(failure, Error)
    assert failure.job is None
    assert "exit code 7" in failure.message
    assert failure.detail.endswith("libcudart is missing")


def test_another_version_is_refused_before_any_job_is_sent(new_client):
    other = PROTOCOL_VERSION + 1
    code = GREETING + f"ready(version={other})\nprint(sys.stdin.read(), file=sys.stderr)"
    client = new_client(script_command(code))
    client.submit(job("1"))
    outcome = client.wait("1", 60)
    assert outcome.code is ErrorCode.PROTOCOL
    assert f"version {other}" in outcome.message
    assert f"version {PROTOCOL_VERSION}" in outcome.message
    assert "segment" not in outcome.detail


def test_a_worker_that_never_gets_ready_is_given_up(new_client):
    client = new_client(script_command("import time; time.sleep(60)"), start_timeout=0.5)
    client.submit(job("1"))
    outcome = client.wait("1", 60)
    assert "0.5 seconds" in outcome.message
    client.transport.pump(2)
    assert not client.transport.is_running


def test_a_launchers_words_before_ready_are_only_logged(new_client):
    code = GREETING + "print('Welcome to the launcher')\nready()\nfail(hear()['job'])\nhear()"
    client = new_client(script_command(code))
    client.submit(job("1"))
    assert client.wait("1", 60).message == "No."
    assert "Welcome to the launcher" in client.warnings()[0]


@pytest.mark.parametrize("stray", ["'oops'", "'x' * 3_000_000", "json.dumps({'type': 'shutdown'})"])
def test_a_stray_line_after_ready_fails_the_job_and_ends_the_worker(new_client, stray):
    client = new_client(script_command(GREETING + f"ready()\nhear()\nprint({stray}, flush=True)\ntime.sleep(60)"))
    client.submit(job("1"))
    outcome = client.wait("1", 60)
    assert outcome.code is ErrorCode.PROTOCOL
    assert "does not follow the protocol" in outcome.message


def test_a_crash_fails_only_the_job_that_ran(new_client):
    code = """
ready()
name = hear()["job"]
progress(name)
if name == "crash":
    sys.stderr.write("Segmentation fault in layer 7\\n"); sys.stderr.flush()
    os.kill(os.getpid(), 9)
fail(name)
time.sleep(60)
"""
    client = new_client(script_command(GREETING + code))
    client.submit(job("crash"))
    crashed = client.wait("crash", 60)
    client.submit(job("next"))
    answered = client.wait("next", 60)
    assert crashed.code is ErrorCode.PROCESS_DIED
    if os.name == "posix":
        assert "SIGKILL" in crashed.message
        assert "memory" in crashed.hint
    assert "Segmentation fault in layer 7" in crashed.detail
    assert answered.message == "No."
    assert sum(isinstance(event, Ready) for event in client.events) == 2


@pytest.mark.skipif(os.name != "posix", reason="looks for processes with signal 0")
@pytest.mark.parametrize(("code", "replaced"), [("out_of_memory", True), ("internal", True), ("bad_input", False)])
def test_a_worker_that_may_be_broken_runs_no_other_job(new_client, code, replaced):
    script = f"ready()\nwhile True: say(type='error', job=hear()['job'], code='{code}', message=str(os.getpid()))"
    client = new_client(script_command(GREETING + script))
    client.submit(job("1"))
    first = client.wait("1", 60)
    client.submit(job("2"))
    second = client.wait("2", 60)
    assert (first.message != second.message) is replaced
    processes = [int(first.message), int(second.message)]
    client.close()
    for pid in processes:
        with pytest.raises(ProcessLookupError):  # neither running nor a zombie
            os.kill(pid, 0)


def test_an_idle_worker_that_dies_is_replaced_without_an_error(new_client):
    client = new_client(script_command(GREETING + "ready()\nfail(hear()['job'])\nsys.exit(5)"))
    for name in ("1", "2"):
        client.submit(job(name))
        assert client.wait(name, 60).message == "No."
        client.pump_until(lambda: client.ready is None, 60)
    assert [type(event) for event in client.events] == [Ready, Error, Log] * 2
    assert "exit code 5" in client.warnings()[0]


def test_a_worker_that_does_not_obey_a_cancel_is_ended(new_client):
    client = new_client(script_command(GREETING + "ready()\nprogress(hear()['job'])\ntime.sleep(60)"), cancel_grace=0.3)
    client.submit(job("stuck"))
    client.pump_until(lambda: client.progress_of("stuck"), 60)
    client.cancel("stuck")
    assert client.wait("stuck", 60).code is ErrorCode.CANCELLED
    client.submit(job("next"))
    client.pump_until(lambda: client.progress_of("next"), 60)  # in a fresh worker


def test_a_job_is_cancelled_before_the_worker_is_ready(new_client):
    client = new_client(script_command("import time; time.sleep(60)"))
    client.submit(job("1"))
    client.cancel("1")
    assert client.wait("1", 0).code is ErrorCode.CANCELLED
    client.cancel("1")
    client.cancel("never submitted")
    assert len(client.events) == 1


def test_close_ends_even_a_process_that_ignores_everything(new_client):
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    client = new_client(script_command(code))
    client.submit(job("1"))
    process = client.transport._process
    started = time.monotonic()
    client.close(grace=0.3)
    assert time.monotonic() - started < 20, "it was killed after 0.3 s"
    assert process.returncode is not None, "a zombie"
    assert client.wait("1", 0).code is ErrorCode.CANCELLED
    client.close()
    with pytest.raises(InternalError):
        client.submit(job("2"))


def test_close_of_a_real_worker_is_quick_and_clean(new_client):
    client = new_client()
    client.start()
    client.pump_until(lambda: client.ready)
    process = client.transport._process
    started = time.monotonic()
    client.close(grace=60.0)
    print(f"closed after {time.monotonic() - started:.2f} s")
    assert process.returncode == 0, "it ended by itself, and soon: it was not killed"


def test_a_client_that_was_never_used_starts_nothing(new_client):
    client = new_client()
    client.pump(0.01)
    client.close()
    assert client.transport is None


def test_misuse_is_refused(new_client):
    client = new_client(script_command("import time; time.sleep(60)"))
    client.submit(job("1"))
    for name in ("1", "2"):
        with pytest.raises(ProtocolError, match="unfinished job already, '1'"):
            client.submit(job(name))
    with pytest.raises(ProtocolError, match="no job"):
        client.wait("2", 1)
    with pytest.raises(ProtocolError, match="folder"):
        client.submit(Segment("3", "/not unicode \udcff", "/model"))
    with pytest.raises(TimeoutError):
        client.wait("1", 0.05)
    assert client.is_busy


def test_a_listener_may_submit_the_next_job_and_may_raise(new_client):
    client = new_client(script_command(GREETING + "ready()\nwhile True: fail(hear()['job'])"))

    def chain(event):
        if isinstance(event, Error) and event.job == "1":
            client.submit(job("2"))
            raise RuntimeError("the listener's own fault")

    client.recorder.then = chain
    client.submit(job("1"))
    with pytest.raises(RuntimeError, match="own fault"):
        client.wait("1", 60)
    assert client.wait("2", 60).message == "No."


@pytest.mark.parametrize("job_waits", [False, True])
def test_a_worker_is_told_what_to_prepare_unless_a_job_waits_for_it(new_client, job_waits):
    code = (
        GREETING
        + """
ready()
heard = []
while "segment" not in heard:
    heard.append(hear()["type"])
say(type="error", job="1", code="bad_input", message=" ".join(heard), hint="", detail="")
"""
    )
    client = new_client(script_command(code))
    client.start()
    client.prepare(Prepare("/model", "cpu"))
    if not job_waits:
        client.pump_until(lambda: client.ready)
    client.submit(job("1"))
    assert client.wait("1", 60).message == ("segment" if job_waits else "prepare segment")
