"""Multi-frame DICOM (enhanced CT): one file with all slices, each frame with its own place.

Source: DICOM PS3.3, C.7.6.16 (Multi-frame Functional Groups Module).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from ..errors import BadInput
from .dicom_slices import SlicePlane, grid_of_slices
from .geometry import image_on_grid
from .image_file import quiet_itk


def read_frames(path: Path) -> sitk.Image:
    """Read an enhanced CT file as a volume in HU, its frames sorted along their normal.

    Raises
    ------
    BadInput : frames without place, frames that form no regular grid, or values whose rescaling is not known.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    order, grid = grid_of_slices(frame_planes(header, path))
    shared, per_frame = _groups(header, path)
    rescaling = {_rescaling(frame, shared, header) for frame in per_frame}
    if len(rescaling) > 1:
        raise BadInput(
            f"The frames of {path.name} have different rescale slopes or intercepts.", "Export the CT as single slices."
        )
    stored = _stored_values(path)
    if stored.shape != grid.size[::-1]:
        raise BadInput(
            f"{path.name} was read as {stored.shape[::-1]} voxels where its header says {grid.size}.",
            "Export it again.",
        )
    slope, intercept = rescaling.pop()
    whole = float(slope).is_integer() and float(intercept).is_integer()
    values = stored[order].astype(np.int32 if whole else np.float32)
    values *= values.dtype.type(slope)
    values += values.dtype.type(intercept)
    return image_on_grid(values, grid)


def frame_planes(header: pydicom.Dataset, path: Path) -> list[SlicePlane]:
    """Return where each frame lies, in the order of the file; `path` is what the sentence of a BadInput names.

    Raises
    ------
    BadInput : frames without a place.
    """
    shared, per_frame = _groups(header, path)
    return [_plane(frame, shared, header, path) for frame in per_frame]


def _groups(header: pydicom.Dataset, path: Path) -> tuple[pydicom.Dataset, list[pydicom.Dataset]]:
    """Return the functional groups that all frames share, and those of each frame."""
    per_frame = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    if len(per_frame) != int(header.get("NumberOfFrames", 1)):
        raise BadInput(
            f"{path.name} is a multi-frame DICOM file that does not say where each frame lies.",
            "Export the CT as single slices.",
        )
    return _first(header, "SharedFunctionalGroupsSequence"), per_frame


def _stored_values(path: Path) -> np.ndarray:
    """Return the frames as stored, (frames, rows, columns), without rescaling.

    pydicom decodes them where it can (uncompressed and RLE always); GDCM decodes the compressed ones, but may have
    applied a rescaling of its own, so it is used only where it certainly has not.
    """
    try:
        return pydicom.dcmread(path, force=True).pixel_array
    except (RuntimeError, NotImplementedError, ValueError, AttributeError, ImportError):
        pass
    with quiet_itk():
        try:
            image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        except RuntimeError as error:
            raise BadInput(
                f"The pixels of {path.name} cannot be read.", "Export the CT as uncompressed single slices."
            ) from error
    applied = {image.GetMetaData(key).strip() for key in ("0028|1052", "0028|1053") if image.HasMetaDataKey(key)}
    if applied - {"0", "1"}:
        raise BadInput(
            f"{path.name} is compressed, and its rescaling is not certain.", "Export the CT as single slices."
        )
    return sitk.GetArrayFromImage(image)


def _plane(frame: pydicom.Dataset, shared: pydicom.Dataset, header: pydicom.Dataset, path: Path) -> SlicePlane:
    try:
        measures = _group("PixelMeasuresSequence", frame, shared)
        return SlicePlane(
            position=tuple(map(float, _group("PlanePositionSequence", frame, shared).ImagePositionPatient)),
            orientation=tuple(map(float, _group("PlaneOrientationSequence", frame, shared).ImageOrientationPatient)),
            pixel_spacing=tuple(map(float, measures.PixelSpacing)),
            shape=(int(header.Rows), int(header.Columns)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(
            f"A frame of {path.name} has no usable geometry ({error}).", "Export the CT as single slices."
        ) from error


def _rescaling(frame: pydicom.Dataset, shared: pydicom.Dataset, header: pydicom.Dataset) -> tuple[float, float]:
    transformation = _group("PixelValueTransformationSequence", frame, shared)
    source = transformation if "RescaleSlope" in transformation else header
    return float(source.get("RescaleSlope", 1)), float(source.get("RescaleIntercept", 0))


def _group(keyword: str, frame: pydicom.Dataset, shared: pydicom.Dataset) -> pydicom.Dataset:
    """Return a functional group: the frame's own, or else the one that all frames share."""
    return _first(frame, keyword) or _first(shared, keyword)


def _first(dataset: pydicom.Dataset, keyword: str) -> pydicom.Dataset:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else pydicom.Dataset()
