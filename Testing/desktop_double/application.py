"""`slicer.app`, its layout manager and `slicer.modules`, around a real scene with real logics."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from AttentionUNetSegLib.scene.standalone import new_application

from .event_loop import loop
from .qt_actions import QApplication
from .qt_objects import QObject
from .qt_process import QProcessEnvironment
from .qt_widgets import QWidget
from .signals import Signal
from .strict import Property

SLICE_VIEWS = ("Red", "Green", "Yellow")


class Application(QObject, listed_as="slicer.app"):
    """The running application. `has_window` False is `--no-main-window`: then there is no layout manager."""

    applicationName = Property("Slicer")
    applicationVersion = Property("5.13.0-2026-08-21 (the desktop double)")
    os = Property("linux")
    slicerHome = Property("")
    startupCompleted = Signal("startupCompleted()")
    aboutToQuit = Signal("aboutToQuit()")

    def __init__(self) -> None:
        super().__init__()
        self._d.core = new_application()
        camera = slicer.vtkMRMLCameraNode()
        camera.SetLayoutName("1")  # of the 3D view; a singleton, which closing a scene resets
        self._d.core.scene.AddNode(camera)
        self._d.layout_manager = LayoutManager(self._d.core)
        self._d.module_manager = ModuleManager()
        self._d.has_window = True
        self._d.is_testing = False
        self._d.options = SimpleNamespace(runPythonAndExit=True, testingEnabled=False)
        self._d.exit_code = None
        self._d.clipboard = ""
        self._d.window = MainWindow()
        self._d.io_manager = InputOutput(self._d.core)
        self._d.dicom_database = DicomDatabase()

    def _forget(self) -> None:
        """Become as fresh as after the start, for the next test."""
        self._d.receivers.clear()
        self._d.module_manager._d.receivers.clear()
        self._d.has_window, self._d.is_testing, self._d.clipboard, self._d.exit_code = True, False, "", None
        self._d.window.selected = ""
        self._d.window.messages.clear()

    def commandOptions(self) -> Any:
        return self._d.options

    def exit(self, code: int = 0) -> None:
        self._d.exit_code = code

    def processEvents(self) -> None:
        loop.process()

    def mrmlScene(self) -> Any:
        return self._d.core.scene

    def dicomDatabase(self) -> Any:
        return self._d.dicom_database

    def applicationLogic(self) -> Any:
        return self._d.core.app_logic

    def layoutManager(self) -> LayoutManager | None:
        return self._d.layout_manager if self._d.has_window else None

    def moduleManager(self) -> ModuleManager:
        return self._d.module_manager

    def coreIOManager(self) -> InputOutput:
        return self._d.io_manager

    def startupEnvironment(self) -> QProcessEnvironment:
        return QProcessEnvironment.systemEnvironment()

    def topLevelWidgets(self) -> list[QWidget]:
        return [self._d.window] if self._d.has_window else []

    def testingEnabled(self) -> bool:
        return self._d.is_testing

    def clipboard(self) -> Any:
        state = self._d
        return SimpleNamespace(
            setText=lambda text: setattr(state, "clipboard", text),
            text=lambda: state.clipboard,
        )

    setOverrideCursor = staticmethod(QApplication.setOverrideCursor)
    restoreOverrideCursor = staticmethod(QApplication.restoreOverrideCursor)


class DicomDatabase:
    """ctkDICOMDatabase, as far as it tells where an instance lies. Not in the list of names."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def fileForInstance(self, uid: str) -> str:
        """Return the file, or "" for an instance that is not there."""
        return self.files.get(uid, "")


class MainWindow(QWidget):
    """qSlicerMainWindow. It is not in the list: only what slicer.util calls on it."""

    def __init__(self) -> None:
        super().__init__()
        self.objectName = "qSlicerMainWindow"
        self.messages: list[str] = []
        self.selected = ""
        self.show()

    def moduleSelector(self) -> Any:
        """Return what chooses the module that is shown."""
        return SimpleNamespace(selectModule=self._select, selectedModule=self.selected)

    def statusBar(self) -> Any:
        """Return what shows short messages."""
        return SimpleNamespace(showMessage=lambda text, duration=0: self.messages.append(text))

    def _select(self, name: str) -> None:
        panels = {each: getattr(slicer.modules, each.lower(), None) for each in (self.selected, name)}
        if panels[name] is None:
            raise RuntimeError(f"There is no module {name}.")
        if name != self.selected:
            if panels[self.selected] is not None:
                panels[self.selected].widgetRepresentation().exit()
            self.selected = name
            panels[name].widgetRepresentation().enter()


class InputOutput(QObject, listed_as="slicer.qSlicerIOManager"):
    """Saves and loads scenes as Slicer does for `slicer.util.saveScene` and `loadScene`: .mrb and .mrml."""

    def __init__(self, core: Any) -> None:
        super().__init__()
        self._d.core = core

    def saveNodes(self, kind: str, properties: dict[str, Any], messages: Any = None) -> bool:
        path = str(properties["fileName"])
        scene = self._d.core.scene
        if kind != "SceneFile":
            raise NotImplementedError("The double saves scenes only.")
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path, None, messages))
        scene.SetURL(path)
        return bool(scene.Commit())

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        path = str(properties["fileName"])
        scene = self._d.core.scene
        if kind != "SceneFile":
            raise NotImplementedError("The double loads scenes only.")
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, properties.get("clear", False), messages))
        scene.SetURL(path)
        return bool(scene.Connect() if properties.get("clear", False) else scene.Import())


class FactoryManager:
    """qSlicerModuleFactoryManager, as far as a script loads a scripted module with it. Not in the list of names."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def registerModule(self, file: Any) -> None:
        """Note a module's file; as in Slicer, Python runs in `__main__` that takes these two names away at its end."""
        path = Path(file.absoluteFilePath())
        self._files[path.stem] = path
        exec(f"import sys, os\nsys.path.append({str(path.parent)!r})\ndel sys, os", vars(sys.modules["__main__"]))

    def loadModules(self, names: list[str]) -> None:
        """Load modules by their names."""
        from .scripted_module import load_module

        for name in names:
            load_module(self._files[name])


class ModuleManager(QObject, listed_as="slicer.app.moduleManager()"):
    """The modules of `slicer.modules`."""

    moduleAboutToBeUnloaded = Signal("moduleAboutToBeUnloaded(QString)")

    def module(self, name: str) -> Any:
        return getattr(slicer.modules, name.lower(), None)

    def factoryManager(self) -> FactoryManager:
        return _factory_manager


_factory_manager = FactoryManager()


class LayoutManager(QObject, listed_as="slicer.qSlicerLayoutManager"):
    """Three slice views and a 3D view: their nodes and logics are real, nothing is drawn."""

    def __init__(self, core: Any) -> None:
        super().__init__()
        self._d.slices = {}
        for name in SLICE_VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(core.app_logic)
            logic.SetMRMLScene(core.scene)
            logic.AddSliceNode(name)
            core.app_logic.GetSliceLogics().AddItem(logic)
            self._d.slices[name] = SliceWidget(logic)
        logic = slicer.vtkMRMLViewLogic()
        logic.SetMRMLApplicationLogic(core.app_logic)
        logic.SetMRMLScene(core.scene)
        logic.AddViewNode("1")
        core.app_logic.GetViewLogics().AddItem(logic)
        self._d.core = core
        self._d.three_d = ThreeDWidget(logic)

    layout = Property(3)
    threeDViewCount = Property(1)
    tableViewCount = Property(0)
    plotViewCount = Property(0)

    def sliceViewNames(self) -> tuple[str, ...]:
        return SLICE_VIEWS

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._d.slices.get(name)

    def mrmlSliceLogics(self) -> Any:
        return self._d.core.app_logic.GetSliceLogics()

    def threeDWidget(self, index: int) -> ThreeDWidget:
        return self._d.three_d

    def setLayout(self, layout: int) -> None:
        self.layout = layout

    def resetThreeDViews(self) -> None:
        pass

    resetSliceViews = resetThreeDViews


class SliceWidget(QWidget, listed_as="slicer.qMRMLSliceWidget"):
    """One slice view."""

    def sliceView(self) -> Any:
        # Not in the list: what slicer.util.forceRenderAllViews calls.
        return SimpleNamespace(forceRender=lambda: None)

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._d.logic = logic

    def sliceLogic(self) -> Any:
        return self._d.logic

    def mrmlSliceNode(self) -> Any:
        return self._d.logic.GetSliceNode()


class ThreeDWidget(QWidget, listed_as="slicer.qMRMLThreeDWidget"):
    """The 3D view; its inner view takes the calls that only change what is drawn."""

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._d.logic = logic

    def threeDView(self) -> Any:
        # Not in the list: qMRMLThreeDView's slots that Slicer's own modules call.
        return SimpleNamespace(resetFocalPoint=lambda: None, resetCamera=lambda: None, forceRender=lambda: None)
