"""Qt's fields: text, numbers, choices."""

from __future__ import annotations

from typing import Any

from .qt_objects import QObject
from .qt_widgets import QWidget
from .signals import Signal
from .strict import Property, converted, setter


class QPlainTextEdit(QWidget, listed_as="qt.QPlainTextEdit"):
    """Lines of text; with a maximum the oldest go."""

    placeholderText = Property("")
    readOnly = Property(False)
    tabChangesFocus = Property(False)
    maximumBlockCount = Property(0)
    textChanged = Signal("textChanged()")

    @property
    def plainText(self) -> str:
        return "\n".join(self._d.values.get("lines", []))

    @plainText.setter
    def plainText(self, text: str) -> None:
        self._put(converted(text, str, "qt.QPlainTextEdit.plainText").split("\n") if text else [])

    def appendPlainText(self, text: str) -> None:
        text = converted(text, str, "qt.QPlainTextEdit.appendPlainText")
        self._put(self._d.values.get("lines", []) + text.split("\n"))

    def clear(self) -> None:
        self._put([])

    def _put(self, lines: list[str]) -> None:
        self._d.values["lines"] = lines[-self.maximumBlockCount :] if self.maximumBlockCount else lines
        self.textChanged.emit()


class Choice(QWidget):
    """What a combo box has."""

    minimumContentsLength = Property(0)
    placeholderText = Property("")
    sizeAdjustPolicy = Property(None)
    activated = Signal("activated(int)")
    currentIndexChanged = Signal("currentIndexChanged(int)")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.items = []
        self._d.index = -1

    @property
    def count(self) -> int:
        return len(self._d.items)

    @property
    def currentIndex(self) -> int:
        return self._d.index

    @currentIndex.setter
    def currentIndex(self, index: int) -> None:
        index = converted(index, int, f"{self.listed_as}.currentIndex")
        index = index if 0 <= index < len(self._d.items) else -1
        if index != self._d.index:
            self._d.index = index
            self._tell()

    setCurrentIndex = setter("currentIndex")

    @property
    def currentText(self) -> str:
        return self._d.items[self._d.index] if self._d.index >= 0 else ""

    def addItem(self, text: str) -> None:
        self._d.items.append(converted(text, str, f"{self.listed_as}.addItem"))
        if len(self._d.items) == 1:
            self._d.index = 0
            self._tell()

    def clear(self) -> None:
        had = self._d.index
        self._d.items, self._d.index = [], -1
        if had != -1:
            self._tell()

    def itemText(self, index: int) -> str:
        return self._d.items[index] if 0 <= index < len(self._d.items) else ""

    def _tell(self) -> None:
        self.currentIndexChanged.emit(self._d.index)


class QComboBox(Choice, listed_as="qt.QComboBox"):
    """A list to choose from. `currentIndexChanged(int)` only: the text overload is gone in Qt 6."""


class Number(QWidget):
    """What spin boxes and sliders share: a value between bounds. Setting it out of bounds takes the bound."""

    _kind: type = float
    _decimals = 2

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._d.bounds = [self._kind(0), self._kind(99)]
        self._d.value = self._kind(0)

    def _bound(self, index: int, value: Any, name: str) -> None:
        value = converted(value, self._kind, f"{self.listed_as}.{name}")
        self._d.bounds[index] = value
        other = 1 - index
        if (value > self._d.bounds[1]) if index == 0 else (value < self._d.bounds[0]):
            self._d.bounds[other] = value
        self._put(self._d.value)

    def _put(self, value: Any) -> None:
        value = converted(value, self._kind, f"{self.listed_as}.value")
        if value != value:
            raise ValueError(f"{self.listed_as}.value was set to NaN.")
        low, high = self._d.bounds
        value = min(max(value, low), high)
        decimals = self._d.values.get("decimals", self._decimals)
        value = round(value, decimals) if self._kind is float else value
        if value != self._d.value:
            self._d.value = value
            self._tell(value)

    def _tell(self, value: Any) -> None:
        self.valueChanged.emit(value)


def number_property(name: str) -> property:
    """Return the property "minimum", "maximum" or "value" of a `Number`; only listed classes may offer one."""
    index = {"minimum": 0, "maximum": 1}.get(name)

    def get(self: Number) -> Any:
        return self._d.value if index is None else self._d.bounds[index]

    def put(self: Number, value: Any) -> None:
        self._put(value) if index is None else self._bound(index, value, name)

    return property(get, put)
