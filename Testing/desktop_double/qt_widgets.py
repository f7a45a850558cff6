"""Qt's widgets: what a person sees and clicks. No pixels: focus, layout and painting have no place in a double."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from . import qt_layouts
from .qt_objects import QObject
from .qt_values import QIcon, QSize
from .signals import Signal
from .strict import Property, setter


class QWidget(QObject, listed_as="qt.QWidget"):
    """Visible and enabled only where all its ancestors are."""

    toolTip = Property("")
    windowTitle = Property("")
    minimumSize = Property(None, QSize)
    focusPolicy = Property(None)
    sizePolicy = Property(None)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._d.enabled = True
        self._d.is_hidden = self._d.parent is None  # a window is shown by show(), a child with its parent
        self._d.layout = None
        self._d.actions = []

    def isWidgetType(self) -> bool:
        return True

    def setParent(self, parent: QObject | None) -> None:
        was_a_window = self._d.parent is None
        super().setParent(parent)
        if parent is not None and was_a_window and hasattr(self._d, "is_hidden"):
            self._d.is_hidden = self._d.__dict__.get("hidden_by_code", False)

    # --- enabled ---

    @property
    def enabled(self) -> bool:
        return self._d.enabled and (self._d.parent is None or getattr(self._d.parent, "enabled", True))

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._d.enabled = boolean(value, f"{self.listed_as}.enabled")

    # --- visible ---

    @property
    def visible(self) -> bool:
        parent = self._d.parent
        if self._d.is_hidden:
            return False
        return not isinstance(parent, QWidget) or (parent.visible and parent._shows_children())

    @visible.setter
    def visible(self, value: bool) -> None:
        self._d.is_hidden = not boolean(value, f"{self.listed_as}.visible")
        self._d.hidden_by_code = self._d.is_hidden

    def _shows_children(self) -> bool:
        return True

    def isHidden(self) -> bool:
        return self._d.is_hidden

    def show(self) -> None:
        self.visible = True

    def hide(self) -> None:
        self.visible = False

    def close(self) -> bool:
        self.visible = False
        return True

    # --- places ---

    def layout(self) -> Any:
        return self._d.layout

    def setLayout(self, layout: Any) -> None:
        self._d.layout = layout
        layout.setParent(self)
        for widget in qt_layouts.widgets_of(layout):
            widget.setParent(self)

    def window(self) -> QObject:
        return self if self._d.parent is None else self._d.parent.window()

    def grab(self) -> Any:
        """Return a picture of nothing: there are no pixels here."""
        return SimpleNamespace(save=lambda path: bool(Path(path).write_bytes(b"")) or True)

    def setFocus(self) -> None:
        pass

    def addAction(self, action: Any) -> None:
        self._d.actions.append(action)


def boolean(value: object, what: str) -> bool:
    """Return a bool for a bool or an int, as moc does; TypeError for anything else."""
    if not isinstance(value, (bool, int)):
        raise TypeError(f"{what} takes bool, not {value!r}.")
    return bool(value)


class Button(QWidget):
    """What all buttons share (QAbstractButton)."""

    text = Property("")
    icon = Property(None, QIcon)
    iconSize = Property(None, QSize)
    checkable = Property(False)
    shortcut = Property(None)
    clicked = Signal("clicked(bool)", "clicked()")
    toggled = Signal("toggled(bool)")
    setText = setter("text")

    @property
    def checked(self) -> bool:
        return self._d.values.get("checked", False)

    @checked.setter
    def checked(self, value: bool) -> None:
        value = boolean(value, f"{self.listed_as}.checked")
        if not self.checkable or value == self.checked:
            return
        self._d.values["checked"] = value
        self._tell_checked(value)

    setChecked = setter("checked")

    def _tell_checked(self, value: bool) -> None:
        self.toggled.emit(value)

    def toggle(self) -> None:
        self.checked = not self.checked

    def click(self) -> None:
        """What a person's click does: nothing on a disabled button."""
        if not self.enabled:
            return
        if self.checkable:
            self.toggle()
        if not self._d.is_deleted:
            self.clicked.emit(self.checked)


class QPushButton(Button, listed_as="qt.QPushButton"):
    """A push button."""


class QToolButton(Button, listed_as="qt.QToolButton"):
    """A tool button."""

    popupMode = Property(None)

    def setMenu(self, menu: QWidget) -> None:
        self._d.menu = menu

    def menu(self) -> QWidget | None:
        return getattr(self._d, "menu", None)


class QCheckBox(Button, listed_as="qt.QCheckBox"):
    """A check box. `stateChanged` is deprecated in Qt 6.7 but there; `checkStateChanged` is not in Qt 5."""

    stateChanged = Signal("stateChanged(int)")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._d.values["checkable"] = True

    def _tell_checked(self, value: bool) -> None:
        self.toggled.emit(value)
        self.stateChanged.emit(2 if value else 0)


class QFrame(QWidget, listed_as="qt.QFrame"):
    """A frame."""


class QLabel(QWidget, listed_as="qt.QLabel"):
    """A text."""

    text = Property("")
    wordWrap = Property(False)
    textFormat = Property(None)
    textInteractionFlags = Property(None)
    setText = setter("text")

    def clear(self) -> None:
        self.text = ""

    def setBuddy(self, widget: QWidget) -> None:
        self._d.buddy = widget


class QProgressBar(QWidget, listed_as="qt.QProgressBar"):
    """A progress bar."""

    minimum = Property(0)
    maximum = Property(100)
    format = Property("%p%")
    valueChanged = Signal("valueChanged(int)")

    @property
    def value(self) -> int:
        return self._d.values.get("value", -1)

    @value.setter
    def value(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError(f"qt.QProgressBar.value takes int, not {value!r}.")
        is_busy = self.minimum == self.maximum == 0
        if not is_busy and self.minimum <= value <= self.maximum and value != self.value:  # others are ignored
            self._d.values["value"] = value
            self.valueChanged.emit(value)

    setValue = setter("value")
