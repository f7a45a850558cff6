"""Volumes whose truth is known: written as DICOM series, or computed from world coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from dicom_slice import AXIAL, dicom_slice
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


@pytest.fixture
def dicom_folder(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a series of slices (at heights, 3 mm apart by default) into one folder and returns that.

    Files are numbered against the order of the slices and have no ending, as from many archives.
    """
    folder = tmp_path / "dicom"
    folder.mkdir()

    def write(heights: Sequence[float] | None = None, **attributes: object) -> Path:
        heights = [3.0 * k for k in range(10)] if heights is None else heights
        series = str(attributes.pop("series", "")) or generate_uid()
        orientation = attributes.pop("orientation", AXIAL)
        normal = np.cross(orientation[:3], orientation[3:])
        shift = np.asarray(attributes.pop("shift_per_mm", (0, 0, 0)), dtype=float)
        for height in reversed(heights):
            position = np.array([-20.0, -30.0, -100.0]) + height * (normal + shift)
            number = len(list(folder.iterdir()))
            dicom_slice(folder / f"IM{number:04d}", position, series, orientation, **attributes)
        return folder

    return write


@pytest.fixture
def multiframe_ct(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes an enhanced CT file with one frame per height, in the order given."""

    def write(heights: Sequence[float], slope: float = 1, with_places: bool = True) -> Path:
        path = tmp_path / "enhanced"
        frames = np.stack([np.full((12, 16), 100 * number) for number in range(len(heights))])
        of_a_single_slice = (
            "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"
        )  # fmt: skip
        dicom_slice(path, (0, 0, 0), generate_uid(), pixels=frames[0], **dict.fromkeys(of_a_single_slice))
        data = dcmread(path)
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        data.NumberOfFrames = len(heights)
        data.PixelData = frames.astype("<u2").tobytes()
        orientation, measures, values = Dataset(), Dataset(), Dataset()
        orientation.ImageOrientationPatient = list(AXIAL)
        measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, -1024, "HU"
        shared = Dataset()
        shared.PlaneOrientationSequence = [orientation]
        shared.PixelMeasuresSequence = [measures]
        shared.PixelValueTransformationSequence = [values]
        data.SharedFunctionalGroupsSequence = [shared]
        if with_places:
            data.PerFrameFunctionalGroupsSequence = [_frame(height) for height in heights]
        data.save_as(path)
        return path

    return write


def _frame(height: float) -> Dataset:
    place, frame = Dataset(), Dataset()
    place.ImagePositionPatient = [-20.0, -30.0, height]
    frame.PlanePositionSequence = [place]
    return frame
