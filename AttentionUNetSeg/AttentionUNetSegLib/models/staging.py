"""Folders that appear whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CannotWrite

PREFIX = ".staging-"
DAY_S = 24 * 60 * 60


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """An empty folder to write into, on the file system of `parent`; give it its place with `put_in_place`.

    What was not put in its place is gone when the block ends.

    Raises
    ------
    CannotWrite
        The file system refuses (no rights, full disk), also within the block.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as staging:
            # One level down, with the rights of an ordinary folder: a temporary one is for its owner only.
            content = Path(staging, "new")
            content.mkdir()
            yield content
    except OSError as error:
        raise CannotWrite(
            f"Cannot write in {parent}: {error.strerror or error}.", "Free some space or check the rights."
        ) from error


def put_in_place(content: Path, destination: Path) -> None:
    """Rename a `staging_folder` to `destination`. A folder that is there is replaced; on failure it stays what it was.

    Raises
    ------
    OSError
        The file system refuses; `staging_folder` makes a sentence of it.
    """
    old = content.with_name("old")
    if destination.is_symlink() or destination.exists():
        os.replace(destination, old)
    try:
        os.replace(content, destination)
    except OSError:
        if old.is_symlink() or old.exists():
            os.replace(old, destination)
        raise


def remove_folder(folder: Path) -> None:
    """Make a folder disappear in one step. Of a link, the link is removed and never what it points to.

    Raises
    ------
    CannotWrite
        The file system refuses.
    """
    with staging_folder(folder.parent) as staging:
        os.replace(folder, staging.with_name("old"))


def is_staging(folder: Path) -> bool:
    """Whether a folder is somebody's unfinished work."""
    return folder.name.startswith(PREFIX)


def _sweep(parent: Path) -> None:
    """Delete what a killed process left behind; a day old, so that nobody is still writing it."""
    for folder in parent.glob(f"{PREFIX}*"):
        if time.time() - folder.stat().st_mtime > DAY_S:
            shutil.rmtree(folder, ignore_errors=True)
