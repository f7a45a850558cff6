"""A CT volume that has been read and checked."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from .check import check_ct
from .dicom_file import is_dicom_file
from .image_file import is_phantom, name_without_ending, read_image_file
from .missing_numbers import without_missing_numbers
from .plain_name import printable, printable_name

if TYPE_CHECKING:
    from .dicom import DicomVolume


@dataclass(frozen=True)
class Volume:
    """A CT volume, its name, and what is doubtful about it.

    Attributes
    ----------
    image : sitk.Image
        3D, one component, HU; geometry in LPS and mm, as SimpleITK has it.
    name : str
        For people; the file's name without its ending, or the DICOM series description.
    is_phantom : bool
        True for a synthetic phantom (see `image_file.PHANTOM_KEY`).
    warnings : tuple[str, ...]
        One sentence each.
    dicom_files : tuple[Path, ...]
        The DICOM files that the voxels were read from, in the order of the slices (one file where it holds all frames);
        empty where the CT was no DICOM. What a DICOM SEG refers to.
    left_out : tuple[str, ...]
        What lay in the same folder and was passed over, and why, one sentence each.
    """

    image: sitk.Image
    name: str
    is_phantom: bool = False
    warnings: tuple[str, ...] = ()
    dicom_files: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """Return what a report says of its input: size, spacing_mm, is_phantom, checksum."""
        return {
            "size": list(self.image.GetSize()),
            "spacing_mm": list(self.image.GetSpacing()),
            "is_phantom": self.is_phantom,
            "checksum": self.checksum(),
        }

    def checksum(self) -> str:
        """Return eight hexadecimal digits: those of another CT, or of this one elsewhere, are others.

        A report keeps them, so that a correction does not take whatever CT has got the same path since.
        """
        grid = (*self.image.GetSize(), *self.image.GetSpacing(), *self.image.GetOrigin(), *self.image.GetDirection())
        place = " ".join(f"{number:.3f}" for number in grid).encode()
        voxels = np.ascontiguousarray(sitk.GetArrayViewFromImage(self.image))
        return f"{zlib.crc32(voxels.data.cast('B'), zlib.crc32(place)):08x}"


def read_volume(
    path: str | os.PathLike[str], series: str | None = None, any_intensity: bool = False, self_contained: bool = False
) -> Volume:
    """Read a CT from an image file (NIfTI, NRRD, MHA, ...) or a DICOM folder and check it.

    Parameters
    ----------
    path : str | os.PathLike[str]
        File or folder.
    series : str | None
        Number or UID of the series, for a DICOM folder with several CT series.
    any_intensity : bool
        As in `check_ct`.
    self_contained : bool
        Refuse an image file whose voxels are in another one, as for files that somebody sent.

    Raises
    ------
    BadInput
        With one sentence that says what is wrong and where (see `check_ct`).
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"There is no file or folder {printable(str(path))}.")
    if path.is_dir() or is_dicom_file(path):
        from .dicom import read_dicom_file, read_dicom_series

        read = read_dicom_series(path, series) if path.is_dir() else read_dicom_file(path)
        return _of_dicom(read, any_intensity)
    if series is not None:
        raise BadInput(f"A series can be chosen in a DICOM folder only, and {printable_name(path)} is a file.")
    image, warnings = read_image_file(path, self_contained)
    image, doubts = without_missing_numbers(image, printable_name(path))
    warnings += doubts
    name = name_without_ending(path)
    return Volume(image, name, is_phantom(image), (*warnings, *check_ct(image, any_intensity)))


def _of_dicom(read: DicomVolume, any_intensity: bool) -> Volume:
    warnings = (*read.warnings, *check_ct(read.image, any_intensity))
    return Volume(read.image, read.name, False, warnings, read.files, tuple(read.left_out))
