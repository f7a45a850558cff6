"""The session with a real worker and a real scene: what goes right, and what people do in the meantime."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import (
    BadInput,
    BadModel,
    Cancelled,
    CannotWrite,
    ErrorCode,
    InternalError,
    ProcessDied,
    UnavailableDevice,
)
from AttentionUNetSegLib.models import load_package
from AttentionUNetSegLib.session import (
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    Session,
    State,
    StateChanged,
    Warned,
    WorkerReady,
)
from AttentionUNetSegLib.worker.job_folder import read_job
from AttentionUNetSegLib.worker.transport import SubprocessTransport, worker_command

LIMIT = 600.0  # seconds; nothing here takes that long unless it hangs


def fingerprint(volume_node) -> tuple:
    """Everything of the person's volume that a run must not change."""
    display = volume_node.GetDisplayNode()
    return (
        slicer.util.arrayFromVolume(volume_node).tobytes(),
        volume_node.GetName(),
        volume_node.GetOrigin(),
        volume_node.GetSpacing(),
        volume_node.GetTransformNodeID(),
        tuple(volume_node.GetAttributeNames()),
        volume_node.GetNumberOfDisplayNodes(),
        display.GetWindow(),
        display.GetLevel(),
        display.GetVisibility(),
    )


def on_first_progress(listener, action) -> None:
    """Do something once, when the network is at work."""
    done = []

    def react(event):
        if isinstance(event, Progressed) and event.stage == "Network" and not done:
            done.append(event)
            action(event)

    listener.reactions.append(react)


def test_a_run_tells_states_progress_and_result_in_order(
    one_worker, scene, volume_node, tiny_model_package, listener, job_folders
):
    before = fingerprint(volume_node)
    seen = []

    def look(event):
        if isinstance(event, StateChanged) and event.state is State.RUNNING:
            seen.extend((path, stat.S_IMODE(path.stat().st_mode)) for path in job_folders())
        if isinstance(event, ResultReady):
            assert (event.folder / event.files.probability).is_file()
            assert all((event.folder / name).is_file() for name in event.files.attention)

    listener.reactions.append(look)
    with Session(transport_factory=one_worker, listener=listener) as session:
        assert session.state is State.IDLE
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        assert session.state is State.RUNNING
        result = session.wait(job, LIMIT)
        assert session.state is State.IDLE
    assert session.state is State.CLOSED

    assert listener.states(job) == ["queued", "preparing", "running", "importing", "done"]
    fractions = [event.fraction for event in listener.of(Progressed)]
    assert fractions == sorted(fractions) and len(set(fractions)) > 5
    assert {event.stage for event in listener.of(Progressed)} >= {"Network", "Resampling"}
    assert listener.of(WorkerReady)[0].devices[-1][0] == "cpu"
    assert listener.of(ResultReady)[0].result is result
    assert isinstance(listener.events[-1], ResultReady)

    assert [mode for _, mode in seen] == [0o700]
    assert job_folders() == []
    assert fingerprint(volume_node) == before
    assert result.nodes.volume is volume_node
    assert result.nodes.segmentation.GetScene() is scene
    assert len(result.nodes.attention) == 2
    assert result.model.id == "tiny-random" and result.model.sha256 == tiny_model_package.weights_sha256
    assert result.device == "cpu" and result.threshold == 0.5
    assert {"export", "network", "import"} <= set(result.timings)
    assert any("No pancreas" in text for text in result.warnings)
    assert [event.text for event in listener.of(Warned)] == list(result.warnings)


def test_one_warm_worker_serves_a_queue_and_a_failure_in_it(
    one_worker, scene, volume_node, tiny_model_package, listener, job_folders
):
    broken = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "no voxels")
    request = SegmentRequest(model=tiny_model_package, device="cpu", threshold=0.4)
    with Session(transport_factory=one_worker, listener=listener) as session:
        jobs = [session.segment(node, request) for node in (volume_node, broken, volume_node)]
        last = session.wait(jobs[2], LIMIT)
        first = session.wait(jobs[0], LIMIT)
        with pytest.raises(BadInput, match="no voxels"):
            session.wait(jobs[1])
        with pytest.raises(InternalError, match="no job"):
            session.wait(jobs[0])
        assert len(listener.of(WorkerReady)) == 1
        assert listener.states(jobs[1]) == ["queued", "preparing", "failed"]
        assert first.nodes.segmentation is not last.nodes.segmentation

        voxels_ml = float(np.prod(volume_node.GetSpacing())) / 1000
        assert first.threshold == 0.4
        assert 0 < first.volume_ml["Pancreas"] <= np.prod(volume_node.GetImageData().GetDimensions()) * voxels_ml
        assert session.set_threshold(first, 0.99) == 0.0
        assert (first.threshold, first.volume_ml) == (0.99, {"Pancreas": 0.0})
        for wrong in (0.0, 1.5, float("nan")):
            with pytest.raises(BadInput):
                session.set_threshold(first, wrong)
        scene.RemoveNode(first.nodes.probability)
        with pytest.raises(BadInput, match="no longer in the scene"):
            session.set_threshold(first, 0.5)
    assert job_folders() == []


def test_results_follow_the_volumes_transform(one_worker, scene, volume_node, tiny_model_package):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    request = SegmentRequest(model=tiny_model_package, device="cpu")
    with Session(transport_factory=one_worker) as session:
        result = session.wait(session.segment(volume_node, request), LIMIT)
    for node in (result.nodes.segmentation, result.nodes.probability, *result.nodes.attention):
        assert node.GetTransformNodeID() == transform.GetID()


def test_cancel_of_a_running_and_of_a_waiting_job(
    one_worker, volume_node, slow_model_package, tiny_model_package, listener, job_folders
):
    slow = SegmentRequest(model=slow_model_package, device="cpu")
    with Session(transport_factory=one_worker, listener=listener) as session:
        running = session.segment(volume_node, slow)
        waiting = session.segment(volume_node, slow)
        after = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        session.cancel(waiting)
        session.cancel(waiting)
        on_first_progress(listener, lambda event: session.cancel(running))
        with pytest.raises(Cancelled):
            session.wait(running, LIMIT)
        with pytest.raises(Cancelled):
            session.wait(waiting)
        assert session.wait(after, LIMIT).model.id == "tiny-random"
        session.cancel(after)
    assert listener.states(running) == ["queued", "preparing", "running", "cancelling", "cancelled"]
    assert listener.states(waiting) == ["queued", "cancelled"]
    assert len(listener.of(WorkerReady)) == 1, "a cancel must not cost the warm worker"
    assert not listener.of(Failed)
    assert job_folders() == []


@pytest.mark.parametrize("how", ["volume removed", "scene closed"])
def test_the_volume_disappears_during_the_run(
    one_worker, how, scene, volume_node, slow_model_package, listener, job_folders
):
    def disappear(event):
        if how == "volume removed":
            scene.RemoveNode(volume_node)
        else:
            scene.Clear(False)

    on_first_progress(listener, disappear)
    with Session(transport_factory=one_worker, listener=listener) as session:
        job = session.segment(volume_node, SegmentRequest(model=slow_model_package, device="cpu"))
        with pytest.raises(BadInput, match="removed from the scene"):
            session.wait(job, LIMIT)
    assert listener.states(job)[-1] == "failed"
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    assert job_folders() == []


def test_a_worker_that_dies_costs_one_job_which_is_kept(
    volume_node, slow_model_package, tiny_model_package, listener, job_folders
):
    transports = []

    def make_transport():
        transports.append(SubprocessTransport())
        return transports[-1]

    on_first_progress(listener, lambda event: os.kill(transports[0].pid, signal.SIGKILL))
    with Session(transport_factory=make_transport, listener=listener) as session:
        dying = session.segment(volume_node, SegmentRequest(model=slow_model_package, device="cpu"))
        next_job = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        with pytest.raises(ProcessDied, match="ended unexpectedly") as caught:
            session.wait(dying, LIMIT)
        assert session.wait(next_job, LIMIT).device == "cpu"
    (kept,) = job_folders()
    (failed,) = listener.of(Failed)
    assert failed.folder == kept and str(kept) in str(caught.value)
    assert read_job(kept).job == dying and (kept / "input.nrrd").is_file()
    assert len(transports) == 2


@pytest.mark.parametrize("when", ["running", "from the listener"])
def test_close_during_a_run(when, volume_node, slow_model_package, listener, job_folders):
    transports = []

    def make_transport():
        transports.append(SubprocessTransport())
        return transports[-1]

    session = Session(transport_factory=make_transport, listener=listener)
    if when == "from the listener":
        on_first_progress(listener, lambda event: session.close())
    request = SegmentRequest(model=slow_model_package, device="cpu")
    job, waiting = session.segment(volume_node, request), session.segment(volume_node, request)
    if when == "running":
        while not listener.of(Progressed):
            session.pump(0.1)
        session.close()
        session.close()
    for each in (job, waiting):
        with pytest.raises(Cancelled):
            session.wait(each, LIMIT)
    assert listener.states(job)[-1] == listener.states(waiting)[-1] == "cancelled"
    assert session.state is State.CLOSED and job_folders() == []
    assert not transports[0].is_running
    with pytest.raises(ProcessLookupError):
        os.kill(transports[0].pid, 0)
    with pytest.raises(InternalError, match="closed"):
        session.segment(volume_node, request)


def test_errors_that_need_no_worker_come_at_once(volume_node, listener, job_folders):
    with Session(listener=listener) as session:
        job = session.segment(volume_node, SegmentRequest(model="no-such-model"))
        (failed,) = listener.of(Failed)
        assert failed.job == job and failed.error.code is ErrorCode.BAD_MODEL and failed.folder is None
        with pytest.raises(BadModel):
            session.wait(job)
        assert not listener.of(WorkerReady)
    for wrong in ({"threshold": 0.0}, {"threshold": float("nan")}, {"max_memory_mb": 0}):
        with pytest.raises(BadInput):
            SegmentRequest(**wrong)
    assert job_folders() == []


def test_errors_that_explain_themselves_leave_no_copy_of_the_ct(
    one_worker, volume_node, tiny_model_package, listener, job_folders, tmp_path
):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model_package.folder, broken)
    with (broken / "weights.pt").open("r+b") as weights:
        weights.write(b"damaged")
    with Session(transport_factory=one_worker, listener=listener) as session:
        for request in (
            SegmentRequest(model=load_package(broken)),
            SegmentRequest(model=tiny_model_package, device="cuda:99"),
        ):
            with pytest.raises((BadModel, UnavailableDevice)) as caught:
                session.wait(session.segment(volume_node, request), LIMIT)
            assert "kept" not in str(caught.value) and str(tmp_path) not in caught.value.hint
    assert [failed.error.code for failed in listener.of(Failed)] == [ErrorCode.BAD_MODEL, ErrorCode.UNAVAILABLE_DEVICE]
    assert [failed.folder for failed in listener.of(Failed)] == [None, None] and job_folders() == []


@pytest.mark.parametrize("is_started_before", [True, False])
@pytest.mark.parametrize(
    ("python", "words"), [("/no/such/python", "could not be started"), (sys.executable, "no torch in this test")]
)
def test_a_worker_that_cannot_start_is_a_failed_job_and_leaves_no_copy_of_the_ct(
    is_started_before, python, words, volume_node, tiny_model_package, listener, job_folders, tmp_path
):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch in this test')")
    command = worker_command(python)
    command.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), command.environment.get("PYTHONPATH", "")])
    exported = []
    listener.reactions.append(lambda event: exported.extend(job_folders()))
    with Session(transport_factory=lambda: SubprocessTransport(command), listener=listener) as session:
        if is_started_before:
            session.start_worker()
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package))
        with pytest.raises((InternalError, ProcessDied), match=words) as caught:
            session.wait(job, LIMIT)
    (failed,) = listener.of(Failed)
    assert exported, "the CT was exported meanwhile"
    assert failed.folder is None and "kept" not in str(caught.value) and job_folders() == []


def test_an_export_that_fails_keeps_nothing(volume_node, tiny_model_package, listener, tmp_path, monkeypatch):
    """The folder for temporary files is gone: an error like a full disk, before there is anything to replay."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with Session(listener=listener) as session:
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package))
        with pytest.raises(CannotWrite, match="cannot be written"):
            session.wait(job)
    assert listener.of(Failed)[0].folder is None


def test_a_ct_that_changes_while_it_is_exported_in_parts_is_never_two_in_one(
    one_worker, scene, volume_node, tiny_model_package, job_folders, monkeypatch
):
    """Between the parts people go on working, and a file with half of the old voxels would be of no patient."""
    monkeypatch.setattr("AttentionUNetSegLib.imaging.raw_nrrd._BYTES_AT_ONCE", 1)
    with Session(transport_factory=one_worker, works_in_parts=True) as session:
        session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        for _slice in range(5):
            session.pump()
        assert session.state is State.PREPARING
        voxels = slicer.util.arrayFromVolume(volume_node)
        voxels += 1
        slicer.util.arrayFromVolumeModified(volume_node)
        session.pump()
        assert session.state is State.RUNNING
        written = sitk.GetArrayFromImage(sitk.ReadImage(str(job_folders()[0] / "input.nrrd")))
        np.testing.assert_array_equal(written, voxels)
    with Session(transport_factory=one_worker, works_in_parts=True) as session:
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        session.pump()
        session.cancel(job)
        assert job_folders() == []
        with pytest.raises(Cancelled):
            session.wait(job)


def test_a_listener_that_raises_does_not_stop_the_session(
    one_worker, volume_node, tiny_model_package, listener, job_folders
):
    def raise_once(event):
        if isinstance(event, ResultReady):
            listener.reactions.clear()
            raise ZeroDivisionError

    listener.reactions.append(raise_once)
    request = SegmentRequest(model=tiny_model_package, device="cpu")
    with Session(transport_factory=one_worker, listener=listener) as session:
        first, second = session.segment(volume_node, request), session.segment(volume_node, request)
        with pytest.raises(ZeroDivisionError):
            session.wait(first, LIMIT)
        assert session.wait(first).job == first
        assert session.wait(second, LIMIT).job == second
    assert job_folders() == []


def test_waiting_can_time_out_and_go_on(one_worker, volume_node, tiny_model_package):
    with Session(transport_factory=one_worker) as session:
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        with pytest.raises(TimeoutError):
            session.wait(job, 0.01)
        assert session.wait(job, LIMIT).job == job


def test_a_volume_moved_during_the_run_gets_no_misplaced_result(
    one_worker, scene, volume_node, tiny_model_package, listener
):
    def move_by_one_voxel(event):
        x, y, z = volume_node.GetOrigin()
        volume_node.SetOrigin(x + volume_node.GetSpacing()[0], y, z)

    on_first_progress(listener, move_by_one_voxel)
    with Session(transport_factory=one_worker, listener=listener) as session:
        job = session.segment(volume_node, SegmentRequest(model=tiny_model_package, device="cpu"))
        with pytest.raises(BadInput, match="moved or resampled"):
            session.wait(job, LIMIT)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)


def test_neither_session_nor_scene_load_torch():
    check = (
        "import sys, AttentionUNetSegLib.session, AttentionUNetSegLib.session.controller, AttentionUNetSegLib.scene; "
        "assert 'slicer' in sys.modules; "
        "print(*(name for name in ('torch', 'monai', 'qt', 'PythonQt') if name in sys.modules))"
    )
    outcome = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout.strip(), outcome.stderr) == (0, "", "")
