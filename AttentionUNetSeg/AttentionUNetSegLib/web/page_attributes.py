"""Attributes that trame's widgets do not know: roles and labels for assistive technology, and marks for styles."""

from __future__ import annotations


def attributes(**values: str | tuple[str]) -> dict[str, list[str]]:
    """Return the keyword arguments that give a trame widget these attributes.

    Names are written with underscores (`aria_label`). As everywhere in trame, a text is the value itself and a tuple
    of one text is an expression over the page's state. Neither may hold a double quote.
    """
    raw = []
    for name, value in values.items():
        attribute = name.replace("_", "-")
        raw.append(f':{attribute}="{value[0]}"' if isinstance(value, tuple) else f'{attribute}="{value}"')
    return {"raw_attrs": raw}
