"""Layout `table`: a CSV file that names images, labels and what the labels' values mean.

Columns (paths are relative to the CSV file):

============= ======================================================================================================
image         CT: an image file or a DICOM folder (required)
label         label map on the CT's grid, or a .seg.nrrd of some of its voxels (required)
label_value   value of the pancreas in `label`; without it, and without `structures`, 1, and other values are refused
structures    such as ``pancreas=1;duodenum=2``: values in `label` (`pancreas=1;pancreas=2`: both are it);
              what is listed is annotated, all else is unknown; overrides `label_value`
ignore        image that is not 0 where the pancreas label says nothing (a partial label)
weight        how much the case counts in the loss, above 0; default 1
name          default: the image's name, or its folder's where that is not unique
patient       rows of one patient share it, over all tables; default: every row is a patient of its own
labels_by     `manual` (default), `synthetic`, or the name of the model that made the labels
licence       of the data, for the model card
attribution   of the data, for the model card
============= ======================================================================================================

An empty cell counts as a missing one.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...errors import BadInput
from ...imaging.image_file import name_without_ending
from ...whole_file import whole_file
from ..labelled_scan import STRUCTURES, LabelledScan
from .label_map import LabelMap, scan_loader

COLUMNS = (
    "image", "label", "label_value", "structures", "ignore", "weight", "name", "patient", "labels_by", "licence",
    "attribution",
)  # fmt: skip
REQUIRED = ("image", "label")
TABLE_NAME = "cases.csv"

Row = dict[str, str]


def open_table(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the scans of a table: a CSV file, or a folder with a `cases.csv`.

    Raises
    ------
    BadInput : there is no such table, a column is missing or unknown, a cell cannot be understood, or a file that a row
        names does not exist.
    """
    table = path / TABLE_NAME if path.is_dir() else path
    if not table.is_file():
        raise BadInput(
            f"There is no table {table}.", f"The layout `table` wants a CSV file or a folder with {TABLE_NAME}."
        )
    rows = _read(table)
    names = _names(table, rows)
    return [_scan(table, line, row, f"{prefix}/{name}") for (line, row), name in zip(rows.items(), names, strict=True)]


def write_table(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write the rows, some of `COLUMNS` each, as a table; it is there as a whole or not at all. Return its path.

    Raises
    ------
    CannotWrite : the file system refuses.
    """
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def structures_cell(values: Mapping[str, int]) -> str:
    """The cell of the column `structures` for one value a structure."""
    return ";".join(f"{structure}={value}" for structure, value in values.items())


def table_prefix(path: Path) -> str:
    """Return what the names of a table's scans begin with: that of its folder, or of a CSV with a name of its own."""
    path = path.resolve()
    if path.is_dir():
        return path.name
    return path.parent.name if path.name == TABLE_NAME else path.stem


def _read(table: Path) -> dict[int, Row]:
    """Return the rows by their line in the file."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [(column or "").strip() for column in reader.fieldnames or ()]
            _check_columns(table, columns)
            reader.fieldnames = columns
            rows = {}
            for row in reader:
                if None in row or None in row.values():
                    raise BadInput(f"{table.name}, line {reader.line_num}, does not have {len(columns)} cells.")
                rows[reader.line_num] = {column: cell.strip() for column, cell in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{table} cannot be read as a CSV table in UTF-8 ({error}).") from error
    if not rows:
        raise BadInput(f"The table {table} holds no cases.")
    return rows


def _check_columns(table: Path, columns: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise BadInput(
            f"{table} has no column `{missing[0]}` (it has {', '.join(columns) or 'none'}).",
            f"A table of cases has the columns {', '.join(COLUMNS)}, of which {' and '.join(REQUIRED)} are required.",
        )
    # A misspelt `ignore` or `weight` would otherwise go unnoticed into a training.
    unknown = [column for column in columns if column not in COLUMNS]
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if unknown or twice:
        what = f"an unknown column `{unknown[0]}`" if unknown else f"the column `{twice[0]}` twice"
        raise BadInput(f"{table} has {what}.", f"Known columns are {', '.join(COLUMNS)}.")


def _names(table: Path, rows: dict[int, Row]) -> list[str]:
    images = [Path(row["image"]) for row in rows.values()]
    short = [name_without_ending(image) for image in images]
    # Many data sets call every image ct.nii.gz, in a folder of the case's name.
    default = (
        short if len(set(short)) == len(short) else [(table.parent / image).resolve().parent.name for image in images]
    )
    names = [row.get("name") or name for row, name in zip(rows.values(), default, strict=True)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(
            f"{table} holds the name {twice[0]} more than once.", "Give every case its own in a column `name`."
        )
    return names


def _scan(table: Path, line: int, row: Row, name: str) -> LabelledScan:
    where = f"{table.name}, line {line}"
    if not row["image"] or not row["label"]:
        raise BadInput(f"{where} names no {'label' if row['image'] else 'image'}.")
    image, label = _existing(table, where, row["image"]), _existing(table, where, row["label"])
    ignore = _existing(table, where, row["ignore"]) if row.get("ignore") else None
    values, other_values = _meaning(where, row)
    return LabelledScan(
        name=name,
        patient=row.get("patient") or name,
        load=scan_loader(name, image, LabelMap(label, values, other_values), ignore),
        labels_by=row.get("labels_by") or "manual",
        weight=_weight(where, row.get("weight", "")),
        licence=row.get("licence") or "unknown",
        attribution=row.get("attribution") or "unknown",
    )


def _existing(table: Path, where: str, cell: str) -> Path:
    path = table.parent / cell
    if not path.exists():
        raise BadInput(f"{where} names {cell}, but there is no {path}.", "Paths are relative to the table.")
    return path


def _meaning(where: str, row: Row) -> tuple[dict[str, tuple[int, ...]], frozenset[int] | None]:
    """Return the values by structure, and the other values that the label may hold (None: any)."""
    if not row.get("structures"):
        value = row.get("label_value", "")
        if not value:
            return {"pancreas": (1,)}, frozenset()
        return {"pancreas": (_value(where, "label_value", value),)}, None
    values: dict[str, tuple[int, ...]] = {}
    for entry in filter(None, (part.strip() for part in row["structures"].split(";"))):
        structure, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise BadInput(f"{where}: `{entry}` in `structures` is not of the form structure=value.")
        if structure not in STRUCTURES:
            raise BadInput(f"{where}: there is no structure `{structure}`.", f"Known are {', '.join(STRUCTURES)}.")
        values[structure] = (*values.get(structure, ()), _value(where, f"structures, {structure}", value))
    used = [value for group in values.values() for value in group]
    if len(set(used)) != len(used):
        raise BadInput(f"{where}: a value in `structures` is given twice ({row['structures']}).")
    return values, None


def _value(where: str, column: str, text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise BadInput(f"{where}: `{text}` ({column}) is not a whole number above 0.")
    return int(text)


def _weight(where: str, text: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise BadInput(f"{where}: the weight `{text}` is not a number above 0.")
    return weight
