"""A file that is there as a whole or not at all: written beside its place, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import CannotWrite


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a hidden place beside `path`, with the same ending, to write to; what lies there afterwards becomes `path`.

    Whatever is raised meanwhile, what stood at `path` before still does, and nothing is left beside it. Write and do
    nothing else in the block: an OSError there counts as this file's.

    Raises
    ------
    CannotWrite : the file system refuses (a full disk, no permission, no such folder).
    """
    path = Path(path)
    beside = path.with_name(f".partial.{os.getpid()}.{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise CannotWrite(
            f"{path} could not be written ({error.strerror or error}).", "Check free space and permissions."
        ) from error
    finally:
        with suppress(OSError):  # nothing there is the usual case; anything else must not hide why writing failed
            beside.unlink()
