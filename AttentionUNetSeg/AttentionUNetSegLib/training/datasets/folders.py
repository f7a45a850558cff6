"""What the layouts of folders share: look for what belongs there, and say what was looked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...errors import BadInput

# Labels that a network drafted and people corrected case by case. Not "manual": agreement with them is in part
# agreement with that network.
DRAFTED_BY_A_MODEL = "a model, corrected by hand"


def not_this_layout(layout: str, path: Path, looked_for: str) -> BadInput:
    """Return the refusal of a path that does not look like a layout."""
    return BadInput(
        f"{path} is not a data set in the layout `{layout}`: there is no {looked_for} in it.",
        "Give the folder that holds it, or another layout.",
    )


def files_of(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match, sorted, without the ._ files that macOS leaves in archives."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("._"))


def first_folder(path: Path, candidates: Iterable[str]) -> Path | None:
    """Return the first of several subfolders (such as "RawData/Training"; "." is the folder itself) that exists."""
    return next((path / candidate for candidate in candidates if (path / candidate).is_dir()), None)


def require_files(layout: str, paths: Sequence[Path]) -> None:
    """Raise BadInput where files that the data set names or needs do not exist: training on a part has to be wanted."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise BadInput(
            f"The data set (layout `{layout}`) is incomplete: there is no {missing[0]}{others}.",
            "Download it again, or take part of it with the layout `table`.",
        )


def read_dataset_json(layout: str, path: Path) -> tuple[dict[str, Any], dict[int, str]]:
    """Return the content of `dataset.json`, and its labels: lower case name by value, without the background.

    Raises
    ------
    BadInput : there is none, it is no JSON, or it has no labels of the form {"0": "background", "1": ...}.
    """
    file = path / "dataset.json"
    if not file.is_file():
        raise not_this_layout(layout, path, "dataset.json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        labels = {int(value): str(name).lower() for value, name in content["labels"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(
            f'{file} does not say what the labels mean: no "labels" of the form {{"0": "background", ...}} ({error}).'
        ) from error
    return content, {value: name for value, name in labels.items() if value != 0}
