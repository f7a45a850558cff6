"""The double itself: it behaves as Qt and PythonQt do, and refuses what they do not have."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import time
from typing import Annotated

import pytest
import slicer
from desktop_double import signals
from desktop_double.event_loop import process_until

UI = """<ui version="4.0"><class>Panel</class>
 <widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="column"><item>
  <widget class="ctkCollapsibleButton" name="section"><property name="collapsed"><bool>true</bool></property>
   <layout class="QFormLayout" name="form"><item row="0" column="1">
    <widget class="qMRMLNodeComboBox" name="selector">
     <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
     <property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
    <item row="1" column="1"><widget class="ctkSliderWidget" name="slider">{slider}</widget></item></layout></widget>
  </item></layout></widget>
 <connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>selector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


@pytest.fixture
def panel(slicer_app, tmp_path):
    path = tmp_path / "panel.ui"
    path.write_text(UI.format(slider=""))
    return slicer.util.loadUI(str(path))


def test_what_slicer_lacks_is_refused_with_a_sentence(slicer_app):
    import ctk
    import qt

    button = qt.QPushButton("Go")
    for wrong in (
        lambda: button.setTooltip("x"),
        lambda: setattr(button, "tooltip", "x"),
        lambda: setattr(button, "click", None),
        lambda: qt.QPushButton.Klick,
        lambda: qt.QTextCodec,
        lambda: ctk.ctkFloatingButton,
        lambda: slicer.app.layoutManagers(),
        lambda: slicer.modules.nosuchmodule,
    ):
        with pytest.raises(AttributeError):
            wrong()
    with pytest.raises(NotImplementedError, match="exists in Slicer"):
        button.menu()
    with pytest.raises(TypeError, match="takes str"):
        button.text = None
    with pytest.raises(TypeError, match="no signal"):
        button.connect("clicked(int)", print)
    with pytest.raises(TypeError, match="takes int"):
        qt.QProgressBar().value = 0.5
    with pytest.raises(TypeError, match="context manager|__enter__"), qt.QSignalBlocker(button):
        pass
    with pytest.raises(FileNotFoundError):
        qt.QIcon("/no/such.png")


def test_signals_reach_python_as_pythonqt_calls_it(slicer_app):
    import qt

    button, told = qt.QPushButton(), []
    button.checkable = True
    button.clicked.connect(lambda: told.append("none"))
    button.connect("clicked()", lambda *arguments: told.append(arguments))
    button.clicked.connect(lambda wait=False: told.append(wait))
    button.clicked.connect(functools.partial(told.append))
    button.click()
    assert told == ["none", (), True, True]

    button.enabled = False
    button.click()
    assert len(told) == 4

    def fail() -> None:
        raise ValueError("in a slot")

    timer = qt.QTimer()
    timer.timeout.connect(fail)
    timer.timeout.emit()
    assert [str(error) for error in signals.slot_failures] == ["in a slot"]
    signals.slot_failures.clear()
    assert timer.disconnect("timeout()", fail) and not timer.disconnect("timeout()", fail)

    blocker = qt.QSignalBlocker(button)
    button.checked = False
    del blocker
    button.toggled.connect(lambda on: told.append(("toggled", on)))
    button.checked = True
    assert told[4:] == [("toggled", True)]

    errors = []

    def touch() -> None:
        try:
            button.text = "x"
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=touch)
    thread.start()
    thread.join()
    assert "another thread" in errors[0]


def test_visible_enabled_and_deleted_follow_the_parents(panel, slicer_app):
    slider = panel.findChild(type(panel).__mro__[1], "slider")
    section = slider.parent()
    panel.show()
    assert not slider.visible
    section.click()
    assert slider.visible and not section.collapsed
    panel.enabled = False
    assert not slider.enabled
    panel.deleteLater()
    slicer_app.processEvents()
    with pytest.raises(ValueError, match="deleted"):
        slider.value = 1.0


def test_timers_run_while_events_are_processed(slicer_app):
    import qt

    told = []
    timer = qt.QTimer()
    timer.setInterval(5)

    def tick() -> None:
        told.append(time.monotonic())
        time.sleep(0.01)
        slicer_app.processEvents()  # a nested loop must not run the same timer again

    timer.timeout.connect(tick)
    timer.start()
    qt.QTimer.singleShot(0, lambda: told.append("once"))
    process_until(lambda: len(told) >= 4, 60)
    assert told.count("once") == 1 and timer.active
    timer.stop()
    count = len(told)
    slicer_app.processEvents()
    assert len(told) == count
    timer.start(0)
    del timer, tick
    gc.collect()
    time.sleep(0.01)
    slicer_app.processEvents()
    assert len(told) == count, "a timer that Python forgot is deleted"


def test_processes_are_real(slicer_app):
    import qt

    told = []

    def watched() -> qt.QProcess:
        process = qt.QProcess()
        process.started.connect(lambda: told.append("started"))
        process.errorOccurred.connect(lambda error: told.append(error))
        process.finished.connect(lambda code, status: told.append((code, status)))
        return process

    process = watched()
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("WORD", "good-bye")
    process.setProcessEnvironment(environment)
    program = "import os, sys; print(sys.stdin.read(), os.environ['WORD']); print('oh', file=sys.stderr); sys.exit(3)"
    process.start(sys.executable, ["-c", program])
    assert process.state() == qt.QProcess.Starting and told == []
    process.write(b"hello")
    process.closeWriteChannel()
    process_until(lambda: len(told) == 2, 60)
    assert told == ["started", (3, qt.QProcess.NormalExit)]
    assert process.readAllStandardOutput().data().split() == [b"hello", b"good-bye"]
    assert process.readAllStandardError().data().split() == [b"oh"]
    assert process.write(b"too late") == -1

    told.clear()
    process = watched()
    process.start("/no/such/program", [])
    assert told == []
    process_until(lambda: told, 60)
    assert told == [qt.QProcess.FailedToStart] and "No such file" in process.errorString()

    told.clear()
    process = watched()
    process.start(sys.executable, ["-c", "import time; time.sleep(60)"])
    assert process.waitForStarted() and process.processId() > 0
    process.kill()
    assert process.waitForFinished(5000)
    assert told == ["started", qt.QProcess.Crashed, (9, qt.QProcess.CrashExit)]


def test_a_node_selector_follows_the_scene(panel):
    import qt

    selector = panel.findChild(qt.QWidget, "selector")
    told, valid_told = [], []
    selector.currentNodeChanged.connect(told.append)
    selector.connect("currentNodeChanged(bool)", lambda valid: valid_told.append(valid))
    with pytest.raises(RuntimeError, match="scene"):
        selector.setCurrentNode(None)
    panel.setMRMLScene(slicer.mrmlScene)
    first, second = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in "ab")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    assert selector.nodeCount == 2 and selector.currentNode() is first
    selector.setCurrentNode(second)
    slicer.mrmlScene.RemoveNode(second)
    assert selector.currentNode() is first
    slicer.mrmlScene.Clear(False)
    assert selector.currentNode() is None and selector.currentNodeID == ""
    assert [node and node.GetName() for node in told] == ["a", "b", "a", None]
    assert valid_told == [True, True, True, False]


def test_a_slider_without_tracking_tells_changes_in_progress_too(slicer_app):
    import ctk

    slider, told = ctk.ctkSliderWidget(), []
    slider.valueIsChanging.connect(lambda value: told.append(("changing", value)))
    slider.valueChanged.connect(lambda value: told.append(("changed", value)))
    slider.value = 1.0
    slider.tracking = False
    slider.value = 2.0
    assert told == [("changed", 1.0), ("changing", 2.0), ("changed", 2.0)]


def test_a_parameter_that_is_a_node_is_as_old_as_the_last_modification(slicer_app):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    wrapper = parameterNodeWrapper(type("Parameters", (), {"__annotations__": {"volume": slicer.vtkMRMLVolumeNode}}))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = wrapper(node)
    node.SetNodeReferenceID("volume", "vtkMRMLScalarVolumeNode77")  # what loading a scene does
    assert parameters.volume is None
    volume = slicer.mrmlScene.AddNewNodeByClassWithID("vtkMRMLScalarVolumeNode", "ct", "vtkMRMLScalarVolumeNode77")
    assert parameters.volume is None, "nobody told the parameter node"
    assert wrapper(node).volume is volume


def test_parameters_live_in_the_scene(panel, tmp_path):
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    annotations = {
        "volume": slicer.vtkMRMLScalarVolumeNode,
        "threshold": Annotated[float, WithinRange(0.1, 1.0)],
        "tta": bool,
    }
    wrapper = parameterNodeWrapper(
        type("Parameters", (), {"__annotations__": annotations, "threshold": 0.5, "tta": True})
    )
    panel.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = wrapper(node)
    assert parameters.connectGui(panel) is None, "as in Slicer 5.10"
    import qt

    selector = panel.findChild(qt.QWidget, "selector")
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "ct")
    assert parameters.volume is volume
    parameters.volume = None
    assert selector.currentNode() is volume, "a selector without None keeps its node"
    parameters.threshold, parameters.tta = 0.25, False
    with pytest.raises(ValueError, match="within range"):
        parameters.threshold = 2.0
    with pytest.raises(TypeError):
        parameters.tta = "yes"
    assert wrapper(node).threshold == 0.25 and node.GetParameter("tta") == "False"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrml")) is not None


def test_a_ui_file_that_slicer_would_load_wrongly_is_refused(slicer_app, tmp_path):
    path = tmp_path / "wrong.ui"
    path.write_text(UI.format(slider='<property name="colour"><string>red</string></property>'))
    with pytest.raises(AttributeError, match="colour"):
        slicer.util.loadUI(str(path))
    path.write_text(UI.format(slider="").replace('name="slider"', 'name="selector"'))
    with pytest.raises(ValueError, match="two objects"):
        slicer.util.loadUI(str(path))


def test_the_double_leaves_no_trace(slicer_app):
    from desktop_double.installed import installed

    assert slicer.app is slicer_app
    with installed():
        pass
    assert not hasattr(slicer, "modules") or slicer.app is slicer_app
