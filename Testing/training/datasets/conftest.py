"""A small labelled CT, and functions that write it in each published layout, as the archives have it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_slice import dicom_slice
from pydicom.uid import generate_uid

SHAPE = (16, 40, 48)  # KJI
SPACING = (3.0, 3.0, 4.0)
LPS = (1, 0, 0, 0, 1, 0, 0, 0, 1)
RAS = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
PANCREAS = (slice(3, 11), slice(10, 18), slice(18, 34))  # 36.9 mL
SPLEEN = (slice(6, 13), slice(24, 32), slice(36, 43))
LIVER = (slice(5, 14), slice(14, 30), slice(4, 15))
# Turned about the axis from head to foot: its affine has no zeros to hide behind.
OBLIQUE = tuple(np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]).ravel())


def hounsfield() -> np.ndarray:
    """Return a body of fat with muscle behind and below; pancreas, spleen and liver lie in the fat. KJI."""
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[:, 4:37, 2:46] = -100
    hu[:, 32:37, 2:46] = 60
    hu[:2, 4:37, 2:46] = 60
    hu[PANCREAS], hu[SPLEEN], hu[LIVER] = 90, 120, 110
    return (hu + np.random.default_rng(0).integers(-8, 9, SHAPE)).astype(np.int16)


def labels(pancreas: int = 0, spleen: int = 0, liver: int = 0) -> np.ndarray:
    """Return a label map with these values in the three organs. KJI."""
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[PANCREAS], array[SPLEEN], array[LIVER] = pancreas, spleen, liver
    return array


def image_of(
    array: np.ndarray,
    direction: Sequence[float] = LPS,
    origin: Sequence[float] = (-70.0, 20.0, -300.0),
    spacing: Sequence[float] = SPACING,
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return image


def write(path: Path, image: sitk.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)
    return path


class Writer:
    """Writes the small CT and its labels into a folder of the test."""

    lps, ras, oblique = LPS, RAS, OBLIQUE

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    labels = staticmethod(labels)
    hounsfield = staticmethod(hounsfield)
    image_of = staticmethod(image_of)

    def ct(self, path: str, direction: Sequence[float] = LPS) -> Path:
        return write(self.folder / path, image_of(hounsfield(), direction))

    def label(self, path: str, array: np.ndarray, direction: Sequence[float] = LPS, **geometry) -> Path:
        return write(self.folder / path, image_of(array, direction, **geometry))

    def table(self, rows: Iterable[Mapping[str, object]], path: str = "cases.csv") -> Path:
        rows = list(rows)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    def json(self, path: str, content: object) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
        return file

    def dicom(self, path: str, hu: np.ndarray | None = None, feet_first: bool = True) -> Path:
        """Write an axial series as TCIA has it: 1-01.dcm, 1-02.dcm, ... in the order of the array's slices."""
        folder = self.folder / path
        folder.mkdir(parents=True)
        hu = hounsfield() if hu is None else hu
        series, study, frame = generate_uid(), generate_uid(), generate_uid()
        for number, plane in enumerate(hu):
            z = -300.0 + 4.0 * (number if feet_first else len(hu) - 1 - number)
            dicom_slice(
                folder / f"1-{number + 1:02d}.dcm", (-70.0, 20.0, z), series,
                pixels=(plane.astype(np.int32) + 1024).clip(0),
                StudyInstanceUID=study, FrameOfReferenceUID=frame, PatientID="PANCREAS", PatientName="PANCREAS",
                InstanceNumber=number + 1, PixelSpacing=[3.0, 3.0], SliceThickness=4.0,
            )  # fmt: skip
        return folder


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@pytest.fixture
def voxels() -> Callable[[sitk.Image], np.ndarray]:
    """A function that returns an image's voxels (KJI) after the image was turned to LPS."""
    return lambda image: sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS"))
