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
        self._add(widget)

    def count(self) -> int:
        return len(self._d.items)

    def itemAt(self, index: int) -> Any:
        return self._d.items[index]

    def removeItem(self, item: Any) -> None:
        self._d.items.remove(item)

    def setContentsMargins(self, *margins: int) -> None:
        pass

    def _add(self, item: Any) -> None:
        self._d.items.append(item)
        owner = self._owner()
        for widget in widgets_of(item) if isinstance(item, Layout) else [item]:
            if owner is not None:
                widget.setParent(owner)

    def _owner(self) -> Any:
        parent = self._d.parent
        return parent._owner() if isinstance(parent, Layout) else parent


class QVBoxLayout(Layout, listed_as="qt.QVBoxLayout"):
    """A column."""

    def addLayout(self, layout: Layout, stretch: int = 0) -> None:
        layout.setParent(self)
        self._add(layout)

    def addStretch(self, stretch: int = 0) -> None:
        pass


class QHBoxLayout(Layout, listed_as="qt.QHBoxLayout"):
    """A row."""

    addLayout, addStretch = QVBoxLayout.addLayout, QVBoxLayout.addStretch


class QFormLayout(Layout, listed_as="qt.QFormLayout"):
    """Labels and fields."""

    def addRow(self, *items: Any) -> None:
        for item in items:
            if not isinstance(item, str):
                self._add(item)


def widgets_of(layout: Layout) -> list[Any]:
    """Return all widgets in a layout and in the layouts in it."""
    found = []
    for item in layout._d.items:
        found += widgets_of(item) if isinstance(item, Layout) else [item]
    return found
