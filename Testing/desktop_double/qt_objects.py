"""`qt.QObject` and the classes without a face: timers, settings, colours, addresses, byte arrays."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from . import signals
from .event_loop import call_later, loop
from .signals import Signal
from .strict import Property, Strict, require_alive, setter


class QObject(Strict, listed_as="qt.QObject"):
    """Parents, names, dynamic properties, connections."""

    objectName = Property("", notify="objectNameChanged")
    objectNameChanged = Signal("objectNameChanged(QString)")
    destroyed = Signal("destroyed(QObject*)", "destroyed()")

    _written_on_it = "text"  # the property that a string argument sets

    def __init__(self, *arguments: Any) -> None:
        """Take (), (parent), (text), (text, parent), (icon, text) and the like, as Qt's classes do."""
        super().__init__()
        state = self._d
        state.dynamic, state.children, state.parent, state.blocked = {}, [], None, False
        for argument in arguments:
            if isinstance(argument, QObject):
                self.setParent(argument)
            elif isinstance(argument, str):
                setattr(self, self._written_on_it, argument)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            state = object.__getattribute__(self, "__dict__").get("_d")
            if state is not None and state.is_deleted:
                require_alive(self, name)
        return object.__getattribute__(self, name)

    @property
    def name(self) -> str:
        return self.objectName

    @name.setter
    def name(self, value: str) -> None:
        self.objectName = value

    def parent(self) -> QObject | None:
        return self._d.parent

    def children(self) -> list[QObject]:
        return list(self._d.children)

    def setParent(self, parent: QObject | None) -> None:
        if self._d.parent is not None:
            self._d.parent._d.children.remove(self)
        self._d.parent = parent
        if parent is not None:
            parent._d.children.append(self)

    def findChildren(self, kind: type, name: str = "") -> list[QObject]:
        found = []
        for child in self._d.children:
            if isinstance(child, kind) and name in ("", child.objectName):
                found.append(child)
            found += child.findChildren(kind, name)
        return found

    def findChild(self, kind: type, name: str = "") -> QObject | None:
        return next(iter(self.findChildren(kind, name)), None)

    def className(self) -> str:
        return self.listed_as.partition(".")[2]

    def isWidgetType(self) -> bool:
        return False

    def property(self, name: str) -> Any:
        if name in self._d.dynamic:
            return self._d.dynamic[name]
        return getattr(self, name) if has_property(type(self), name) else None

    def blockSignals(self, block: bool) -> bool:
        was, self._d.blocked = self._d.blocked, bool(block)
        return was

    def signalsBlocked(self) -> bool:
        return self._d.blocked

    def connect(self, signature: str, receiver: Callable[..., object]) -> bool:
        return signals.connect(self, *signals.find_signal(self, signature), receiver)

    def disconnect(self, signature: str, receiver: Callable[..., object] | None = None) -> bool:
        return signals.disconnect(self, *signals.find_signal(self, signature), receiver)

    def deleteLater(self) -> None:
        loop.post(lambda: delete(self))

    def delete(self) -> None:
        delete(self)


def has_property(cls: type, name: str) -> bool:
    """Whether the double has a Qt property of that name for the class."""
    member = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return isinstance(member, (Property, property))


def delete(thing: QObject) -> None:
    """Destroy an object and its children, as C++ does; their Python wrappers are of no use any more."""
    if thing._d.is_deleted:
        return
    thing.destroyed.emit(thing)
    for child in list(thing._d.children):
        delete(child)
    if thing._d.parent is not None:
        thing.setParent(None)
    thing._d.receivers.clear()
    thing._d.is_deleted = True


class _SingleShot:
    """`timer.singleShot` is a property, `qt.QTimer.singleShot(msec, callable)` a static method."""

    def __get__(self, timer: QTimer | None, cls: type) -> Any:
        return call_later if timer is None else timer._d.values.get("singleShot", False)

    def __set__(self, timer: QTimer, value: bool) -> None:
        timer._d.values["singleShot"] = bool(value)


class QTimer(QObject, listed_as="qt.QTimer"):
    """A timer of the double's event loop."""

    singleShot = _SingleShot()
    timeout = Signal("timeout()")
    setSingleShot = setter("singleShot")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.interval = 0
        self._d.due = None
        self._d.is_firing = False

    @property
    def interval(self) -> int:
        return self._d.interval

    @interval.setter
    def interval(self, milliseconds: int) -> None:
        if not isinstance(milliseconds, int):
            raise TypeError(f"qt.QTimer.interval takes int, not {milliseconds!r}.")
        self._d.interval = milliseconds
        if self._d.due is not None:
            self._d.due = time.monotonic() + milliseconds / 1000

    setInterval = setter("interval")

    def isActive(self) -> bool:
        return self._d.due is not None

    def start(self, milliseconds: int | None = None) -> None:
        if milliseconds is not None:
            self.interval = milliseconds
        self._d.due = time.monotonic() + self._d.interval / 1000
        loop.watch_timer(_TimerWatch.of(self))

    def stop(self) -> None:
        self._d.due = None


class _TimerWatch:
    """What the event loop sees of a timer; it lives as long as the timer does."""

    def __init__(self, timer: QTimer) -> None:
        self._state = timer._d
        self._timer = weakref.ref(timer)

    @classmethod
    def of(cls, timer: QTimer) -> _TimerWatch:
        if not hasattr(timer._d, "watch"):
            timer._d.watch = cls(timer)
        return timer._d.watch

    def is_due(self, now: float) -> bool:
        state = self._state
        return state.due is not None and not state.is_deleted and not state.is_firing and now >= state.due

    def fire(self) -> None:
        state = self._state
        state.due = None if state.values.get("singleShot") else time.monotonic() + state.interval / 1000
        state.is_firing = True  # a nested processEvents does not fire it again
        try:
            if timer := self._timer():
                timer.timeout.emit()
        finally:
            state.is_firing = False


class QSignalBlocker(Strict, listed_as="qt.QSignalBlocker"):
    """Blocks until it is collected. It is no context manager in PythonQt, so it is none here."""

    def __init__(self, target: QObject) -> None:
        super().__init__()
        self._d.target = target
        self._d.before = target.blockSignals(True)

    def __del__(self) -> None:
        if "_d" in self.__dict__ and hasattr(self._d, "before") and not self._d.target._d.is_deleted:
            self._d.target.blockSignals(self._d.before)


class QByteArray(Strict, listed_as="qt.QByteArray"):
    """What a QProcess reads. `data()` is Python's bytes; the object itself is not."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__()
        self._d.content = bytes(content)

    def data(self) -> bytes:
        return self._d.content

    def size(self) -> int:
        return len(self._d.content)

    length = count = size


class QSettings(QObject, listed_as="qt.QSettings"):
    """The person's settings, in memory. As on disk with an .ini file, what is not a string may come back as one."""

    def value(self, key: str, default: object = None) -> Any:
        return _stored_settings.get(key, default)

    def setValue(self, key: str, value: object) -> None:
        if value is not None and not isinstance(value, (bool, int, float, str, list)):
            raise TypeError(f"qt.QSettings.setValue({key!r}) was given {value!r}, which is no plain value.")
        _stored_settings[key] = str(value).lower() if isinstance(value, bool) else value

    def contains(self, key: str) -> bool:
        return key in _stored_settings

    def remove(self, key: str) -> None:
        _stored_settings.pop(key, None)

    def allKeys(self) -> list[str]:
        return sorted(_stored_settings)


_stored_settings: dict[str, Any] = {}


def stored_settings() -> dict[str, Any]:
    """The content of every QSettings, for tests to look at and to clear."""
    return _stored_settings
