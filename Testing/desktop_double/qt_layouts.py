"""Layouts: they only keep what was put into them, and give it a parent."""

from __future__ import annotations

from typing import Any

from .qt_objects import QObject


class Layout(QObject):
    """What all layouts share."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self._d.items = []
        if parent is not None:
            parent.setLayout(self)

    def addWidget(self, widget: Any, *place: Any) -> None:
        self._d.items.append(widget)
        if self._d.parent is not None:
            widget.setParent(self._d.parent)

    def count(self) -> int:
        return len(self._d.items)

    def itemAt(self, index: int) -> Any:
        return self._d.items[index]

    def removeItem(self, item: Any) -> None:
        self._d.items.remove(item)

    def indexOf(self, widget: Any) -> int:
        return self._d.items.index(widget) if widget in self._d.items else -1


class QVBoxLayout(Layout, listed_as="qt.QVBoxLayout"):
    """A column."""


class QHBoxLayout(Layout, listed_as="qt.QHBoxLayout"):
    """A row."""


class QFormLayout(Layout, listed_as="qt.QFormLayout"):
    """Labels and fields."""


def widgets_of(layout: Layout) -> list[Any]:
    """Return all widgets in a layout and in the layouts in it."""
    found = []
    for item in layout._d.items:
        found += widgets_of(item) if isinstance(item, Layout) else [item]
    return found
