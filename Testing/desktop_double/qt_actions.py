"""Qt's actions, shortcuts and button groups."""

from __future__ import annotations

from typing import Any

from .event_loop import loop
from .qt_objects import QObject
from .qt_values import QIcon, QKeySequence
from .qt_widgets import QWidget
from .signals import Signal
from .strict import Property, setter

override_cursors: list[Any] = []


class QApplication(QObject, listed_as="qt.QApplication"):
    """Qt's application: its static methods."""

    @staticmethod
    def setOverrideCursor(cursor: Any) -> None:
        override_cursors.append(cursor)

    @staticmethod
    def restoreOverrideCursor() -> None:
        override_cursors.pop()

    @staticmethod
    def processEvents() -> None:
        loop.process()


class QAction(QObject, listed_as="qt.QAction"):
    """A menu entry."""

    text = Property("")
    toolTip = Property("")
    icon = Property(None, QIcon)
    enabled = Property(True)
    visible = Property(True)
    checkable = Property(False)
    checked = Property(False, notify="toggled")
    triggered = Signal("triggered(bool)", "triggered()")
    toggled = Signal("toggled(bool)")
    setChecked = setter("checked")


class QMenu(QWidget, listed_as="qt.QMenu"):
    """A menu: its actions, and those of the menus in it."""

    title = Property("")
    aboutToShow = Signal("aboutToShow()")
    _written_on_it = "title"

    def addMenu(self, menu: QMenu) -> QAction:
        action = QAction(menu.title, self)
        self._d.actions.append(action)
        return action

    def actions(self) -> list[QAction]:
        return list(self._d.actions)

    def clear(self) -> None:
        self._d.actions = []


class QShortcut(QObject, listed_as="qt.QShortcut"):
    """A key combination that does something."""

    enabled = Property(True)
    activated = Signal("activated()")
    activatedAmbiguously = Signal("activatedAmbiguously()")

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._d.key = None

    @property
    def key(self) -> QKeySequence | None:
        return self._d.key

    def setKey(self, key: QKeySequence) -> None:
        self._d.key = key
