"""The folder of one evaluation: there as a whole, or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ...models.staging import put_in_place, staging_folder

DOCUMENT = "evaluation.json"
_OURS = re.compile(r"(evaluation\.(json|md)|comparison\.(json|md)|cases\.csv|calibration\.png|worst_\d+_.*\.png)")


def check_result_folder(folder: Path) -> None:
    """Refuse, before any work is done, a place where an evaluation must not or cannot be written.

    Raises
    ------
    BadInput : it is a file, holds something else than an earlier evaluation, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file.", "Give a folder with --out.")
    if folder.is_dir():
        foreign = sorted(entry.name for entry in folder.iterdir() if not _OURS.fullmatch(entry.name))
        if foreign:
            raise BadInput(
                f"{folder} holds {foreign[0]}, which is no part of an evaluation.", "Give a new folder with --out."
            )
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"{folder} cannot be made: {nearest} cannot be written.", "Give another folder with --out.")


@contextmanager
def result_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into; it takes the place of `folder` when the block ends well, and only then.

    Raises
    ------
    CannotWrite : the file system refuses.
    """
    folder = folder.absolute()
    with staging_folder(folder.parent) as staging:
        yield staging
        put_in_place(staging, folder)


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write JSON that every reader understands: NaN and infinity are refused."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_evaluation(path: Path) -> dict[str, Any]:
    """The document of an evaluation's folder, or of its ``evaluation.json``.

    Raises
    ------
    BadInput : there is none.
    """
    file = path / DOCUMENT if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"There is no evaluation at {path}.", "Give the folder that evaluate --out made.") from error
    except ValueError as error:
        raise BadInput(f"{file} cannot be read as JSON.", "Make it again with evaluate.") from error
    if not isinstance(document, dict) or not {"model", "groups", "cases"} <= set(document):
        raise BadInput(f"{file} is no evaluation.", "Give the folder that evaluate --out made.")
    return document
