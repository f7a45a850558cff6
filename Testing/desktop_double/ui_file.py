"""Loads a Qt Designer file into the double's widgets, and refuses what Slicer's loader would pass over silently."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import qt_layouts, qt_widgets
from .qt_objects import QObject, has_property
from .qt_values import QSize
from .signals import find_signal
from .strict import names_of


class QFile:
    """What `slicer.util.loadUI` needs of QFile. It is not in the list, so the product must not use it."""

    ReadOnly = 1

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.is_file()

    def open(self, mode: int) -> bool:
        """Nothing to do: the loader opens it."""
        return True


class QFileInfo:
    """What `registerModule` takes. It is not in the list, so the product must not use it."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def absoluteFilePath(self) -> str:
        """Return the whole path."""
        return str(self._path.absolute())


class QUiLoader:
    """What `slicer.util.loadUI` needs of QUiLoader."""

    classes: dict[str, type] = {}  # noqa: RUF012 - filled once, by `installed`

    def load(self, file: QFile) -> QObject:
        """Return the widget that the file describes."""
        return _Loader(self.classes).load(ET.parse(file.path).getroot())


class _Loader:
    def __init__(self, classes: dict[str, type]) -> None:
        self._classes = classes
        self._named: dict[str, QObject] = {}
        self._buddies: list[tuple[Any, str]] = []

    def load(self, ui: ET.Element) -> QObject:
        root = self._widget(ui.find("widget"), None)
        for label, name in self._buddies:
            label.setBuddy(self._find(name))
        for connection in ui.iterfind("connections/connection"):
            self._connect(connection)
        return root

    def _widget(self, element: ET.Element, parent: QObject | None) -> QObject:
        kind = element.get("class")
        if kind not in self._classes:
            raise LookupError(f"The .ui file uses {kind}, which is not among the double's classes.")
        widget = self._classes[kind](parent) if parent is not None else self._classes[kind]()
        self._name(widget, element)
        for child in element:
            if child.tag == "property":
                self._set(widget, child)
            elif child.tag == "widget":
                self._widget(child, widget)
            elif child.tag == "layout":
                self._layout(child, widget)
            elif child.tag == "item":
                widget.addItem(child.findtext("property[@name='text']/string"))
        return widget

    def _layout(self, element: ET.Element, owner: QObject) -> qt_layouts.Layout:
        kind = element.get("class")
        layout = getattr(qt_layouts, kind)(owner if isinstance(owner, qt_widgets.QWidget) else None)
        self._name(layout, element)
        return self._fill(layout, element, owner)

    def _fill(self, layout: qt_layouts.Layout, element: ET.Element, owner: QObject) -> qt_layouts.Layout:
        for item in element.iterfind("item"):
            for child in item:
                if child.tag == "widget":
                    layout._d.items.append(self._widget(child, owner))
                elif child.tag == "layout":
                    inner = getattr(qt_layouts, child.get("class"))()
                    inner.setParent(layout)
                    self._name(inner, child)
                    layout._d.items.append(self._fill(inner, child, owner))
        return layout

    def _name(self, thing: QObject, element: ET.Element) -> None:
        name = element.get("name", "")
        thing.objectName = name
        if name and name in self._named:
            raise ValueError(f"The .ui file has two objects named {name}.")
        self._named[name] = thing

    def _set(self, widget: QObject, element: ET.Element) -> None:
        name, value = element.get("name"), _value(element[0])
        if element.get("stdset") == "0":
            widget._d.dynamic[name] = value
        elif name == "buddy":
            self._buddies.append((widget, value))
        elif has_property(type(widget), name):
            setattr(widget, name, value)
        elif name in names_of(widget.listed_as):
            widget._d.dynamic[name] = value  # a property of looks only
        else:
            raise AttributeError(f"The .ui file sets {name} of {widget.objectName}, which {widget.listed_as} lacks.")

    def _connect(self, element: ET.Element) -> None:
        sender = self._find(element.findtext("sender"))
        receiver = self._find(element.findtext("receiver"))
        slot = element.findtext("slot").partition("(")[0]
        sender.connect(find_signal(sender, element.findtext("signal"))[1], getattr(receiver, slot))

    def _find(self, name: str | None) -> Any:
        if name not in self._named:
            raise LookupError(f"The .ui file refers to {name}, which it does not have.")
        return self._named[name]


_READERS: dict[str, Callable[[ET.Element], Any]] = {
    "string": lambda element: element.text or "",
    "cstring": lambda element: element.text or "",
    "bool": lambda element: element.text == "true",
    "number": lambda element: int(element.text),
    "double": lambda element: float(element.text),
    "stringlist": lambda element: tuple(entry.text or "" for entry in element),
    "size": lambda element: QSize(int(element.findtext("width")), int(element.findtext("height"))),
}


def _value(element: ET.Element) -> Any:
    """Return the value of a property; enumerations and the like stay text, since only looks depend on them."""
    return _READERS.get(element.tag, lambda element: "".join(element.itertext()).strip())(element)
