"""Frozen dataclasses to and from JSON objects, strictly: the type annotations are the schema.

Supported annotations: str, int, float, bool, None, unions, Literal, Enum, tuples (of one type or of a fixed
length), dict[str, X] and nested dataclasses. Every refusal is a `ProtocolError` that names the field, as in
`result.model.sha256`.
"""

from __future__ import annotations

import dataclasses
import math
import types
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ProtocolError

T = TypeVar("T")


def to_fields(instance: object, where: str) -> dict[str, object]:
    """Return a dataclass instance as a JSON object; `where` begins the name of a refused field."""
    fields = {}
    for name, hint in _hints(type(instance)).items():  # type: ignore[arg-type]
        fields[name] = _to_json(getattr(instance, name), hint, f"{where}.{name}")
    return fields


def from_fields(kind: type[T], fields: object, where: str) -> T:
    """Return an instance of the dataclass `kind` from a JSON object; fields with a default may be missing."""
    if not isinstance(fields, dict):
        raise ProtocolError(f"{where} must be an object, not {_describe(fields)}.")
    hints = _hints(kind)  # type: ignore[arg-type]
    for name in fields:
        if name not in hints:
            raise ProtocolError(f"{where} has an unknown field {name[:60]!r}.")
    for described in dataclasses.fields(kind):  # type: ignore[arg-type]
        if described.name not in fields and described.default is dataclasses.MISSING:
            raise ProtocolError(f"{where} lacks the field {described.name!r}.")
    return kind(**{name: _from_json(value, hints[name], f"{where}.{name}") for name, value in fields.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _to_json(value: object, hint: Any, where: str) -> object:
    """Turn tuples, enums and dataclasses into JSON, and check the outcome as a reader would."""
    origin = get_origin(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if type(value) is not hint:
            raise ProtocolError(f"{where} must be a {hint.__name__}, not {_describe(value)}.")
        return to_fields(value, where)
    if isinstance(hint, type) and issubclass(hint, Enum) and isinstance(value, hint):
        return value.value
    if origin is tuple and isinstance(value, tuple):
        kinds = _tuple_kinds(hint, len(value), where)
        return [_to_json(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(value, kinds, strict=True))]
    if origin is dict and isinstance(value, dict):
        inner = get_args(hint)[1]
        return {_text(key, where): _to_json(item, inner, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, tuple):
        raise ProtocolError(f"{where} must be {_name(hint)}, not a list.")
    return _from_json(value, hint, where)


def _from_json(value: object, hint: Any, where: str) -> object:
    origin = get_origin(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_fields(hint, value, where)
    if origin is Union or isinstance(hint, types.UnionType):
        return _one_of(value, get_args(hint), hint, where)
    if origin is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return _choice(value, hint, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ProtocolError(f"{where} must be a list, not {_describe(value)}.")
        kinds = _tuple_kinds(hint, len(value), where)
        return tuple(
            _from_json(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(value, kinds, strict=True))
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise ProtocolError(f"{where} must be an object, not {_describe(value)}.")
        inner = get_args(hint)[1]
        return {_text(key, where): _from_json(item, inner, f"{where}.{key[:60]}") for key, item in value.items()}
    return _scalar(value, hint, where)


def _scalar(value: object, hint: Any, where: str) -> object:
    if hint is str and isinstance(value, str):
        return _text(value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value, where)
    if hint in (int, bool, type(None)) and type(value) is hint:
        return value
    raise ProtocolError(f"{where} must be {_name(hint)}, not {_describe(value)}.")


def _one_of(value: object, choices: tuple[Any, ...], hint: Any, where: str) -> object:
    """Only `X | None` is used in messages: None where it is allowed, otherwise what X says."""
    if value is None and type(None) in choices:
        return None
    kinds = [kind for kind in choices if kind is not type(None)]
    if len(kinds) != 1:
        raise TypeError(f"{hint} is not an annotation that a message may use.")
    return _from_json(value, kinds[0], where)


def _choice(value: object, hint: Any, where: str) -> object:
    is_literal = get_origin(hint) is Literal
    known = get_args(hint) if is_literal else [member.value for member in hint]
    if not isinstance(value, str) or value not in known:
        raise ProtocolError(f"{where} must be one of {', '.join(known)}, not {_describe(value)}.")
    return value if is_literal else hint(value)


def _tuple_kinds(hint: Any, length: int, where: str) -> list[Any]:
    kinds = list(get_args(hint))
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return [kinds[0]] * length
    if len(kinds) != length:
        raise ProtocolError(f"{where} must have {len(kinds)} items, not {length}.")
    return kinds


def _text(value: object, where: str) -> str:
    """Refuse half surrogates: they appear in file names that are not UTF-8 and cannot travel in a line."""
    if not isinstance(value, str):
        raise ProtocolError(f"{where} must have text as its keys, not {_describe(value)}.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError(f"{where} holds characters that are not valid Unicode.") from None
    return value


def _finite(value: int | float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ProtocolError(f"{where} must be a finite number.")
    return number


def _name(hint: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return names.get(hint, str(hint))


def _describe(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "..."
