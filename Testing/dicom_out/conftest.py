"""CT series as DICOM files, whichever way they lie and are sorted, and segments on them whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from AttentionUNetSegLib.contracts import ModelIdentity
from AttentionUNetSegLib.imaging import Volume, read_volume
from dicom_slice import dicom_slice
from orthanc import PASSWORD, USER, Orthanc, running_orthanc
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedCTImageStorage, generate_uid

SIZE = (16, 12, 10)
MODEL = ModelIdentity("pancreas-test", "Pancreas for tests", "1.2.3", "ab" * 32)


@pytest.fixture
def model() -> ModelIdentity:
    return MODEL


@pytest.fixture
def series(tmp_path: Path) -> Callable[..., Volume]:
    """A function that writes a CT series of 10 slices and reads it; the files' names tell nothing of their order.

    `step` is the way from one file to the next along the normal: negative where the files run against it.
    """

    def write(orientation=(1, 0, 0, 0, 1, 0), step=3.0, shuffled=False, name="ct", shear=0.0, **attributes) -> Volume:
        folder = tmp_path / name
        folder.mkdir()
        uid = generate_uid()
        normal = np.cross(orientation[:3], orientation[3:])
        numbers = list(range(SIZE[2]))
        if shuffled:
            np.random.default_rng(5).shuffle(numbers)
        for place, number in enumerate(numbers):
            along = normal + shear * np.array(orientation[3:])  # as a tilted gantry has it
            position = np.array([-20.0, -30.0, -100.0]) + step * number * along
            dicom_slice(folder / f"{place:04d}", position, uid, orientation, **{"SliceThickness": 5, **attributes})
        return read_volume(folder)

    return write


@pytest.fixture
def multiframe(tmp_path: Path) -> Path:
    """An enhanced CT, its frames in no order."""
    path = tmp_path / "enhanced"
    frames = np.random.default_rng(0).integers(0, 2000, (SIZE[2], SIZE[1], SIZE[0]))
    of_a_single_slice = (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"
    )  # fmt: skip
    dicom_slice(path, (0, 0, 0), generate_uid(), pixels=frames[0], **dict.fromkeys(of_a_single_slice))
    data = dcmread(path)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    data.NumberOfFrames = SIZE[2]
    data.PixelData = frames.astype("<u2").tobytes()
    data.PerFrameFunctionalGroupsSequence = [
        _frame(-100 + 3.0 * k) for k in np.random.default_rng(5).permutation(SIZE[2])
    ]
    data.SharedFunctionalGroupsSequence = [Dataset()]
    data.save_as(path)
    return path


def _frame(height: float) -> Dataset:
    """Its own groups say everything, as some scanners write it."""
    place, orientation, measures, values = Dataset(), Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = [-20.0, -30.0, height]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    frame = Dataset()
    frame.PlanePositionSequence, frame.PlaneOrientationSequence = [place], [orientation]
    frame.PixelMeasuresSequence, frame.PixelValueTransformationSequence = [measures], [values]
    return frame


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS of our own, for all tests of this package."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def allowed_in(orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Orthanc:
    """The same with everything in the environment that it takes to get in."""
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_USER", USER)
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_PASSWORD", PASSWORD)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(orthanc.certificate))
    return orthanc
