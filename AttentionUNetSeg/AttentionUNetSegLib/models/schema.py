"""Checks a document against a JSON Schema and says what is wrong in sentences a person can act on.

Slicer does not bundle the `jsonschema` library, so this is the part of JSON Schema (draft 2020-12) that
`model.schema.json` needs. It accepts and refuses exactly what `jsonschema` does (Testing/models/test_schema.py holds
the two side by side); what it adds is the wording: "input.spacing_mm: 3 numbers from 0.1 to 50 expected, got 2".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def violations(document: Any, schema: Schema, path: str = "", root: Schema | None = None) -> Iterator[str]:
    """Every way in which a document breaks a schema, one sentence each, in the order of the schema.

    Parameters
    ----------
    document : Any
        What ``json.loads`` returned.
    schema : Schema
        A JSON Schema that uses the keywords of ``KEYWORDS`` and references below ``#/$defs/`` only.
    path : str
        Where the document lies in a larger one, as in ``labels[0].code``; "" for the whole.
    root : Schema | None
        The schema that holds ``$defs``; default: `schema` itself.

    Raises
    ------
    ValueError
        The schema (not the document) uses a keyword that is not supported here.
    """
    root = schema if root is None else root
    schema = _resolved(schema, root)
    unsupported = set(schema) - KEYWORDS
    if unsupported:
        raise ValueError(f"The schema uses keywords that are not supported here: {', '.join(sorted(unsupported))}.")

    if any(not check(document, schema[keyword]) for keyword, check in CHECKS.items() if keyword in schema):
        yield f"{path or 'the document'}: {_expectation(schema, root)} expected, got {_found(document, schema)}."
        return
    if isinstance(document, dict):
        yield from _violations_of_fields(document, schema, path, root)
    elif isinstance(document, list) and "items" in schema:
        for index, item in enumerate(document):
            yield from violations(item, schema["items"], f"{path}[{index}]", root)


def _violations_of_fields(document: dict[str, Any], schema: Schema, path: str, root: Schema) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in document:
            yield f"{prefix}{name}: missing; {_expectation(known.get(name, {}), root)} expected."
    for name, value in document.items():
        if name in known:
            yield from violations(value, known[name], f"{prefix}{name}", root)
        elif schema.get("additionalProperties", True) is False:
            yield f"{prefix}{name}: unknown field; known here are {', '.join(known)}."


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return found


# What each keyword asks; a keyword says nothing about values of a type it is not about.


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
}


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0 but not true, which Python calls equal."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda value, name: TYPES[name](value),
    "const": _same,
    "enum": lambda value, allowed: any(_same(value, each) for each in allowed),
    "pattern": lambda value, pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
    "minLength": lambda value, limit: not isinstance(value, str) or len(value) >= limit,
    "maxLength": lambda value, limit: not isinstance(value, str) or len(value) <= limit,
    "minimum": lambda value, limit: not _is_number(value) or value >= limit,
    "maximum": lambda value, limit: not _is_number(value) or value <= limit,
    "exclusiveMinimum": lambda value, limit: not _is_number(value) or value > limit,
    "exclusiveMaximum": lambda value, limit: not _is_number(value) or value < limit,
    "minItems": lambda value, limit: not isinstance(value, list) or len(value) >= limit,
    "maxItems": lambda value, limit: not isinstance(value, list) or len(value) <= limit,
}
KEYWORDS = {
    *CHECKS, "items", "properties", "required", "additionalProperties",
    "$schema", "$defs", "title", "description",
}  # fmt: skip


# Words.


def _expectation(schema: Schema, root: Schema, plural: bool = False) -> str:
    """What a schema asks for, as a noun phrase: "a number above 0", "3 numbers above 0"."""
    schema = _resolved(schema, root)
    if "description" in schema:
        return str(schema["description"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(each) for each in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        items = _expectation(schema["items"], root, plural=True) if "items" in schema else "entries"
        return f"{_bounds(schema, 'minItems', 'maxItems')} {items}".strip()
    if kind == "string":
        length = _bounds(schema, "minLength", "maxLength")
        return f"text of {length} characters" if length else "text"
    singular, many = {
        "object": ("an object", "objects"),
        "boolean": ("true or false", "true or false"),
        "integer": ("a whole number", "whole numbers"),
        "number": ("a number", "numbers"),
    }.get(str(kind), ("a value", "values"))
    return f"{many if plural else singular} {_range(schema)}".strip()


def _bounds(schema: Schema, low: str, high: str) -> str:
    if low in schema and high in schema:
        return str(schema[low]) if schema[low] == schema[high] else f"{schema[low]} to {schema[high]}"
    if low in schema:
        return f"{schema[low]} or more"
    return f"{schema[high]} or fewer" if high in schema else ""


def _range(schema: Schema) -> str:
    words = [
        f"{word} {schema[keyword]}"
        for keyword, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "up to"),
            ("exclusiveMaximum", "below"),
        )
        if keyword in schema
    ]
    return " and ".join(words).replace(" and up to", " to") if "minimum" in schema else " and ".join(words)


def _found(value: Any, schema: Schema) -> str:
    if isinstance(value, list) and schema.get("type") == "array":
        return str(len(value))
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
