"""Signals and slots as PythonQt connects them to Python callables."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from .strict import Strict, require_alive, require_main_thread

# Exceptions raised in slots: PythonQt prints them and goes on, so a test has to ask for them.
slot_failures: list[BaseException] = []


def normalized(signature: str) -> str:
    """Return a signature without spaces, `const` and `&`, as Qt compares them."""
    return re.sub(r"\bconst\b|[\s&]", "", signature)


class Signal:
    """A signal with its signatures, as its header declares them.

    `object.signal.connect` takes the first, as PythonQt does (`PythonQtClassInfo::lookForMethodAndCache`). Others leave
    arguments out, or carry something else: then `emit_overloads` tells each its own.
    """

    def __init__(self, *signatures: str) -> None:
        self.signatures = tuple(normalized(signature) for signature in signatures)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        assert all(signature.startswith(f"{name}(") for signature in self.signatures), self.signatures

    def __get__(self, owner: Strict | None, cls: type) -> Any:
        return self if owner is None else BoundSignal(owner, self)


class BoundSignal:
    """`object.signal`: connect, disconnect, emit."""

    def __init__(self, owner: Strict, signal: Signal) -> None:
        self._owner = owner
        self._signal = signal

    def connect(self, receiver: Callable[..., object]) -> bool:
        """Connect, as `object.connect("signal(...)", receiver)` does with the first signature."""
        return connect(self._owner, self._signal, self._signal.signatures[0], receiver)

    def disconnect(self, receiver: Callable[..., object] | None = None) -> bool:
        """Disconnect one receiver, or all."""
        return disconnect(self._owner, self._signal, None, receiver)

    def emit(self, *arguments: object) -> None:
        """Call all receivers."""
        self.emit_overloads(dict.fromkeys(self._signal.signatures, arguments))

    def emit_overloads(self, arguments: dict[str, tuple[object, ...]]) -> None:
        """Call all receivers, each with what its own signature carries."""
        owner = self._owner
        require_main_thread(f"{owner.listed_as}.{self._signal.name}")
        by_signature = {normalized(signature): values for signature, values in arguments.items()}
        for connection in list(owner._d.receivers):
            signal, signature, receiver = connection
            if owner._d.is_deleted or owner.signalsBlocked():
                return
            if signal is self._signal and signature in by_signature and connection in owner._d.receivers:
                call(receiver, by_signature[signature][: _count_arguments(signature)])

    __call__ = emit


def find_signal(owner: Strict, signature: str) -> tuple[Signal, str]:
    """Return the signal of that object with that signature, and the signature normalized.

    Raises
    ------
    TypeError : there is none; Qt would only print a line, and the connection would be missing.
    """
    wanted = normalized(signature)
    signal = inspect.getattr_static(type(owner), wanted.partition("(")[0], None)
    if not isinstance(signal, Signal) or wanted not in signal.signatures:
        known = signal.signatures if isinstance(signal, Signal) else "no signal of that name is acted out"
        raise TypeError(f"{owner.listed_as} has no signal {signature!r}: {known}.")
    return signal, wanted


def connect(owner: Strict, signal: Signal, signature: str, receiver: Callable[..., object]) -> bool:
    """Add a connection; twice connected is twice called, as in Qt."""
    require_alive(owner, signal.name)
    if not callable(receiver):
        raise TypeError(f"{owner.listed_as}.{signal.name} was connected to {receiver!r}, which cannot be called.")
    owner._d.receivers.append((signal, signature, receiver))
    return True


def disconnect(owner: Strict, signal: Signal, signature: str | None, receiver: Callable[..., object] | None) -> bool:
    """Remove all connections that match; False when there was none."""
    kept = [
        connection
        for connection in owner._d.receivers
        if connection[0] is not signal
        or (signature is not None and connection[1] != signature)
        or (receiver is not None and connection[2] != receiver)
    ]
    was_connected = len(kept) != len(owner._d.receivers)
    owner._d.receivers[:] = kept
    return was_connected


def call(receiver: Callable[..., object], arguments: tuple[object, ...] = ()) -> None:
    """Call a slot with as many arguments as it takes. What it raises is printed and kept, not passed on."""
    if isinstance(receiver, BoundSignal):
        receiver.emit(*arguments)
        return
    limit = accepted_arguments(receiver)
    try:
        receiver(*(arguments if limit is None else arguments[:limit]))
    except Exception as error:  # as PythonQt: a slot's exception never reaches the one who emitted
        slot_failures.append(error)
        sys.excepthook(type(error), error, error.__traceback__)


def accepted_arguments(receiver: Callable[..., object]) -> int | None:
    """How many arguments PythonQt passes at most: co_argcount of a function or a bound method, else all (None).

    Parameters with defaults count: a slot `f(self, wait=False)` gets the bool of `clicked(bool)`.
    """
    function = getattr(receiver, "__func__", receiver)
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - (1 if inspect.ismethod(receiver) else 0)


def _count_arguments(signature: str) -> int:
    inside = signature.partition("(")[2].rstrip(")")
    return inside.count(",") + 1 if inside else 0
