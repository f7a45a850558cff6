"""Programs by others that judge DICOM objects: dcmqi reads them, dciodvfy validates them. Tests skip without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk


def dcmqi(tool: str) -> str:
    """The path of one of dcmqi's programs, which come with the PyPI package of that name."""
    package = find_spec("dcmqi")
    folders = [] if package is None else [str(Path(package.origin).parent / "bin")]
    path = shutil.which(tool, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    return path or pytest.skip(f"dcmqi's {tool} is not installed (pip install dcmqi)")


def errors_by_dciodvfy(path: Path) -> list[str]:
    """The errors that dciodvfy (Debian: dicom3tools) finds in a DICOM file."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert {"Segmentation", "Comprehensive3DSR"} & set(lines), "it did not know what it was looking at"
    return [line for line in lines if line.startswith(("Error", "Abort"))]


def placed(seg: pydicom.Dataset) -> dict[tuple[float, ...], int]:
    """The voxels above 0 by their place (LPS, mm): those of an axial SEG, by its own headers alone."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    down, across = shared.PixelMeasuresSequence[0].PixelSpacing
    voxels: dict[tuple[float, ...], int] = {}
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        places = first + np.stack([across * columns, down * rows, 0 * rows], axis=1)
        voxels |= _by_place(places, frame[rows, columns])
    return voxels


def placed_image(image: sitk.Image) -> dict[tuple[float, ...], int]:
    """The same of an image."""
    array = sitk.GetArrayViewFromImage(image)
    indices = np.argwhere(array)
    steps = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    return _by_place(indices[:, ::-1] @ steps.T + np.array(image.GetOrigin()), array[tuple(indices.T)])


def _by_place(places: np.ndarray, values: np.ndarray) -> dict[tuple[float, ...], int]:
    return dict(zip(map(tuple, np.round(places, 1).tolist()), values.tolist(), strict=True))
