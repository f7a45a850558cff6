"""PyTorch: asked for once, only on a click, only through the PyTorch extension; declined or failed, Retry."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import slicer
from desktop_double.dependencies import torch_installation
from desktop_double.event_loop import process_until
from desktop_double.qt_dialogs import answers
from phantom_package import PHANTOM_MODEL, PHANTOM_MODEL_ID


@pytest.fixture
def panel(module, monkeypatch):
    """The panel with a phantom selected, in a Slicer whose Python has no torch until it is installed."""
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.phantom import make_phantom
    from AttentionUNetSegLib.scene import add_volume

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "torch" and not torch_installation.is_installed else find_spec(name, *rest),
    )
    slicer.util.selectModule("AttentionUNetSeg")
    widget = slicer.util.getModuleWidget("AttentionUNetSeg")
    phantom = make_phantom(3, spacing_mm=(6, 6, 8))
    add_volume(slicer.mrmlScene, Volume(phantom.ct, "phantom", is_phantom=True))
    widget.ui.inputVolumeSelector.setCurrentNodeIndex(0)
    widget.logic.addModel(PHANTOM_MODEL)
    widget.panel.input.fill_models()
    widget.panel.parameters.model = PHANTOM_MODEL_ID
    return widget


def buttons():
    import qt

    return qt.QMessageBox


def test_nothing_happens_before_the_click(panel):
    torch_installation.is_installed = False
    slicer.app.startupCompleted.emit()
    slicer.app.processEvents()
    assert torch_installation.requests == [] and answers.shown == []


def test_declined_then_retried(panel):
    torch_installation.is_installed = False
    answers.prepare(buttons().Cancel)
    panel.ui.segmentButton.click()
    (question,) = answers.shown
    assert "PyTorch" in question and "GB" in question, "what and how much"
    assert torch_installation.requests == []
    assert "not installed" in panel.ui.messageLabel.text and panel.ui.retryButton.visible
    assert panel.ui.segmentButton.enabled and not panel.logic.unfinishedRuns()

    answers.prepare(buttons().Ok)
    panel.ui.retryButton.click()
    (request,) = torch_installation.requests
    assert request == {"ask": False, "torch": ">=2.2"}, "one question is enough"
    process_until(lambda: not panel.logic.unfinishedRuns(), 120)
    assert len(panel.logic.results()) == 1, panel.ui.messageLabel.text
    panel.ui.segmentButton.click()
    assert len(answers.shown) == 2, "asked once"
    panel.ui.cancelButton.click()
    process_until(lambda: not panel.logic.unfinishedRuns(), 60)


def test_the_installation_fails(panel):
    torch_installation.is_installed = False
    torch_installation.failure = RuntimeError("no network")
    answers.prepare(buttons().Ok)
    panel.ui.segmentButton.click()
    assert "no network" in panel.ui.messageLabel.text and panel.ui.retryButton.visible
    assert panel.logic.results() == [] and not panel.logic.unfinishedRuns()


def test_the_extension_is_missing(panel, monkeypatch):
    torch_installation.is_installed = False
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    panel.ui.segmentButton.click()
    assert "PyTorch extension" in panel.ui.messageLabel.text
    assert answers.shown == []


def test_nothing_is_installed_while_slicer_tests(panel):
    torch_installation.is_installed = False
    slicer.app._d.is_testing = True
    try:
        panel.ui.segmentButton.click()
    finally:
        slicer.app._d.is_testing = False
    assert torch_installation.requests == [] and answers.shown == []
    assert "tests" in panel.ui.messageLabel.text


def test_another_python_needs_nothing_here(panel):
    torch_installation.is_installed = False
    panel.ui.interpreterPathLineEdit.currentPath = sys.executable
    panel.ui.segmentButton.click()
    process_until(lambda: not panel.logic.unfinishedRuns(), 120)
    assert len(panel.logic.results()) == 1, panel.ui.messageLabel.text
    assert answers.shown == [] and torch_installation.requests == []
