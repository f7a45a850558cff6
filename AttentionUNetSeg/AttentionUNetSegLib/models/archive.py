"""A .zip file from anywhere, opened without trusting it: nothing is extracted by the names it holds."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import BadModel
from .manifest import MANIFEST_FILE
from .sources import LARGEST_PACKAGE_BYTES, PackageFiles

MOST_ENTRIES = 64
# Weights shrink a little, text perhaps tenfold. Deflate's limit is about 1000: a file made to fill the disk.
HIGHEST_COMPRESSION = 100
SMALL_BYTES = 2**20


@contextmanager
def files_of_archive(archive: Path) -> Iterator[PackageFiles]:
    """The files of the model package in a .zip, which lie at its top or in its only folder.

    Raises
    ------
    BadModel
        Not a .zip, not a package, or one that tries to reach out of its folder, links, or is made to grow too large;
        also while its files are read.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = [entry for entry in zipped.infolist() if not _is_litter(entry.filename)]
            _refuse_hostile(entries, archive)
            root = _package_root((entry.filename for entry in entries if not entry.is_dir()), archive)
            yield {
                entry.filename.removeprefix(root): partial(zipped.open, entry)
                for entry in entries
                if not entry.is_dir() and entry.filename.startswith(root)
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise BadModel(f"{archive} is damaged or not a .zip file: {error}.", "Download it again.") from error


def _refuse_hostile(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    def refuse(reason: str) -> BadModel:
        return BadModel(f"{archive} is refused: {reason}.", "Only add models from people you trust.")

    if len(entries) > MOST_ENTRIES:
        raise refuse(f"it holds {len(entries)} entries, and a model package needs no more than {MOST_ENTRIES}")
    total = sum(entry.file_size for entry in entries)
    if total > LARGEST_PACKAGE_BYTES:
        limit = LARGEST_PACKAGE_BYTES // 2**30
        raise refuse(f"unpacked it is {total / 2**30:.1f} GiB, and {limit} GiB are allowed")
    seen: set[str] = set()
    for entry in entries:
        # orig_filename is the name as it is in the file: ZipInfo cuts at a NUL and turns backslashes on Windows.
        name = entry.orig_filename
        if "\\" in name or "\0" in name or ":" in name or name.startswith("/") or not entry.filename.strip("/"):
            raise refuse(f"its entry {name!r} is no plain relative path")
        if any(part in ("..", ".", "") for part in re.split("/", name.rstrip("/"))):
            raise refuse(f"its entry {name!r} reaches out of the package")
        if not _is_plain(entry):
            raise refuse(f"its entry {name!r} is a link or a special file")
        if entry.flag_bits & 0x1:
            raise refuse(f"its entry {name!r} is encrypted")
        if entry.file_size > SMALL_BYTES and entry.file_size > HIGHEST_COMPRESSION * entry.compress_size:
            raise refuse(f"its entry {name!r} is compressed more than {HIGHEST_COMPRESSION} times")
        if name.casefold() in seen:
            raise refuse(f"its entry {name!r} is there twice")
        seen.add(name.casefold())


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file or a folder: the upper half of its attributes is the Unix mode, if any."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind in (0, stat.S_IFREG, stat.S_IFDIR)


def _is_litter(name: str) -> bool:
    """What macOS adds to every .zip it makes."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name == ".DS_Store"


def _package_root(names: Iterable[str], archive: Path) -> str:
    """Where the manifest lies: "folder/", or "" for the top."""
    roots = [name.removesuffix(MANIFEST_FILE) for name in names if PurePosixPath(name).name == MANIFEST_FILE]
    if len(roots) != 1 or roots[0].count("/") > 1:
        raise BadModel(
            f"{archive} is not a model package: one {MANIFEST_FILE} expected at its top or in its only folder, "
            f"found {len(roots)}{' deeper down' if len(roots) == 1 else ''}.",
            f"Choose a .zip file that holds {MANIFEST_FILE} and the weights.",
        )
    return roots[0]
