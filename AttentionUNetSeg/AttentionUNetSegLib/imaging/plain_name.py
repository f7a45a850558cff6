"""File names that neither ITK nor a sentence can take: not Unicode, or not in the language of this system."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..temporary_folder import prefix_of


def printable_name(path: Path) -> str:
    """Return a file's name for people: what is no Unicode becomes a question mark."""
    return printable(path.name)


def printable(text: str) -> str:
    """Return a text that any output can take: bytes of a file name that are no Unicode become question marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\ufffd", "?")


def is_plain(path: Path) -> bool:
    """Tell whether ITK and VTK, which take every name as UTF-8, find the same file under it as Python does."""
    try:
        return str(path).encode() == os.fsencode(path)
    except UnicodeEncodeError:
        return False


@contextmanager
def plainly_written(path: Path) -> Iterator[Path]:
    """Yield a path that any library can write to: `path` itself, or another one whose file then goes to `path`."""
    path = Path(os.path.abspath(path))
    if is_plain(path):
        yield path
        return
    ending = "".join(path.suffixes[-2:]) if is_plain(Path("".join(path.suffixes[-2:]))) else ""
    with tempfile.TemporaryDirectory(prefix=prefix_of("name")) as folder:
        plain = Path(folder) / f"image{ending}"
        yield plain
        if plain.exists():
            shutil.move(plain, path)


@contextmanager
def plainly_named(path: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Yield a path to the same file that any library can open: itself where its name is ASCII, else a link or copy.

    Parameters
    ----------
    endings : tuple[str, ...]
        Those that the link keeps, longest first.
    """
    path = Path(os.path.abspath(path))
    if is_plain(path):
        yield path
        return
    ending = next((each for each in endings if path.name.lower().endswith(each)), "")
    with tempfile.TemporaryDirectory(prefix=prefix_of("name")) as folder:
        plain = Path(folder) / f"image{ending}"
        try:
            os.symlink(path, plain)
        except OSError:  # Windows asks for a privilege
            shutil.copyfile(path, plain)
        yield plain
