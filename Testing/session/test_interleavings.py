"""Whatever order people and the worker act in: every job ends once, by allowed steps, and no folder stays behind.

The worker here is a second implementation of the `Transport` port that does what the test says, when it says it: the
orders that matter (a result that comes after the cancel, a death after the last event) cannot be timed with a process.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.contracts import ModelIdentity, ResultFiles
from AttentionUNetSegLib.errors import AttentionUNetSegError, ErrorCode
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import add_volume, open_standalone_scene
from AttentionUNetSegLib.session import Failed, ResultReady, SegmentRequest, Session, SessionListener, StateChanged
from AttentionUNetSegLib.session.events import TRANSITIONS, State
from AttentionUNetSegLib.worker import protocol
from AttentionUNetSegLib.worker.transport import ProcessExit
from hypothesis import HealthCheck, example, given, settings

ENDS = {State.DONE, State.FAILED, State.CANCELLED}


class ObedientWorker:
    """A transport whose worker says what the test lets it say; each call of `say_...` is one event."""

    def __init__(self) -> None:
        self.is_running = False
        self.segment: protocol.Segment | None = None

    def start(self, listener) -> None:
        self.listener, self.is_running = listener, True

    def send(self, line: bytes) -> None:
        message = protocol.decode(line)
        if isinstance(message, protocol.Hello):
            devices = (protocol.Device("cpu", "CPU"),)
            self._say(protocol.Ready(protocol.PROTOCOL_VERSION, 1, "3.11", "2.2", devices, 0.1))
        elif isinstance(message, protocol.Segment):
            self.segment = message

    def close_input(self) -> None:
        self.is_running = False

    def kill(self) -> None:
        self.is_running = False

    def pump(self, timeout: float) -> None:
        pass

    def _say(self, event: protocol.Event) -> None:
        if self.is_running:
            self.listener.on_line(protocol.encode(event).rstrip(b"\n"))

    def say_progress(self) -> None:
        if self.segment:
            self._say(protocol.Progress(self.segment.job, 0.5, "Network", 1.0))

    def say_result(self) -> None:
        if not self.segment:
            return
        job, self.segment = self.segment, None
        folder = Path(job.folder)
        if folder.is_dir():
            probability = sitk.ReadImage(str(folder / "input.nrrd")) > 0
            sitk.WriteImage(probability * 255, str(folder / "probability.nrrd"))
        model = ModelIdentity("tiny", "Tiny", "1", "0" * 64)
        files = ResultFiles("probability.nrrd", ())
        self._say(protocol.Result(job.job, job.folder, files, {"Pancreas": 1.0}, 0.5, {}, "cpu", "CPU", model))

    def say_cancelled(self) -> None:
        self._say_error(ErrorCode.CANCELLED)

    def say_error(self) -> None:
        self._say_error(ErrorCode.INTERNAL)

    def _say_error(self, code: ErrorCode) -> None:
        if self.segment:
            job, self.segment = self.segment, None
            self._say(protocol.Error(job.job, code, "It went wrong."))

    def die(self) -> None:
        if self.is_running:
            self.is_running = False
            self.listener.on_exit(ProcessExit(-9))


@pytest.fixture(scope="module")
def app_and_scene():
    return open_standalone_scene()


WORKER_ACTIONS = ["say_progress", "say_result", "say_cancelled", "say_error", "die"]
actions = st.lists(
    st.one_of(
        st.sampled_from(["segment", "remove_volume", "clear_scene", "pump", *WORKER_ACTIONS]),
        st.tuples(st.just("cancel"), st.integers(0, 3)),
    ),
    min_size=2,
    max_size=14,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=actions,
    reaction=st.sampled_from([None, "cancel", "segment", "close", "raise"]),
    moment=st.sampled_from([*TRANSITIONS, *sorted(ENDS)]),
    in_parts=st.booleans(),
)
@example(actions=["segment", "say_error"], reaction="raise", moment=State.FAILED, in_parts=False)
@example(actions=["segment", "pump", "remove_volume", "pump"], reaction=None, moment=State.FAILED, in_parts=True)
@example(  # in the middle of the import, and after its nodes have come into the scene
    actions=["segment", "pump", "pump", "pump", "pump", "say_result", "pump", ("cancel", 0), "pump"],
    reaction=None, moment=State.FAILED, in_parts=True,
)  # fmt: skip
@example(  # the second has to wait until the worker has let go of the first, which failed for us before
    actions=["segment", "remove_volume", "segment", "say_progress", "say_cancelled", "say_result"],
    reaction=None, moment=State.FAILED, in_parts=False,
)  # fmt: skip
def test_any_order(actions, reaction, moment, in_parts, app_and_scene, tiny_model_package):
    _, scene = app_and_scene
    scene.Clear(False)
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", temporary)
        patch.setattr("AttentionUNetSegLib.imaging.raw_nrrd._BYTES_AT_ONCE", 400)  # some ten parts of a CT
        run(actions, reaction, moment, in_parts, scene, tiny_model_package, Path(temporary))


def run(actions, reaction, moment, in_parts, scene, package, temporary: Path) -> None:
    workers: list[ObedientWorker] = []
    events = []
    made: set[str] = set()  # the identities of the results that were told
    jobs: list[str] = []

    def make_worker() -> ObedientWorker:
        workers.append(ObedientWorker())
        return workers[-1]

    def add() -> None:
        voxels = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10) - 300
        node = add_volume(scene, Volume(sitk.GetImageFromArray(voxels), "ct"))
        nodes.append(node)
        segment(node)

    def segment(node) -> None:
        jobs.append(session.segment(node, SegmentRequest(model=package)))

    def react(event) -> None:
        """Call the session back, once, from within an event, as a front end may."""
        nonlocal reaction
        events.append(event)
        if isinstance(event, ResultReady):
            made.add(event.result.nodes.result_id)
        if isinstance(event, StateChanged) and event.state is moment:
            todo, reaction = reaction, None
            if todo == "cancel":
                session.cancel(event.job)
            elif todo == "close":
                session.close()
            elif todo == "segment" and nodes[-1].GetScene() and session.state is not State.CLOSED:
                segment(nodes[-1])
            elif todo == "raise":
                raise ZeroDivisionError

    def act(action) -> None:
        if action == "segment":
            add()
        elif action == "remove_volume" and nodes and nodes[-1].GetScene():
            scene.RemoveNode(nodes[-1])
        elif action == "clear_scene":
            scene.Clear(False)
        elif isinstance(action, tuple) and len(jobs) > action[1]:
            session.cancel(jobs[action[1]])
        elif action == "pump":
            for _part in range(5):
                session.pump()
        elif action in WORKER_ACTIONS and workers:
            getattr(workers[-1], action)()

    listener = SessionListener()
    listener.on_event = react
    nodes: list = []
    was_to_raise = reaction == "raise"
    session = Session(transport_factory=make_worker, listener=listener, works_in_parts=in_parts)
    for action in actions:
        if session.state is State.CLOSED:
            break
        with contextlib.suppress(ZeroDivisionError):
            act(action)
    with contextlib.suppress(ZeroDivisionError):
        session.close()

    raised = was_to_raise and reaction is None
    changes = [event for event in events if isinstance(event, StateChanged)]
    every_job = {event.job for event in changes}  # of one whose first event the listener raised at, no id came back
    assert every_job >= set(jobs)
    for job in every_job:
        states = [event.state for event in changes if event.job == job]
        assert states[0] is State.QUEUED and states[-1] in ENDS
        assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(states))
        ends = [event for event in events if isinstance(event, (ResultReady, Failed)) and event.job == job]
        assert len(ends) == (states[-1] is not State.CANCELLED) or raised
    running = 0
    for change in changes:
        running += (change.state is State.PREPARING) - (change.state in ENDS and change.job in started(changes, change))
        assert running in (0, 1), "one job at a time"
    assert not any(isinstance(event, Failed) and event.error.code is ErrorCode.PROTOCOL for event in events)
    kept = {event.folder for event in events if isinstance(event, Failed) and event.folder}
    assert set(temporary.iterdir()) == kept
    for node in slicer.util.getNodesByClass("vtkMRMLNode", scene):
        assert node.GetAttribute("AttentionUNetSeg.result") in {None, *made}, "a part of a result that came to nothing"
    for job in jobs[-4:]:
        with contextlib.suppress(AttentionUNetSegError):
            assert session.wait(job).job == job


def started(changes: list[StateChanged], until: StateChanged) -> set[str]:
    """The jobs that had begun to be prepared before a change."""
    before = changes[: changes.index(until)]
    return {change.job for change in before if change.state is State.PREPARING}
