"""The folder a run writes to: all of its files or none, and never a file of somebody else.

Files are written into a hidden folder inside the output folder (the same file system, so that a rename is atomic) and
renamed into place at the end, the report last. If anything fails before that, what was there stays as it was, and a
folder that did not exist does not exist afterwards either.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import AttentionUNetSegError, BadInput
from ..temporary_folder import prefix_of, sweep

_FILE = (
    r"((pancreas(\.seg|_own_grid)|parts\.seg|probability|spread|attention_\d+)\.nrrd"
    r"|(pancreas|probability|spread|attention_\d+)\.nii\.gz|scene\.mrb|overview\.png|"
    r"measurements\.csv|(pancreas|probability|measurements)\.dcm|report\.json)"
)
_LONGEST_ENDING = "pancreas_own_grid.nrrd"
_LONGEST_NAME = 255  # bytes, where the file system does not say


class OutputFolder:
    """The output files `<stem>_*` of one input in one folder.

    Parameters
    ----------
    folder : the folder; may not exist yet.
    stem : what the names of all files begin with.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.stem = stem
        self._pattern = re.compile(re.escape(stem) + "_" + _FILE)

    def name(self, ending: str) -> str:
        """The file name with this ending, for example "report.json"."""
        return f"{self.stem}_{ending}"

    def file(self, ending: str) -> Path:
        """The path of the file with this ending."""
        return self.folder / self.name(ending)

    def check(self, source: dict[str, Any], force: bool = False) -> None:
        """Refuse, before any work is done, a folder that cannot or must not be written to.

        `source` is the report's "input" entry of the coming run. Earlier results of the same source are replaced; other
        files with our names only with `force`.

        Raises
        ------
        BadInput : the folder is a file, is not writable, or holds files that this run would wrongly replace.
        """
        nearest = self.folder
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        if not nearest.is_dir():
            raise BadInput(f"The output folder {self.folder} cannot be made because {nearest} is a file.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise BadInput(f"The output folder {self.folder} cannot be written because {nearest} is read-only.")
        self._check_names(nearest)
        if force:
            return
        present = self._present()
        report = self._report()
        unknown = sorted(present - _listed(report))
        if unknown:
            raise BadInput(
                f"{self.folder / unknown[0]} exists and is not listed in a report of an earlier run",
                "choose another output folder, or replace it with --force.",
            )
        earlier = report.get("input")
        if present and isinstance(earlier, dict) and _identity(earlier) != _identity(source):
            raise BadInput(
                f"{self.folder} already holds the result of another input, {earlier.get('path')}",
                "choose another output folder, or replace it with --force.",
            )

    def _check_names(self, folder: Path) -> None:
        """Raise BadInput where the file system cannot hold the names of the results: better now than after the run."""
        try:
            most = os.pathconf(folder, "PC_NAME_MAX")
        except (AttributeError, OSError, ValueError):
            most = _LONGEST_NAME
        longest = len(os.fsencode(f".partial.{os.getpid()}.{self.name(_LONGEST_ENDING)}"))
        if longest > most:
            raise BadInput(
                f"The name {self.stem[:40]}... is too long for files named after it: they would have {longest} bytes, "
                f"and {folder} takes {most}.",
                "Give the input a shorter name (or a link to it).",
            )

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder; its files are moved into place if the block succeeds and deleted if it does not.

        Earlier files of the same stem that the block did not write again are removed: they belong to the result that
        is being replaced.

        Raises
        ------
        BadInput : the folder cannot be made or written.
        """
        made = self._make()
        sweep(self.folder)
        try:
            staging = Path(tempfile.mkdtemp(prefix="." + prefix_of("results"), dir=self.folder))
        except OSError as error:
            _remove_empty(made)
            raise BadInput(f"The output folder {self.folder} cannot be written ({error.strerror}).") from None
        try:
            yield staging
            self._publish(staging)
        except BaseException as error:
            shutil.rmtree(staging, ignore_errors=True)
            _remove_empty(made)
            if isinstance(error, AttentionUNetSegError):  # our folder says nothing to a person
                error.message = error.message.replace(str(staging), str(self.folder))
            raise
        shutil.rmtree(staging, ignore_errors=True)

    def _make(self) -> list[Path]:
        """Make the folder with its parents; return those that are new, innermost first."""
        missing = []
        folder = self.folder
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _remove_empty(missing)
            raise BadInput(f"The output folder {self.folder} cannot be made ({error.strerror}).") from None
        return missing

    def _publish(self, staging: Path) -> None:
        new = {file.name for file in staging.iterdir()}
        report = self.name("report.json")
        for stale in self._present() - new:
            (self.folder / stale).unlink()
        for name in sorted(new, key=lambda name: (name == report, name)):
            os.replace(staging / name, self.folder / name)

    def _present(self) -> set[str]:
        if not self.folder.is_dir():
            return set()
        return {file.name for file in self.folder.iterdir() if self._pattern.fullmatch(file.name)}

    def _report(self) -> dict[str, Any]:
        try:
            report = json.loads((self.folder / self.name("report.json")).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return report if isinstance(report, dict) else {}


def stem_of(path: Path) -> str:
    """The name of an image file without its endings ("ct.nii.gz" -> "ct"), or the name of a folder.

    What this system cannot write in a file's name (ASCII alone, in the locale C) is a question mark in it.
    """
    from ..imaging.image_file import name_without_ending  # here: it costs half a second in which the worker can start
    from ..imaging.plain_name import printable

    path = Path(os.path.abspath(path))
    stem = printable(path.name or "volume") if path.is_dir() else name_without_ending(path)
    encoding = sys.getfilesystemencoding()
    return stem.encode(encoding, "replace").decode(encoding)


def _listed(report: dict[str, Any]) -> set[str]:
    """The file names that an earlier report gives as its own."""
    files = report.get("files")
    names: set[str] = set()
    for entry in files.values() if isinstance(files, dict) else ():
        names.update(item for item in (entry if isinstance(entry, list) else [entry]) if isinstance(item, str))
    return names


def _identity(source: dict[str, Any]) -> tuple[object, object]:
    return source.get("path"), source.get("series")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
