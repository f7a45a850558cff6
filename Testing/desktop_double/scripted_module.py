"""`slicer.ScriptedLoadableModule`, and how Slicer brings a scripted module to life, reloads it and lets it go."""

from __future__ import annotations

import importlib.util
import os
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer

from .mrml_widgets import qMRMLSegmentEditorWidget, qMRMLWidget
from .qt_layouts import QVBoxLayout
from .qt_objects import delete


class ScriptedLoadableModule:
    """Base of `AttentionUNetSeg`: what the module says of itself, on its parent."""

    def __init__(self, parent: LoadableModule) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, name: str) -> str:
        """Return the path of a file in the module's Resources."""
        return os.path.join(os.path.dirname(self.parent.path), "Resources", name)

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        """Run the module's test class."""
        test = getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Base of the widget; developer mode is off."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, name: str) -> str:
        """Return the path of a file in the module's Resources."""
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name)

    def setup(self) -> None:
        """Make the panel."""

    def cleanup(self) -> None:
        """Called before the module is unloaded or reloaded."""

    def onReload(self) -> None:
        """Reload, as the developer's button does."""
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Base of the logic, with the parameter node of the module in the scene."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        """Return the module's parameter node, made if there is none."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of in-Slicer tests."""

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Show a message: here, let the events be processed."""
        slicer.app.processEvents()

    def runTest(self) -> None:
        """Replaced by the module's own."""


class LoadableModule:
    """qSlicerScriptedLoadableModule: the properties that a scripted module may set (qSlicerAbstractCoreModule.h)."""

    _PROPERTIES = (  # noqa: SIM905
        "name path title categories dependencies contributors helpText acknowledgementText icon hidden "
        "index associatedNodeTypes widgetRepresentationCreationEnabled "
    ).split()

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.path = str(path)
        self._widget: ModuleWidget | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name not in self._PROPERTIES:
            raise AttributeError(f"A scripted module has no property {name!r}.")
        object.__setattr__(self, name, value)

    def widgetRepresentation(self) -> ModuleWidget:
        """Return the module's panel, made when it is first asked for."""
        if self._widget is None:
            self._widget = ModuleWidget(self)
            self._widget.reload()
        return self._widget

    def logic(self) -> None:
        """A scripted module has no C++ logic."""


class ModuleWidget(qMRMLWidget):
    """qSlicerScriptedLoadableModuleWidget: the panel around the Python widget."""

    def __init__(self, module: LoadableModule) -> None:
        super().__init__()
        self.setLayout(QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)
        self.module = module
        self.python = None

    def self(self) -> Any:
        """Return the Python widget."""
        return self.python

    def reload(self) -> None:
        """Make the Python widget, anew if there was one. The old one's widgets stay, hidden by `slicer.util`."""
        widget_class = getattr(sys.modules[self.module.name], f"{self.module.name}Widget")
        self.python = widget_class(self)
        setattr(slicer.modules, f"{self.module.name}Widget", self.python)
        self.python.setup()

    def enter(self) -> None:
        """What selecting the module in the module list does."""
        self.show()
        if hasattr(self.python, "enter"):
            self.python.enter()

    def exit(self) -> None:
        """What selecting another module does."""
        if hasattr(self.python, "exit"):
            self.python.exit()
        self.hide()


class SegmentEditorModule:
    """`slicer.modules.segmenteditor`: a scripted module whose Python widget has `editor`."""

    name = "SegmentEditor"

    def __init__(self) -> None:
        self._widget = ModuleWidget(self)
        editor = qMRMLSegmentEditorWidget(self._widget)
        self._widget.python = SimpleNamespace(
            editor=editor, selectParameterNode=editor._select_parameter_node, enter=editor._select_parameter_node
        )
        slicer.modules.SegmentEditorWidget = self._widget.python

    def widgetRepresentation(self) -> ModuleWidget:
        """Return the module's panel."""
        return self._widget


def load_module(path: Path) -> LoadableModule:
    """Load a scripted module's file as Slicer does at start-up, without its panel."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = python_module
    spec.loader.exec_module(python_module)
    module = LoadableModule(path)
    getattr(python_module, path.stem)(module)
    setattr(slicer.modules, path.stem.lower(), module)
    return module


def unload_module(module: LoadableModule) -> None:
    """Let a module go as Slicer does when it quits."""
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(module.name)
    if module._widget is not None:
        delete(module._widget)
    for name in (module.name.lower(), f"{module.name}Widget"):
        vars(slicer.modules).pop(name, None)
    sys.modules.pop(module.name, None)


def as_module() -> ModuleType:
    """Return `slicer.ScriptedLoadableModule`."""
    module = ModuleType("slicer.ScriptedLoadableModule")
    classes = (
        ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest,
    )  # fmt: skip
    for thing in classes:
        setattr(module, thing.__name__, thing)
    module.__all__ = [thing.__name__ for thing in classes]
    return module
