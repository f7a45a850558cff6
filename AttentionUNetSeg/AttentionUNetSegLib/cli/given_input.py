"""What `segment` is given: a file, a folder, or a series in a PACS, which is fetched for as long as it is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..temporary_folder import prefix_of
from .outputs import stem_of

if TYPE_CHECKING:
    from ..dicom_out import DicomwebSource

DICOMWEB = "dicomweb:"


def path_or_address(text: str) -> Path | str:
    """Return a command's word as a path, or as it is where it names a series in a PACS: a path would lose a slash."""
    return text if text.startswith(DICOMWEB) else Path(text)


@dataclass(frozen=True)
class GivenInput:
    """The input of a run.

    Attributes
    ----------
    name : what the report calls it: an absolute path, or the address of a series in a PACS.
    stem : what the names of all results begin with.
    place : where it lies on this machine, or which series to fetch.
    """

    name: str
    stem: str
    place: Path | DicomwebSource

    @classmethod
    def of(cls, given: Path | str, series: str | None) -> GivenInput:
        """Understand what was given on the command line; raises BadInput for an address that cannot be meant."""
        if isinstance(given, Path):
            return cls(os.path.abspath(given), stem_of(given), given)
        if series is not None:
            raise BadInput("--series chooses in a DICOM folder.", "Write the series into the address: &series=UID.")
        from ..dicom_out import DicomwebSource

        source = DicomwebSource.parse(given)
        return cls(str(source), source.series or source.study, source)

    @contextmanager
    def on_disk(self, show: Callable[[float, str], None] = lambda done, text: None) -> Iterator[Path]:
        """Yield the file or folder to read; what was fetched is deleted afterwards.

        `show` is called with a fraction (0..1) and a text while it is fetched.
        """
        if isinstance(self.place, Path):
            yield self.place
            return
        from ..dicom_out import fetch_series

        with tempfile.TemporaryDirectory(prefix=prefix_of("fetched")) as folder:
            fetch_series(
                self.place, Path(folder),
                lambda done, of: show(done / of if of else 0.0, f"Fetching the CT ({done} of {of or 'unknown'})"),
            )  # fmt: skip
            yield Path(folder)
