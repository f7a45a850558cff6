"""The module as Slicer holds it: start-up, sample data, dialogs of the panel, other modules' use, the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import slicer
from desktop_double.dependencies import torch_installation
from desktop_double.event_loop import process_until
from desktop_double.fixtures import MODULE_FILE
from desktop_double.qt_dialogs import answers
from desktop_double.qt_values import opened_addresses
from desktop_double.scripted_module import unload_module
from phantom_package import PHANTOM_MODEL, PHANTOM_MODEL_ID
from refined_scene import refined_scene

TESTING = Path(__file__).resolve().parents[1]


@pytest.fixture
def widget(module):
    slicer.util.selectModule("AttentionUNetSeg")
    return slicer.util.getModuleWidget("AttentionUNetSeg")


@pytest.fixture
def volume_node(slicer_app):
    from AttentionUNetSegLib.imaging import Volume
    from AttentionUNetSegLib.phantom import make_phantom
    from AttentionUNetSegLib.scene import add_volume

    return add_volume(slicer.mrmlScene, Volume(make_phantom(3, (6, 6, 8)).ct, "phantom", is_phantom=True))


def test_start_up_loads_nothing_but_the_module_file():
    program = f"""
import sys; sys.path.insert(0, {str(TESTING)!r})
from pathlib import Path
from desktop_double.installed import installed
from desktop_double.scripted_module import load_module
with installed() as app:
    before = set(sys.modules)
    module = load_module(Path({str(MODULE_FILE)!r}))
    app.startupCompleted.emit()
    print(sorted(set(sys.modules) - before - {{"AttentionUNetSeg"}}))
    print(module.title, module.categories, bool(module.helpText), bool(module.acknowledgementText))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded, described = run.stdout.splitlines()
    assert loaded == "[]", "nothing of the library at start-up"
    assert "'Segmentation'" in described and described.endswith("True True")


def test_sample_data_is_made_here(module, slicer_app):
    slicer_app.startupCompleted.emit()
    (sample,) = torch_installation.registered_samples
    assert sample["sampleName"] and sample["category"] == "AttentionUNetSeg"
    assert Path(sample["thumbnailFileName"]).is_file()
    loaded = sample["customDownloader"](sample)
    (node,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert loaded == [node] and node.GetImageData() is not None
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == node.GetID()


def test_a_result_that_an_earlier_version_refined_is_told_of_once(widget, tmp_path):
    from AttentionUNetSegLib.session.earlier_refinement import NOTICE

    slicer.util.loadScene(str(refined_scene(tmp_path / "earlier.mrb").path))
    slicer.app.processEvents()
    result, message = widget.ui.resultSelector.currentNode(), widget.panel.messages
    assert result is not None and [notice.text[: len(NOTICE)] for notice in message.notices] == [NOTICE]
    widget.ui.dismissButton.click()
    for node in (None, result):
        widget.ui.resultSelector.setCurrentNode(node)
        slicer.app.processEvents()
    assert widget.ui.resultSelector.currentNode() is result and message.notices == ()


def test_models_are_chosen_in_dialogs(widget, tmp_path):
    from AttentionUNetSegLib.models import load_package, write_package

    package = load_package(PHANTOM_MODEL)
    manifest = {**package.manifest, "id": "second", "name": "The second"}
    manifest["weights"] = {key: value for key, value in manifest["weights"].items() if key != "sha256"}
    folder = write_package(tmp_path / "second", manifest, package.weights_path).folder
    answers.prepare("")
    widget.ui.addModelFolderButton.click()
    assert not widget.ui.messageWidget.visible, "Cancel changes nothing"
    answers.prepare(str(folder))
    widget.ui.addModelFolderButton.click()
    assert "The second" in widget.ui.modelComboBox.currentText

    answers.prepare(str(tmp_path / "broken.zip"))
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    widget.ui.addModelFileButton.click()
    assert "broken.zip" in widget.ui.messageLabel.text
    widget.ui.openModelFolderButton.click()
    assert opened_addresses == [Path(os.environ["ATTENTIONUNETSEG_MODELS"]).as_uri()]


def test_the_interpreter_is_remembered_by_slicer(widget, tmp_path):
    import qt

    chosen = tmp_path / "python"
    widget.ui.interpreterPathLineEdit.currentPath = str(chosen)
    assert str(chosen) in [str(qt.QSettings().value(key)) for key in qt.QSettings().allKeys()]
    widget.onReload()
    assert slicer.util.getModuleWidget("AttentionUNetSeg").ui.interpreterPathLineEdit.currentPath == str(chosen)


def test_the_environment_chooses_the_interpreter(module, monkeypatch):
    monkeypatch.setenv("ATTENTIONUNETSEG_PYTHON", sys.executable)
    line = slicer.util.getModuleWidget("AttentionUNetSeg").ui.interpreterPathLineEdit
    assert line.currentPath == sys.executable and not line.enabled
    assert "ATTENTIONUNETSEG_PYTHON" in line.toolTip


def test_what_nobody_foresaw_is_told_and_logged(widget, caplog, monkeypatch):
    def fail() -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(widget.logic, "modelFolder", fail)
    widget.ui.openModelFolderButton.click()
    assert "nobody foresaw this" in widget.ui.messageLabel.text
    assert "ZeroDivisionError" in widget.ui.logText.plainText and widget.ui.detailsButton.visible
    assert "Unexpected error" in caplog.text


def test_a_phantom_that_cannot_be_made_is_told(widget, monkeypatch, tmp_path):
    monkeypatch.setattr("AttentionUNetSegLib.desktop.sample_phantom.slicer_python", lambda: str(tmp_path / "nowhere"))
    widget.ui.loadPhantomButton.click()
    process_until(lambda: widget.ui.retryButton.visible, 10, "the message")
    assert "could not be started" in widget.ui.messageLabel.text and "nowhere" in widget.ui.messageLabel.text
    monkeypatch.setattr("AttentionUNetSegLib.desktop.sample_phantom._SPACING_MM", (0.0, 0.0, 0.0))
    monkeypatch.setattr("AttentionUNetSegLib.desktop.sample_phantom.slicer_python", lambda: sys.executable)
    widget.ui.retryButton.click()
    process_until(lambda: widget.ui.retryButton.visible, 60, "the message")
    assert "exit code 1" in widget.ui.messageLabel.text and "spacing" in widget.ui.messageLabel.text
    assert not list(Path(tempfile.gettempdir()).glob("attention-unet-seg-phantom-*"))


def test_reloading_leaves_old_widgets_without_a_scene(widget, volume_node):
    """Slicer keeps them, hidden, and what still happens to them must not reach the new panel."""
    old = widget.ui
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "foreign")
    old.resultSelector.setCurrentNode(segmentation)
    widget.onReload()
    assert old.resultSelector.mrmlScene() is None and old.inputVolumeSelector.currentNode() is None
    new = slicer.util.getModuleWidget("AttentionUNetSeg").ui
    assert new.resultSelector.currentNode() is segmentation
    slicer.mrmlScene.RemoveNode(segmentation)
    slicer.mrmlScene.RemoveNode(volume_node)
    assert new.inputVolumeSelector.currentNode() is None


def test_no_observer_stays_on_the_parameter_node(widget):
    """Slicer 5.10 leaves one behind at every `disconnectGui`, and crashes when Python collects what it calls."""
    node = widget.logic.getParameterNode()
    widget.panel.disconnect()
    assert not node.HasObserver("ModifiedEvent")
    widget.panel.connect()
    assert node.HasObserver("ModifiedEvent")
    slicer.mrmlScene.Clear(False)
    widget.cleanup()
    assert not widget.logic.getParameterNode().HasObserver("ModifiedEvent")


def test_without_a_main_window(module, slicer_app, volume_node):
    slicer_app._d.has_window = False
    try:
        from AttentionUNetSegLib.desktop.runs import RunListener

        from AttentionUNetSeg import AttentionUNetSegLogic

        logic = AttentionUNetSegLogic()
        told = []
        listener = RunListener()
        listener.on_event = told.append
        logic.addRunListener(listener)
        logic.addModel(PHANTOM_MODEL)
        segmentation = logic.segmentPancreas(volume_node, model=PHANTOM_MODEL_ID, waitForCompletion=True)
        before = logic.volumeMl(segmentation)
        assert logic.setThreshold(segmentation, 0.1) > before
        logic.showAttention(segmentation, 1)
        assert told
        logic.close()
        logic.close()
    finally:
        slicer_app._d.has_window = True


def test_errors_of_the_logic_are_raised_to_scripts(module, volume_node):
    from AttentionUNetSegLib.errors import AttentionUNetSegError

    from AttentionUNetSeg import AttentionUNetSegLogic

    logic = AttentionUNetSegLogic()
    with pytest.raises(AttentionUNetSegError, match="no-such-model"):
        logic.segmentPancreas(volume_node, model="no-such-model", waitForCompletion=True)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "foreign")
    with pytest.raises(AttentionUNetSegError, match="no result"):
        logic.setThreshold(segmentation, 0.5)
    logic.close()


@pytest.mark.parametrize("how", ["quits", "unloads"])
def test_the_end_of_slicer_during_a_run(module, slicer_app, volume_node, how):
    slicer.util.selectModule("AttentionUNetSeg")
    widget = slicer.util.getModuleWidget("AttentionUNetSeg")
    widget.ui.inputVolumeSelector.setCurrentNode(volume_node)
    widget.ui.segmentButton.click()
    process_until(lambda: any(worker_processes()), 30, "the worker")
    (pid,) = worker_processes()
    if how == "quits":
        slicer_app.aboutToQuit.emit()
    else:
        unload_module(module)
    process_until(lambda: not _is_alive(pid), 15, "the end of the worker")
    if how == "unloads":
        assert not widget.logic.unfinishedRuns()


def test_reload_and_test_passes(module):
    slicer.selfTests["AttentionUNetSeg"]()


def worker_processes() -> list[int]:
    """Process numbers of workers that are children of this process."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "AttentionUNetSegLib.worker" in " ".join(_command(child))]


def _command(process) -> list[str]:
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
