"""CT slices as DICOM files, one or a whole volume of them, for the tests that read series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def dicom_slice(
    path: Path,
    position: Sequence[float],
    series: str,
    orientation: Sequence[float] = AXIAL,
    pixels: np.ndarray | None = None,
    **attributes: object,
) -> Path:
    """Write one CT slice; stored values are HU + 1024. `attributes` overrides any element; None removes it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Not every version of pydicom adds what the file format demands.
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\0\1"
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.8.498.3"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    data.SeriesInstanceUID = series
    data.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.2"
    data.Modality = "CT"
    data.PatientName = "Phantom"
    data.PatientID = "1"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SeriesNumber = 1
    data.SeriesDescription = "Abdomen"
    data.ImagePositionPatient = [f"{x:.6g}" for x in position]
    data.ImageOrientationPatient = [f"{x:.9g}" for x in orientation]
    data.PixelSpacing = [2.0, 1.5]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    pixels = np.random.default_rng(0).integers(0, 2000, (12, 16)) if pixels is None else pixels
    data.Rows, data.Columns = pixels.shape
    data.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        if value is None:
            data.pop(keyword, None)
        else:
            setattr(data, keyword, value)
    data.save_as(path)
    return path


def dicom_series(folder: Path, ct: sitk.Image, series: str, **attributes: object) -> Path:
    """Write an axial CT as slices from head to feet, as many scanners number them; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = sitk.GetArrayFromImage(ct)
    across, down, between = ct.GetSpacing()
    for number, k in enumerate(reversed(range(len(slices)))):
        dicom_slice(
            folder / f"{number:03d}", ct.TransformIndexToPhysicalPoint((0, 0, k)), series, pixels=slices[k] + 1024,
            **{"PixelSpacing": [down, across], "SliceThickness": between, **attributes},
        )  # fmt: skip
    return folder
