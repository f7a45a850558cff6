"""Copying a model package out of where it came from: only the files a package has, checked on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ..errors import BadInput, BadModel
from .manifest import LARGEST_MANIFEST_BYTES, MANIFEST_FILE, parse_manifest
from .package import ModelPackage, load_package, verify_weights

LARGEST_PACKAGE_BYTES = 2 * 2**30
LARGEST_TEXT_BYTES = 2**20
# Licence texts and attributions have to stay with the weights; anything else is left behind.
COMPANION_FILES = ("LICENSE", "LICENSE.txt", "README.md")

PackageFiles = Mapping[str, Callable[[], IO[bytes]]]


def copy_package(files: PackageFiles, destination: Path, where: str) -> ModelPackage:
    """Copy a package's files to an empty folder and check everything: manifest, sizes, the weights' hash.

    Parameters
    ----------
    files : PackageFiles
        How to open each file, by its name in the package.
    destination : Path
        An empty folder.
    where : str
        What to call the source in messages.

    Raises
    ------
    BadModel
        The package is incomplete, too large or not what its manifest says.
    """
    if MANIFEST_FILE not in files:
        raise BadModel(f"{where} is not a model package: it has no {MANIFEST_FILE}.")
    _copy(files[MANIFEST_FILE], destination / MANIFEST_FILE, LARGEST_MANIFEST_BYTES, where)
    manifest = parse_manifest((destination / MANIFEST_FILE).read_bytes(), f"{MANIFEST_FILE} of {where}")
    weights = manifest["weights"]["file"]
    if weights not in files:
        raise BadModel(f"The model package {where} is incomplete: {weights} is missing.")
    _copy(files[weights], destination / weights, LARGEST_PACKAGE_BYTES, where)
    for name in COMPANION_FILES:
        if name in files:
            _copy(files[name], destination / name, LARGEST_TEXT_BYTES, where)
    package = load_package(destination)
    verify_weights(package)
    return package


def files_of_folder(folder: Path) -> PackageFiles:
    """The files that lie directly in a folder.

    Raises
    ------
    BadModel
        One of them is a link, which may lead anywhere.
    BadInput
        The folder cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror or error}.") from error
    for path in paths:
        if path.is_symlink():
            raise BadModel(f"{folder} is refused: {path.name} is a link.", "Put the file itself in its place.")
    return {path.name: _opener(path) for path in paths if path.is_file()}


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _copy(opener: Callable[[], IO[bytes]], target: Path, limit: int, where: str) -> None:
    """Copy at most `limit` bytes: what a file says about its own size need not be true."""
    try:
        source = opener()
    except OSError as error:
        raise BadInput(f"{where} cannot be read: {error.strerror or error}.") from error
    with source, target.open("wb") as written:
        remaining = limit
        while block := source.read(min(2**20, remaining + 1)):
            remaining -= len(block)
            if remaining < 0:
                raise BadModel(f"{where} is refused: {target.name} is larger than {limit // 2**20} MiB.")
            written.write(block)
