"""The folder of one case: written beside its place and renamed, so that it is there as a whole or not at all.

Beside it, while the case is under way, lies a file that says so. If the process dies, the file stays: that is how a
case that kills its worker is known, whatever engine started it again.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import CannotWrite

STEM = "result"
REPORT = f"{STEM}_report.json"
CASES = "cases"


class CaseFolder:
    """The place of one case's results in a cohort's output folder.

    Parameters
    ----------
    output : the cohort's folder.
    name : of the case's folder.
    """

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / CASES / name
        self._beside = self.path.parent / f".{name}"

    def report(self) -> dict[str, Any] | None:
        """The report of a finished case; None where there is none that can be read."""
        try:
            report = json.loads((self.path / REPORT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def begun(self) -> list[str]:
        """The runs (their tokens) that began this case and did not end it, as often as they did."""
        try:
            return self._mark.read_text(encoding="utf-8").split()
        except OSError:
            return []

    @contextmanager
    def under_way(self, run: str) -> Iterator[None]:
        """Mark the case as begun by this run for as long as the block runs; a process that dies leaves the mark."""
        if self.begun():  # only then is anything left: looking for it takes as long as there are cases
            self.sweep()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._mark, "a", encoding="utf-8") as file:
                file.write(run + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotWrite(f"{self._mark} cannot be written ({error.strerror}).") from None
        try:
            yield
        finally:
            with suppress(OSError):
                self._mark.unlink()

    @contextmanager
    def written(self) -> Iterator[Path]:
        """Yield an empty folder that becomes the case's folder; where the block fails nothing changes."""
        staging = Path(f"{self._beside}.{uuid.uuid4().hex[:8]}.partial")
        old = staging.with_suffix(".old")
        try:
            staging.mkdir(parents=True)
            yield staging
            if self.path.exists():
                self.path.rename(old)
            staging.rename(self.path)
        except OSError as error:
            raise CannotWrite(f"{self.path} cannot be written ({error.strerror or error}).") from error
        finally:
            if old.exists():
                self._clear(old)
            shutil.rmtree(staging, ignore_errors=True)

    def forget(self, run: str) -> None:
        """Delete what this run left of a case that it was made to stop: it did not die of it."""
        if run in self.begun():
            with suppress(OSError):
                self._mark.unlink()
        self.sweep()

    def sweep(self) -> None:
        """Delete what a killed process left of this case beside its folder; bring back what it was about to replace."""
        for left in self.path.parent.glob(f"{self._beside.name}.*.old"):
            self._clear(left)
        for left in self.path.parent.glob(f"{self._beside.name}.*.partial"):
            shutil.rmtree(left, ignore_errors=True)

    def _clear(self, old: Path) -> None:
        """Delete what was replaced, or bring it back where nothing has taken its place."""
        if self.path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(self.path)

    @property
    def _mark(self) -> Path:
        return Path(f"{self._beside}.begun")


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write the report as the last file of a folder."""
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
