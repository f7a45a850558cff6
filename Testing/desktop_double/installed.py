"""Puts the double where Slicer has its modules, and takes it away again, so that other tests see slicer-core alone."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import slicer

from . import (
    application,
    ctk_widgets,
    dependencies,
    mrml_widgets,
    parameter_node,
    qt_actions,
    qt_dialogs,
    qt_inputs,
    qt_layouts,
    qt_objects,
    qt_process,
    qt_values,
    qt_widgets,
    scripted_module,
    ui_file,
)
from .strict import Strict, listed_classes

_MODULES = [
    *(ctk_widgets, mrml_widgets),
    *(qt_actions, qt_dialogs, qt_inputs, qt_layouts, qt_objects, qt_process, qt_values, qt_widgets),
]
_LOADING = {"QFile": ui_file.QFile, "QFileInfo": ui_file.QFileInfo, "QUiLoader": ui_file.QUiLoader}
_BESIDE_THE_LIST = {"qt": {"Qt": qt_values.Qt, **_LOADING}}


class _Namespace(types.ModuleType):
    """`qt` or `ctk`: refuses what Slicer lacks, and says so of what the double lacks."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        qualified = f"{self.__name__}.{name}"
        if qualified in listed_classes():
            raise NotImplementedError(f"{qualified} exists in Slicer, but Testing/desktop_double does not act it out.")
        raise AttributeError(
            f"{qualified} is not in Testing/desktop_double/slicer_api.json. If the full list of a running Slicer has "
            "it, keep it there with trim_slicer_api.py, and act it out; otherwise do not use it."
        )


@cache
def acted_out() -> dict[str, type]:
    """Every class of the double by its qualified name."""
    found = {}
    for module in _MODULES:
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Strict) and "listed_as" in vars(thing):
                found[thing.listed_as] = thing
    return {name: thing for name, thing in found.items() if name}


@cache
def _modules() -> dict[str, types.ModuleType]:
    """The modules by the name under which they are imported; made once, so that classes keep their identity."""
    spaces = {name: _Namespace(name) for name in ("qt", "ctk")}
    for qualified, thing in acted_out().items():
        space, _, name = qualified.partition(".")
        if space in spaces:
            setattr(spaces[space], name, thing)
    for space, extra in _BESIDE_THE_LIST.items():
        for name, thing in extra.items():
            setattr(spaces[space], name, thing)
    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    translation.getContext = lambda source_file: source_file
    return {
        **spaces,
        "slicer.ScriptedLoadableModule": scripted_module.as_module(),
        "slicer.parameterNodeWrapper": parameter_node.as_module(),
        "slicer.i18n": translation,
        **dependencies.modules(),
    }


@cache
def _application() -> application.Application:
    return application.Application()


@contextmanager
def installed() -> Iterator[application.Application]:
    """Make `import qt`, `slicer.app` and the like work within the `with`; yields `slicer.app`.

    The scene is the same each time, as Slicer has one scene for all its life; it is emptied at the end.
    """
    modules = _modules()
    ui_file.QUiLoader.classes = {name.partition(".")[2]: thing for name, thing in acted_out().items()}
    on_slicer = {name.partition(".")[2]: module for name, module in modules.items() if name.startswith("slicer.")}
    on_slicer |= {name.partition(".")[2]: thing for name, thing in acted_out().items() if name.startswith("slicer.")}
    on_slicer |= {
        "qSlicerScriptedLoadableModule": scripted_module.LoadableModule,
        "qSlicerScriptedLoadableModuleWidget": scripted_module.ModuleWidget,
        "selfTests": {},
    }
    before = {name: vars(slicer).get(name) for name in (*on_slicer, "app", "modules", "mrmlScene")}
    app = _application()
    slicer.app, slicer.modules, slicer.mrmlScene = app, types.SimpleNamespace(), app.mrmlScene()
    for name, logic in dependencies.module_logics(app).items():
        setattr(slicer.modules, name, types.SimpleNamespace(logic=lambda logic=logic: logic, name=name))
    vars(slicer).update(on_slicer)
    sys.modules.update(modules)
    slicer.modules.segmenteditor = scripted_module.SegmentEditorModule()
    try:
        yield app
    finally:
        app.mrmlScene().Clear(False)
        app._forget()
        for name in modules:
            sys.modules.pop(name, None)
        for name, thing in before.items():
            if thing is None:
                vars(slicer).pop(name, None)
            else:
                setattr(slicer, name, thing)
