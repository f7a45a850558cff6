"""The rule of the double: an object offers what the list of a running Slicer has, and nothing else.

`Strict` is the base of everything in `qt`, `ctk` and `slicer` that is doubled. A name that the list does not have
raises AttributeError, as Slicer would, but with a sentence; a name that it has and that nobody has acted out yet raises
NotImplementedError, so that a test cannot pass by accident.
"""

from __future__ import annotations

import json
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LIST_FILE = Path(__file__).with_name("slicer_api.json")

# What PythonQt offers beyond `dir()`: "name" is its other word for objectName, on which slicer.util.findChildren and
# childWidgetVariables rely (PythonQtClassInfo::lookForPropertyAndCache).
_BESIDE_THE_LIST = {"qt.QObject": {"name"}, "qt.QWidget": {"name"}}


@cache
def listed_classes() -> dict[str, dict[str, Any]]:
    """Return the committed list: qualified class name -> {"extends", "names"}."""
    listed = json.loads(LIST_FILE.read_text(encoding="utf-8"))
    del listed["about"]
    return listed


@cache
def names_of(qualified: str) -> frozenset[str]:
    """Return every attribute that the class offers in Slicer, inherited ones included.

    Raises
    ------
    KeyError : the list has no such class.
    """
    entry = listed_classes()[qualified]
    names = set(entry["names"]) | _BESIDE_THE_LIST.get(qualified, set())
    if "extends" in entry:
        names |= names_of(entry["extends"])
    return frozenset(names)


def refuse(qualified: str, name: str) -> Exception:
    """Return the error for a name that the double does not offer: Slicer lacks it, or we have not acted it out."""
    if name in names_of(qualified):
        return NotImplementedError(
            f"{qualified}.{name} exists in Slicer, but Testing/desktop_double does not act it out yet. Add it there."
        )
    return AttributeError(f"{qualified} has no attribute {name!r} in a running Slicer 5.13 (see {LIST_FILE.name}).")


class _StrictType(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise refuse(cls.listed_as, name)


class Strict(metaclass=_StrictType):
    """An object of a listed class. Its state is in `_d`, out of the way of the names that Slicer has."""

    listed_as = ""
    is_doubled = True  # False for classes that Python code derives, which may hold attributes of their own

    def __init_subclass__(cls, listed_as: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_doubled = listed_as is not None
        if listed_as is None:
            return
        cls.listed_as = listed_as
        ours = cls.__mro__[: cls.__mro__.index(Strict)]
        offered = {name.rstrip("_") for base in ours for name in vars(base) if not name.startswith("_")}
        if invented := offered - names_of(listed_as) - {"listed_as", "is_doubled"}:
            raise TypeError(f"The double of {listed_as} offers what Slicer does not: {sorted(invented)}")

    def __init__(self) -> None:
        object.__setattr__(self, "_d", SimpleNamespace(values={}, receivers=[], is_deleted=False))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_d":
            raise AttributeError(name)
        raise refuse(self.listed_as, name)

    def __setattr__(self, name: str, value: object) -> None:
        require_main_thread(f"{type(self).listed_as}.{name}")
        require_alive(self, name)
        member = _class_attribute(type(self), name)
        if hasattr(type(member), "__set__"):
            member.__set__(self, value)
        elif not self.is_doubled:
            object.__setattr__(self, name, value)
        elif member is not None:
            raise AttributeError(f"{self.listed_as}.{name} is a method or a read-only property: it cannot be assigned.")
        else:
            raise refuse(self.listed_as, name)

    def __bool__(self) -> bool:
        return not self._d.is_deleted


def require_main_thread(what: str) -> None:
    """Raise RuntimeError elsewhere: Qt objects live on the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"{what} was used on another thread than the main one: Slicer would crash.")


def require_alive(thing: Strict, name: str) -> None:
    """Raise ValueError, as PythonQt does, when the C++ object behind the Python one is gone."""
    if thing._d.is_deleted:
        raise ValueError(f"Trying to use {type(thing).listed_as}.{name} of an object that Qt has deleted.")


def _class_attribute(cls: type, name: str) -> object | None:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


class Property:
    """A Qt property, as PythonQt shows it: an attribute. It converts as strictly as moc's types deserve.

    Parameters
    ----------
    default : value of a new object.
    kind : bool, int, float, str, or a class of ours; None takes anything.
    notify : name of the signal that tells the new value.
    """

    def __init__(self, default: object, kind: type | None = None, notify: str | None = None) -> None:
        self._default = default
        self._kind = kind if kind is not None or default is None else type(default)
        self._notify = notify

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Strict | None, cls: type) -> Any:
        if owner is None:
            return self
        return owner._d.values.get(self._name, self._default)

    def __set__(self, owner: Strict, value: object) -> None:
        value = converted(value, self._kind, f"{owner.listed_as}.{self._name}")
        if value == self.__get__(owner, type(owner)):
            return
        owner._d.values[self._name] = value
        if self._notify:
            getattr(owner, self._notify).emit(value)


def converted(value: object, kind: type | None, what: str) -> Any:
    """Return the value as the property's type takes it.

    Raises
    ------
    TypeError : PythonQt would refuse or silently mangle it (a float for an int, None for a string).
    """
    if kind is None or (kind not in (bool, int, float, str) and value is None):
        return value
    accepted = {bool: (bool, int), int: int, float: (int, float), str: str}.get(kind, kind)
    if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
        raise TypeError(f"{what} takes {kind.__name__}, not {value!r}.")
    return kind(value) if kind in (bool, float) else value


def setter(name: str) -> Any:
    """Return the slot that sets a property: `setText = setter("text")`."""

    def slot(self: Strict, value: object) -> None:
        setattr(self, name, value)

    return slot
