"""Whole runs in real worker processes: the answer, the warm second run, cancel, crash, and bad surroundings."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from AttentionUNetSegLib.errors import BadInput, ErrorCode
from AttentionUNetSegLib.worker.job_folder import read_job, replay_job, write_job
from AttentionUNetSegLib.worker.protocol import Error, Ready, Result

SLOW_SIZE = (128, 112, 96)
LIMITS_ANOTHER_PROCESS = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux's")


def test_a_run_writes_its_files_and_says_all_about_them(warm_client, new_job, lively_model_package):
    import SimpleITK as sitk

    request = new_job("happy")
    warm_client.submit(request)
    result = warm_client.wait("happy", 60)
    assert isinstance(result, Result), result
    folder = Path(request.folder)
    assert set(os.listdir(folder)) == {"input.nrrd", result.files.probability, *result.files.attention}
    probability = sitk.ReadImage(str(folder / result.files.probability))
    assert probability.GetPixelID() == sitk.sitkUInt8
    assert len(result.files.attention) == 2 and result.files.spread is None
    assert result.folder == request.folder
    assert result.device == "cpu"
    assert result.threshold == lively_model_package.threshold
    assert result.model.id == "lively-random"
    assert result.model.sha256 == lively_model_package.weights_sha256
    voxels = int((sitk.GetArrayViewFromImage(probability) >= 128).sum())
    assert 100 < voxels < 60000
    assert result.volume_ml == {"Pancreas": pytest.approx(voxels * 1.5**3 / 1000, abs=0.001)}
    assert result.timings["total"] >= result.timings["network"] > 0

    progress = warm_client.progress_of("happy")
    fractions = [event.fraction for event in progress]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    assert [event.elapsed for event in progress] == sorted(event.elapsed for event in progress)
    assert warm_client.events.index(progress[-1]) < warm_client.events.index(result)


def test_test_time_augmentation_leaves_the_spread_beside_the_probability(warm_client, new_job):
    import SimpleITK as sitk

    request = dataclasses.replace(new_job("measured"), tta=True)
    warm_client.submit(request)
    result = warm_client.wait("measured", 60)
    assert isinstance(result, Result), result
    folder = Path(request.folder)
    spread = sitk.ReadImage(str(folder / result.files.spread))
    assert spread.GetSize() == sitk.ReadImage(str(folder / result.files.probability)).GetSize()
    assert sitk.GetArrayViewFromImage(spread).max() > 0
    assert 0 < result.quality.mean_spread < 0.5 < result.quality.mean_probability <= 1
    assert result.quality.reasons == (), "nothing is expected of a phantom"


def test_the_second_run_pays_neither_for_imports_nor_for_the_model(warm_client, new_job):
    outcomes = []
    for name in ("first", "second"):
        warm_client.submit(new_job(name))
        outcomes.append(warm_client.wait(name, 60))
    first, second = outcomes
    assert isinstance(first, Result) and isinstance(second, Result)
    assert sum(isinstance(event, Ready) for event in warm_client.events) == 1
    assert second.timings["load_model"] < 2.0, "0.01 s on a quiet machine"
    assert second.timings["total"] < 10.0, "0.3 s on a quiet machine"


def test_a_changed_model_is_loaded_anew(warm_client, new_job, lively_model_package, tmp_path):
    package = tmp_path / "package"
    shutil.copytree(lively_model_package.folder, package)
    warm_client.submit(new_job("before", package))
    assert isinstance(warm_client.wait("before", 60), Result)
    weights = package / "weights.pt"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    weights.write_bytes(damaged)
    warm_client.submit(new_job("after", package))
    failure = warm_client.wait("after", 60)
    assert failure.code is ErrorCode.BAD_MODEL, "corrupted weights"
    weights.unlink()
    warm_client.submit(new_job("missing weights", package))
    assert warm_client.wait("missing weights", 60).code is ErrorCode.BAD_MODEL
    warm_client.submit(new_job("missing package", tmp_path / "nowhere"))
    failure = warm_client.wait("missing package", 60)
    assert failure.code is ErrorCode.BAD_MODEL
    assert "nowhere" in failure.message
    warm_client.submit(new_job("relative package", "some/model"))
    failure = warm_client.wait("relative package", 60)
    assert failure.code is ErrorCode.BAD_MODEL
    assert "absolute" in failure.message


@pytest.mark.parametrize("content", [b"", b"NRRD0005\ntype: short\n", os.urandom(5000)])
def test_an_unreadable_input_is_a_bad_input(warm_client, new_job, content):
    request = new_job("unreadable")
    (Path(request.folder) / "input.nrrd").write_bytes(content)
    warm_client.submit(request)
    failure = warm_client.wait("unreadable", 60)
    assert failure.code is ErrorCode.BAD_INPUT
    assert "input.nrrd" in failure.message


def test_a_device_that_is_not_there_is_named(warm_client, new_job):
    import dataclasses

    warm_client.submit(dataclasses.replace(new_job("device"), device="cuda:99"))
    failure = warm_client.wait("device", 60)
    assert failure.code is ErrorCode.UNAVAILABLE_DEVICE
    assert "cuda:99" in failure.message


@LIMITS_ANOTHER_PROCESS
def test_a_full_disk_is_told_and_leaves_nothing_half_written(warm_client, new_job):
    request = new_job("full")
    with limit(warm_client.transport.pid, "RLIMIT_FSIZE", 10_000):
        warm_client.submit(request)
        failure = warm_client.wait("full", 60)
    assert failure.code is ErrorCode.CANNOT_WRITE
    assert "could not be written" in failure.message
    assert request.folder in failure.message
    assert os.listdir(request.folder) == ["input.nrrd"]


@LIMITS_ANOTHER_PROCESS
def test_running_out_of_memory_is_told_and_the_next_run_works(warm_client, new_job, slow_model_package):
    import resource

    warm_client.submit(new_job("warm up"))
    assert isinstance(warm_client.wait("warm up", 60), Result)
    pid = warm_client.transport.pid
    used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    with limit(pid, "RLIMIT_AS", used + 20 * 2**20):
        warm_client.submit(new_job("hungry", slow_model_package.folder, SLOW_SIZE))
        outcome = warm_client.wait("hungry", 60)
    if isinstance(outcome, Result):  # it found a way with smaller tiles
        assert "memory" in " ".join(outcome.warnings)
    elif (
        outcome.code is ErrorCode.PROCESS_DIED
    ):  # native code that does not survive a refused allocation (seen: SIGSEGV)
        assert "ended unexpectedly: killed by" in outcome.message
        assert warm_client.transport.pid != pid or not warm_client.transport.is_running
    else:
        assert outcome.code is ErrorCode.OUT_OF_MEMORY
    warm_client.submit(new_job("the same again", slow_model_package.folder, SLOW_SIZE))
    warm_client.pump_until_network("the same again")
    warm_client.cancel("the same again")
    assert warm_client.wait("the same again", 30).code is ErrorCode.CANCELLED


@contextlib.contextmanager
def limit(pid: int, name: str, value: int) -> Iterator[None]:
    """Set the soft limit of another process meanwhile."""
    import resource

    kind = getattr(resource, name)
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (value, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # the client may have replaced it
            resource.prlimit(pid, kind, before)


def test_a_cancel_in_the_middle_of_the_network_takes_about_half_a_second(warm_client, new_job, slow_model_package):
    warm_client.submit(new_job("warm up"))
    assert isinstance(warm_client.wait("warm up", 60), Result)
    pid = warm_client.transport.pid
    request = new_job("cancelled", slow_model_package.folder, SLOW_SIZE)
    warm_client.submit(request)
    warm_client.pump_until_network(request.job)
    started, computed = time.monotonic(), warm_client.cpu_seconds()
    warm_client.cancel(request.job)
    outcome = warm_client.wait(request.job, 60)
    computed = warm_client.cpu_seconds() - computed
    print(f"cancelled after {time.monotonic() - started:.2f} s, in which the worker computed {computed:.2f} s")
    assert isinstance(outcome, Error), "the run was over before it could be cancelled"
    assert outcome.code is ErrorCode.CANCELLED
    assert os.listdir(request.folder) == ["input.nrrd"]
    assert computed < 4.0, "0.5 s on every core of a usual computer; a clock would measure what else the machine does"
    warm_client.submit(new_job("after the cancel"))
    assert isinstance(warm_client.wait("after the cancel", 60), Result)
    assert warm_client.transport.pid == pid, "the worker stays warm"


def test_a_worker_killed_in_a_run_is_reported_and_replaced(warm_client, new_job, slow_model_package):
    warm_client.submit(new_job("killed", slow_model_package.folder, SLOW_SIZE))
    warm_client.pump_until_network("killed")
    pid = warm_client.transport.pid
    warm_client.transport.kill()
    outcome = warm_client.wait("killed", 60)
    assert outcome.code is ErrorCode.PROCESS_DIED
    assert "ended unexpectedly" in outcome.message
    if os.name == "posix":
        assert "SIGKILL" in outcome.message
    warm_client.submit(new_job("next"))
    assert isinstance(warm_client.wait("next", 60), Result)
    assert warm_client.transport.pid != pid


def test_the_end_of_stdin_ends_the_worker_in_the_middle_of_a_run(warm_client, new_job, slow_model_package):
    warm_client.submit(new_job("orphan", slow_model_package.folder, SLOW_SIZE))
    warm_client.pump_until_network("orphan")
    started = time.monotonic()
    warm_client.transport.close_input()
    outcome = warm_client.wait("orphan", 60)
    print(f"ended after {time.monotonic() - started:.2f} s")
    assert isinstance(outcome, Error), "the run was not finished first"
    assert "exit code 0" in outcome.message


def test_a_job_folder_can_be_moved_and_replayed(warm_client, new_job, tmp_path):
    import SimpleITK as sitk

    request = new_job("original")
    write_job(request.folder, request)
    warm_client.submit(request)
    original = warm_client.wait("original", 60)
    moved = tmp_path / "moved"
    shutil.copytree(request.folder, moved)
    before = sorted(os.listdir(moved))
    replayed = replay_job(moved, tmp_path / "replay", warm_client)
    assert sorted(os.listdir(moved)) == before
    assert read_job(tmp_path / "replay").folder == str(tmp_path / "replay")
    assert replayed.volume_ml == original.volume_ml
    images = [sitk.ReadImage(str(folder / "probability.nrrd")) for folder in (moved, tmp_path / "replay")]
    assert (sitk.GetArrayViewFromImage(images[0]) == sitk.GetArrayViewFromImage(images[1])).all()
    with pytest.raises(BadInput, match="another folder"):
        replay_job(moved, moved, warm_client)
    (moved / "input.nrrd").unlink()
    with pytest.raises(BadInput, match="lacks its input"):
        replay_job(moved, tmp_path / "again", warm_client)
