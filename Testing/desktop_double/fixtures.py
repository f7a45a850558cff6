"""Fixtures for pytest: the double in place, with the module loaded, and nothing allowed to go wrong unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import dependencies, event_loop, qt_dialogs, qt_objects, qt_values, scripted_module, signals
from .application import Application
from .installed import installed

MODULE_FILE = Path(__file__).resolve().parents[2] / "AttentionUNetSeg" / "AttentionUNetSeg.py"


@pytest.fixture
def slicer_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """Yield `slicer.app` of a fresh double without modules. No slot may raise, no dialog stay unanswered."""
    monkeypatch.setattr("tempfile.tempdir", str(_new_folder(tmp_path / "temporary")))
    _set_environment(monkeypatch, tmp_path / "models")
    with installed() as app:
        yield app
        forget()


@pytest.fixture
def module(slicer_app: Application) -> Iterator[scripted_module.LoadableModule]:
    """Yield our module, loaded, its panel not made yet."""
    loaded = scripted_module.load_module(MODULE_FILE)
    yield loaded
    scripted_module.unload_module(loaded)


@pytest.fixture(scope="module")
def slicer_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Yield `slicer.app` with our module in it, for all tests of a file: one Slicer, one panel, one warm worker."""
    with pytest.MonkeyPatch.context() as monkeypatch, installed() as app:
        _set_environment(monkeypatch, tmp_path_factory.mktemp("models"))
        loaded = scripted_module.load_module(MODULE_FILE)
        yield app
        scripted_module.unload_module(loaded)
        forget()


def forget() -> None:
    """Empty everything that outlives a test; fail for slots that raised and dialogs that never opened."""
    event_loop.loop.clear()
    qt_objects.stored_settings().clear()
    qt_values.opened_addresses.clear()
    dependencies.torch_installation.clear()
    check_nothing_unseen()


def check_nothing_unseen() -> None:
    """Fail for slots that raised and for answers that nobody asked for."""
    failures = list(signals.slot_failures)
    signals.slot_failures.clear()
    qt_dialogs.answers.clear()
    assert not failures, f"Slots raised: {failures}"


def _set_environment(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("ATTENTIONUNETSEG_MODELS", str(models))
    monkeypatch.delenv("ATTENTIONUNETSEG_PYTHON", raising=False)


def _new_folder(path: Path) -> Path:
    path.mkdir()
    return path
