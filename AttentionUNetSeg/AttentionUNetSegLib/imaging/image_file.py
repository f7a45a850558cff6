"""Image files: read one with its geometry checked, write one as a whole."""

from __future__ import annotations

import contextlib
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..whole_file import whole_file
from .check import check_geometry, check_shape
from .geometry import Geometry, image_on_grid
from .image_header import ImageHeader, unsaid_geometry
from .metaimage import is_metaimage, metaimage
from .nifti import nifti_image
from .nrrd import MAGIC, nrrd_image
from .plain_name import plainly_named, plainly_written, printable, printable_name
from .voxel_data import MOST_VOXELS, read_voxels, require_regular_file, rescaled

PHANTOM_KEY = "AttentionUNetSeg_phantom"
PHANTOM_DESCRIPTION = "AttentionUNetSeg phantom"
# Of what is read as its header says, and is looked for in folders of many CTs.
CT_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
# Longest first: a name loses its whole ending.
ENDINGS = (".seg.nrrd", *CT_ENDINGS, ".hdr", ".img", ".dcm", ".gipl", ".vtk")
WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")


# Refuses the size, the number of values per voxel, or the fields of a header before any voxel is read.
CheckShape = Callable[[tuple[int, ...], int, Mapping[str, str]], None]


def _one_ct(size: tuple[int, ...], components: int, fields: Mapping[str, str]) -> None:
    check_shape(size, components)


def read_image_file(
    path: Path, self_contained: bool = False, check: CheckShape = _one_ct
) -> tuple[sitk.Image, list[str]]:
    """Read a 3D image file; return it with warnings about its geometry.

    NIfTI, NRRD and MetaImage are read as their headers say, whatever the file is called; anything else by ITK. A 4D
    file with one time point counts as 3D.

    Parameters
    ----------
    self_contained : bool
        Take only a NIfTI, NRRD or MetaImage file that holds its own voxels: who sent it is not known.
    check : CheckShape
        As `CheckShape`; what it lets through has to be three-dimensional. Without it, what can be a CT.

    Raises
    ------
    BadInput
        Not readable, refused by `check`, or a geometry that cannot be trusted.
    """
    require_regular_file(path)
    header = _header(path, self_contained)
    if header is None:
        if self_contained:
            raise BadInput(
                f"{printable_name(path)} is no NIfTI, NRRD or MHA file, or it is damaged.",
                "Give one of these, or a DICOM folder.",
            )
        return _read_by_itk(path, check)
    check(header.data.size, header.data.components, header.fields)
    check_geometry(header.grid)
    voxels, warnings = read_voxels(header.data, printable_name(path))
    image = image_on_grid(rescaled(voxels, *header.scale), header.grid)
    for key, value in header.fields.items():
        image.SetMetaData(printable(key), printable(value))
    return image, [*header.warnings, *warnings]


def _header(path: Path, self_contained: bool) -> ImageHeader | None:
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
        if start.startswith(MAGIC):
            return nrrd_image(path, self_contained)
        header = nifti_image(path, self_contained)
        if header is None and is_metaimage(path, start):
            return metaimage(path, self_contained)
        return header
    except OSError as error:
        raise BadInput(
            f"{printable_name(path)} cannot be read ({error.strerror}).", "Check its permissions and its disk."
        ) from None


def _read_by_itk(path: Path, check: CheckShape) -> tuple[sitk.Image, list[str]]:
    reader = sitk.ImageFileReader()
    with plainly_named(path, ENDINGS) as plain, quiet_itk(), _sentences(path):
        reader.SetFileName(str(plain))
        reader.ReadImageInformation()
        check(reader.GetSize(), reader.GetNumberOfComponents(), {})
        if math.prod(reader.GetSize()) > MOST_VOXELS:
            raise BadInput(f"{printable_name(path)} is larger than any CT.", "Crop or downsample it.")
        image = reader.Execute()
    while image.GetDimension() > 3:
        image = image[..., 0]
    grid = Geometry.of(image)
    check_geometry(grid)
    image.SetDirection(grid.direction)
    is_placed = grid.origin != (0, 0, 0) or grid.direction != (1, 0, 0, 0, 1, 0, 0, 0, 1)
    # A TIFF gives no distance between its slices, and ITK makes it 1 mm.
    return image, unsaid_geometry(printable_name(path), is_placed, is_placed or grid.spacing[2] != 1)


def read_written(path: Path) -> sitk.Image:
    """Read an image that this package wrote, as it stands, whatever its folder is called (ITK takes UTF-8 alone).

    Raises
    ------
    BadInput
        It cannot be read.
    """
    with plainly_named(path, ENDINGS) as plain, quiet_itk(), _sentences(path):
        return sitk.ReadImage(str(plain))


def write_image(image: sitk.Image, path: str | os.PathLike[str], compress: bool = True) -> None:
    """Write an image file (.nrrd, .mha, .nii, .nii.gz) under another name beside `path`, then rename it to `path`.

    The phantom mark survives: as meta data in NRRD and MHA, in the description field of NIfTI.

    Parameters
    ----------
    image : sitk.Image
        3D, any scalar type.
    path : str | os.PathLike[str]
        The file to write; one that is there is replaced at the end.
    compress : bool
        Whether its voxels are packed (gzip).

    Raises
    ------
    BadInput
        The ending is not a known one, or the folder does not exist.
    InternalError
        The file could not be written (disk full, no permission).
    """
    path = Path(path)
    ending = next((e for e in WRITABLE if path.name.lower().endswith(e)), None)
    if ending is None:
        raise BadInput(f"{path.name} cannot be written: its ending is none of {', '.join(WRITABLE)}.")
    if not path.parent.is_dir():
        raise BadInput(f"{path.name} cannot be written: there is no folder {path.parent}.")
    if ending.startswith(".nii") and is_phantom(image):
        image = sitk.Image(image)
        image.SetMetaData("ITK_FileNotes", PHANTOM_DESCRIPTION)
    with whole_file(path) as beside, plainly_written(beside) as plain, quiet_itk():
        try:
            sitk.WriteImage(image, str(plain), compress)
        except RuntimeError as error:
            raise OSError(_reason(error)) from error
        _require_complete(plain, image)


def _require_complete(path: Path, image: sitk.Image) -> None:
    """Raise OSError where the file does not hold the whole image: ITK does not notice a disk that fills at the end."""
    voxels = sitk.GetArrayViewFromImage(image)
    if path.stat().st_size >= voxels.nbytes:
        return  # not compressed: a file of full length was written to its end
    try:
        written = sitk.ReadImage(str(path))
        complete = np.array_equal(sitk.GetArrayViewFromImage(written), voxels)
    except RuntimeError:
        complete = False
    if not complete:
        raise OSError("the file is incomplete")


class HasMetaData(Protocol):
    """What an image and a reader that has read an image's header have in common."""

    def GetMetaDataKeys(self) -> Sequence[str]: ...  # noqa: N802, D102 (SimpleITK names it)

    def GetMetaData(self, key: str) -> str: ...  # noqa: N802, D102


def is_phantom(image: HasMetaData) -> bool:
    """Tell whether the image carries the mark of a synthetic phantom (in its meta data)."""
    keys = image.GetMetaDataKeys()
    if PHANTOM_KEY in keys and image.GetMetaData(PHANTOM_KEY).strip() == "1":
        return True
    return any(
        key in keys and image.GetMetaData(key).startswith(PHANTOM_DESCRIPTION) for key in ("descrip", "ITK_FileNotes")
    )


def name_without_ending(path: Path) -> str:
    """Return the file's name without .nii.gz, .nrrd and the like; what is no Unicode in it becomes a question mark."""
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), "")
    return printable(path.name[: len(path.name) - len(ending)] or path.name)


@contextlib.contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK from printing warnings meanwhile: what matters is said in sentences by this package."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn what SimpleITK raises into a BadInput with one sentence."""
    try:
        yield
    except RuntimeError as error:
        text, name = str(error), printable_name(path)
        if "Unable to determine ImageIO" in text and zipfile.is_zipfile(path):
            raise BadInput(
                f"{name} is an archive, not an image.", "Unpack it, and give the image file or DICOM folder in it."
            ) from error
        if "Unable to determine ImageIO" in text:
            raise BadInput(
                f"{name} is no image that can be read, or it is damaged.",
                "Give a NIfTI, NRRD or MHA file or a DICOM folder.",
            ) from error
        if "memory" in text.lower() or "bad_alloc" in text:
            raise BadInput(f"{name} does not fit into memory.", "Crop or downsample it first.") from error
        raise BadInput(f"{name} cannot be read: it is incomplete or damaged.", "Copy or export it again.") from error


def _reason(error: Exception) -> str:
    """What ITK gives as the reason, without its classes and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1].rstrip(".") if lines else type(error).__name__
    return re.sub(r"^\S+ ?\(0x[0-9a-f]+\): ?", "", last)
