"""Results as NIfTI (`segment --format nifti`): what other programs read, on the voxels of the whole CT.

Probability, spread and attention are stored as uint8 with the slope that makes them what they mean (NIfTI's scl_slope):
probability and attention 0 to 1, the spread 0 to 0.5.
"""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts import attention_file
from .outputs import OutputFolder

if TYPE_CHECKING:
    import SimpleITK as sitk

PROBABILITY_SLOPE, SPREAD_SLOPE = 1 / 255, 1 / 510
_SLOPE_OFFSET = 112  # of scl_slope and scl_inter in a NIfTI-1 header


def write_as_nifti(destination: OutputFolder, ct: sitk.Image) -> None:
    """Replace the .nrrd files of a run by .nii.gz files.

    Mask, probability and spread are on all voxels of `ct` (probability and spread 0 outside of their box), attention
    maps on the coarse grid of their gate.

    Raises
    ------
    CannotWrite : a file cannot be written.
    """
    from ..imaging import read_written, write_image

    segmentation = destination.file("pancreas.seg.nrrd")
    mask = read_written(segmentation) > 0
    for key in mask.GetMetaDataKeys():
        mask.EraseMetaData(key)
    write_image(_on_voxels_of(ct, mask), destination.file("pancreas.nii.gz"))
    segmentation.unlink()
    for ending, slope in (("probability", PROBABILITY_SLOPE), ("spread", SPREAD_SLOPE)):
        field = destination.file(f"{ending}.nrrd")
        if field.is_file():
            _write_scaled(_on_voxels_of(ct, read_written(field)), destination.file(f"{ending}.nii.gz"), slope)
            field.unlink()
    number = 1
    while (field := destination.file(attention_file(number))).is_file():
        target = destination.file(f"attention_{number}.nii.gz")
        _write_scaled(read_written(field), target, PROBABILITY_SLOPE)
        field.unlink()
        number += 1


def _on_voxels_of(ct: sitk.Image, field: sitk.Image) -> sitk.Image:
    """Return a field, whose voxels are some of the CT's, on all voxels of the CT."""
    import SimpleITK as sitk

    whole = sitk.Image(ct.GetSize(), field.GetPixelID())
    whole.CopyInformation(ct)
    start = ct.TransformPhysicalPointToIndex(field.GetOrigin())
    return sitk.Paste(whole, field, field.GetSize(), destinationIndex=start)


def _write_scaled(field: sitk.Image, path: Path, slope: float) -> None:
    """Write uint8 values with the slope that makes them what they mean; SimpleITK cannot write one."""
    from ..imaging import write_image
    from ..whole_file import whole_file

    plain = path.with_suffix("")  # .nii
    write_image(field, plain, compress=False)
    with whole_file(path) as beside, open(plain, "r+b") as written:
        written.seek(_SLOPE_OFFSET)
        written.write(struct.pack("<2f", slope, 0.0))
        written.seek(0)
        with gzip.open(beside, "wb", compresslevel=6) as packed:
            shutil.copyfileobj(written, packed, 2**20)
    plain.unlink()
