"""A small oblique CT with anisotropic voxels, and a job folder with the files that the worker would write for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import add_volume, import_result, open_standalone_scene
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

SIZE_IJK = (60, 50, 24)
SPACING_MM = (3.0, 3.6, 6.0)
OFFSET_IJK = (18, 14, 6)
BOX_KJI = (12, 22, 26)
THRESHOLD = 0.5


def oblique_direction(degrees: float = 8.0) -> np.ndarray:
    """A rotation about two axes, as a tilted table or gantry gives."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def oblique_ct() -> sitk.Image:
    """Soft tissue in air, with a bright cube at the patient's left, front, top."""
    voxels = np.full(SIZE_IJK[::-1], -1000, np.int16)
    voxels[:, 6:-6, 8:-8] = 40
    voxels[-7:-2, 9:14, -15:-10] = 700  # LPS: high k = superior, low j = anterior, high i = left
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_MM)
    image.SetDirection(oblique_direction().ravel().tolist())
    image.SetOrigin((-95.5, -80.25, 410.125))
    return image


def probability_field() -> np.ndarray:
    """Two smooth blobs of uint8, the second smaller; 0 at the border of the box; KJI."""
    k, j, i = np.indices(BOX_KJI).astype(float)
    large = np.exp(-(((k - 6) / 3.2) ** 2 + ((j - 11) / 4.5) ** 2 + ((i - 9) / 4.5) ** 2))
    small = 0.9 * np.exp(-(((k - 6) / 1.6) ** 2 + ((j - 11) / 1.8) ** 2 + ((i - 22) / 1.6) ** 2))
    return np.round(255 * np.maximum(large, small)).astype(np.uint8)


@dataclass
class Job:
    """One finished job of the worker: its CT, its field (KJI) and its folder."""

    ct: sitk.Image
    field: np.ndarray
    folder: Path
    result: dict = field(default_factory=dict)

    def expected_mask(self, threshold: float) -> np.ndarray:
        """The mask on the CT's whole grid (KJI) that a plain threshold must give."""
        mask = np.zeros(self.ct.GetSize()[::-1], dtype=bool)
        i, j, k = OFFSET_IJK
        mask[k : k + BOX_KJI[0], j : j + BOX_KJI[1], i : i + BOX_KJI[2]] = self.field / 255.0 >= threshold
        return mask


@pytest.fixture
def job(tmp_path: Path) -> Job:
    ct = oblique_ct()
    folder = tmp_path / "job"
    folder.mkdir()
    probability = sitk.GetImageFromArray(probability_field())
    probability.SetSpacing(ct.GetSpacing())
    probability.SetDirection(ct.GetDirection())
    probability.SetOrigin(ct.TransformIndexToPhysicalPoint(OFFSET_IJK))
    sitk.WriteImage(probability, str(folder / "probability.nrrd"))
    for level in (1, 2):
        sitk.WriteImage(_attention(ct, level), str(folder / f"attention_{level}.nrrd"))
    result = {
        "files": {"probability": "probability.nrrd", "attention": ["attention_1.nrrd", "attention_2.nrrd"]},
        "threshold": THRESHOLD,
        "model": {
            "id": "pancreas-test",
            "name": "Pancreas: test & trial",
            "version": "0.3.1",
            "sha256": "ab" * 32,
        },
        "device": "cpu",
        "device_name": "Some CPU; 2 cores",
        "timings": {"read": 0.25, "network": 1.5},
        "warnings": ['Slices are "thick"; <5 mm> is better.'],
        "volume_ml": {"Pancreas": 1.0},
    }
    return Job(ct, probability_field(), folder, result)


@pytest.fixture
def scene():
    """An empty MRML scene; the application stays alive as long as the test."""
    app, scene = open_standalone_scene()
    yield scene
    scene.Clear(True)
    del app


@pytest.fixture
def ct_node(scene, job: Job):
    return add_volume(scene, Volume(job.ct, "liver phase"))


@pytest.fixture
def nodes(scene, ct_node, job: Job):
    return import_result(scene, ct_node, job.result, job.folder)


@pytest.fixture
def measured_job(job: Job) -> Job:
    """The job as it is with test-time augmentation: with a spread, and a reason to distrust it."""
    probability = sitk.ReadImage(str(job.folder / "probability.nrrd"))
    field = sitk.GetArrayFromImage(probability) / 255.0
    spread = sitk.GetImageFromArray(np.round(510 * 0.8 * field * (1 - field)).astype(np.uint8))
    spread.CopyInformation(probability)
    sitk.WriteImage(spread, str(job.folder / "spread.nrrd"))
    job.result["files"]["spread"] = "spread.nrrd"
    job.result["quality"] = {"reasons": ['Too "small".'], "mean_probability": 0.8, "mean_spread": 0.12}
    return job


@pytest.fixture
def move(scene):
    """Put a volume under a transform that rotates and shifts, as an acquisition transform of DICOM does."""

    def put_under_transform(volume_node) -> np.ndarray:
        matrix = np.eye(4)
        matrix[:3, :3] = oblique_direction(20.0)
        matrix[:3, 3] = (30.0, -20.0, 15.0)
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "acquisition")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        volume_node.SetAndObserveTransformNodeID(transform.GetID())
        return matrix

    return put_under_transform


@pytest.fixture
def segment_mask():
    """The segment as a mask on the whole grid of the CT (KJI), placed by the labelmap's own geometry."""

    def mask_on_grid(nodes, ct: sitk.Image) -> np.ndarray:
        segment_id = nodes.segmentation.GetSegmentation().GetNthSegmentID(0)
        labelmap = slicer.vtkOrientedImageData()
        assert nodes.segmentation.GetBinaryLabelmapRepresentation(segment_id, labelmap)
        to_ras = vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(to_ras)
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
        ijk = np.argwhere(voxels)[:, ::-1] + np.array(labelmap.GetExtent()[::2])
        mask = np.zeros(ct.GetSize()[::-1], dtype=bool)
        for point in ijk @ slicer.util.arrayFromVTKMatrix(to_ras)[:3, :3].T + [
            to_ras.GetElement(row, 3) for row in range(3)
        ]:
            index = ct.TransformPhysicalPointToContinuousIndex((-point[0], -point[1], point[2]))
            assert np.allclose(index, np.round(index), atol=1e-4)
            mask[tuple(round(n) for n in index[::-1])] = True
        return mask

    return mask_on_grid


def _attention(ct: sitk.Image, level: int) -> sitk.Image:
    """A gate's coefficients on its coarser grid: high around the pancreas, low elsewhere."""
    shrunk = sitk.BinShrink(sitk.Cast(ct, sitk.sitkFloat32), [2**level] * 3)
    k, j, i = np.indices(shrunk.GetSize()[::-1]) * 2**level
    middle = np.array(OFFSET_IJK)[::-1] + np.array(BOX_KJI) / 2
    near = np.exp(-(((k - middle[0]) / 6) ** 2 + ((j - middle[1]) / 10) ** 2 + ((i - middle[2]) / 12) ** 2))
    image = sitk.GetImageFromArray(np.round(20 + 220 * near).astype(np.uint8))
    image.CopyInformation(shrunk)
    return image
