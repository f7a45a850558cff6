"""The double itself: it behaves as Qt and PythonQt do, and refuses what they do not have."""

from __future__ import annotations

import functools
import threading

import pytest
import slicer
from desktop_double import signals

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
