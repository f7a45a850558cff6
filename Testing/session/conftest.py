"""A standalone scene with a phantom in it, a model that takes long, and a listener that keeps what it was told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.phantom import make_phantom
from AttentionUNetSegLib.scene import add_volume, open_standalone_scene
from AttentionUNetSegLib.session import ResultEditor, SessionListener
from organ_scene import new_result, organ_ct
from shared_worker import SharedWorker


@pytest.fixture(scope="session")
def phantom_volume() -> Volume:
    return Volume(make_phantom(3, spacing_mm=(4, 4, 5)).ct, "phantom", is_phantom=True)


@pytest.fixture
def scene():
    app, scene = open_standalone_scene()
    yield scene
    scene.Clear(False)
    del app


@pytest.fixture(scope="module")
def one_worker() -> Iterator[SharedWorker]:
    """One worker for the sessions of a module that neither look at its start nor end it."""
    worker = SharedWorker()
    yield worker
    worker.close()


@pytest.fixture
def volume_node(scene, phantom_volume):
    return add_volume(scene, phantom_volume)


@pytest.fixture
def ct():
    return organ_ct()


@pytest.fixture
def nodes(scene, ct, tmp_path):
    volume_node = add_volume(scene, Volume(ct, "liver"))
    return new_result(scene, volume_node, ct, tmp_path)


@pytest.fixture
def editor(nodes) -> ResultEditor:
    return ResultEditor(nodes)


class Listener(SessionListener):
    """Keeps every event; `reactions` are called with each of them first."""

    def __init__(self) -> None:
        self.events = []
        self.reactions = []

    def on_event(self, event) -> None:
        self.events.append(event)
        for reaction in list(self.reactions):
            reaction(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def states(self, job: str) -> list[str]:
        return [event.state.value for event in self.events if hasattr(event, "state") and event.job == job]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def job_folders(tmp_path, monkeypatch):
    """Sends the job folders to a place of the test's own; calling it lists those that are left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return lambda: sorted(Path(folder).iterdir())
