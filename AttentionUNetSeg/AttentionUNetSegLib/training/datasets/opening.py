"""From "LAYOUT:PATH" to scans with labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...errors import BadInput
from ..labelled_scan import LabelledScan
from .phantoms import open_phantoms, phantom_prefix
from .table import open_table, table_prefix


@dataclass(frozen=True)
class _Layout:
    description: str
    # (path, prefix of the scans' names) -> scans; raises BadInput where the path is not of this layout.
    open: Callable[[Path, str], list[LabelledScan]]
    prefix: Callable[[Path], str]
    is_path: bool = True


_LAYOUTS = {
    "table": _Layout(
        "a CSV file (or a folder with cases.csv) with columns image, label, ...", open_table, table_prefix
    ),
    "phantom": _Layout(
        "computer-made scans by their seeds, as in phantom:200000-200009", open_phantoms, phantom_prefix, is_path=False
    ),
}

LAYOUTS: Mapping[str, str] = MappingProxyType({name: layout.description for name, layout in _LAYOUTS.items()})
"""What each layout looks like, in one line."""


def open_datasets(specifications: Sequence[str]) -> list[LabelledScan]:
    """Return the scans of all data sets, in the order given; nothing but names and tables is read yet.

    Parameters
    ----------
    specifications : each "LAYOUT:PATH", such as "msd:/data/Task07_Pancreas"; see `LAYOUTS`.

    Returns
    -------
    Scans with unique names: "msd/pancreas_001", for a table "FOLDER/NAME"; where two data sets would share the first
    part, the second has "msd-2/pancreas_001".

    Raises
    ------
    BadInput : an unknown layout, a missing path, a folder that is not in that layout, or a data set given twice.
    """
    opened: dict[tuple[str, Path], str] = {}
    scans: list[LabelledScan] = []
    for specification in specifications:
        layout, path = _parsed(specification)
        key = (layout, path.resolve())
        if key in opened:
            raise BadInput(f"The data set {specification} is given twice.")
        prefix = _free(_LAYOUTS[layout].prefix(path), opened.values())
        opened[key] = prefix
        scans += _LAYOUTS[layout].open(path, prefix)
    return scans


def _parsed(specification: str) -> tuple[str, Path]:
    layout, colon, path = specification.partition(":")
    known = f"Known layouts are {', '.join(_LAYOUTS)}."
    if not colon or not path:
        raise BadInput(f"`{specification}` is not of the form LAYOUT:PATH, such as table:/data/cases.csv.", known)
    if layout not in _LAYOUTS:
        raise BadInput(f"There is no data set layout `{layout}` (in `{specification}`).", known)
    if _LAYOUTS[layout].is_path and not Path(path).exists():
        raise BadInput(
            f"There is no file or folder {path} (in `{specification}`).",
            f"The layout `{layout}` is {_LAYOUTS[layout].description}.",
        )
    return layout, Path(path)


def _free(prefix: str, taken: Sequence[str]) -> str:
    candidates = [prefix] + [f"{prefix}-{number}" for number in range(2, len(taken) + 2)]
    return next(candidate for candidate in candidates if candidate not in taken)
