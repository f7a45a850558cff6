"""The files of a job folder, as the worker finds them."""

from __future__ import annotations

import time
from pathlib import Path

from ..errors import BadInput


def require_file(folder: str, name: str) -> Path:
    """Return the path of a file in a job folder; raises BadInput where folder or file are not there."""
    where = Path(folder)
    if not where.is_absolute():
        raise BadInput(f"The job folder {folder} is not an absolute path.")
    if not where.is_dir():
        raise BadInput(f"There is no job folder {folder}.")
    path = where / name
    if not path.is_file():
        raise BadInput(f"There is no file {name} in the job folder {folder}.")
    return path


def seconds_since(start: float) -> float:
    """Seconds since a time of `time.monotonic`."""
    return round(time.monotonic() - start, 4)
