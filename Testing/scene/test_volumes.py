"""Volumes cross between SimpleITK and MRML with every voxel and the geometry unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Volume, read_volume
from AttentionUNetSegLib.scene import add_volume, export_volume
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]
spacing = st.floats(0.2, 8.0)
origin = st.floats(-500.0, 500.0)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    transform = sitk.Euler3DTransform((0, 0, 0), yaw, pitch, roll)
    return np.array(transform.GetMatrix()).reshape(3, 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(TYPES),
    spacing=st.tuples(spacing, spacing, spacing),
    origin=st.tuples(origin, origin, origin),
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_round_trip_keeps_voxels_and_geometry(scene, tmp_path, dtype, spacing, origin, angles, flip, seed):
    info = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(np.float32)
    values = np.random.default_rng(seed).uniform(float(info.min) / 4, float(info.max) / 4, (4, 3, 5)).astype(dtype)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    direction = rotation(*angles) @ np.diag([1, 1, -1 if flip else 1])
    image.SetDirection(direction.ravel().tolist())

    node = add_volume(scene, Volume(image, "ct"))
    export_volume(node, tmp_path / "out.nrrd")
    back = sitk.ReadImage(str(tmp_path / "out.nrrd"))

    assert back.GetPixelID() == image.GetPixelID()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), values)
    np.testing.assert_allclose(back.GetSpacing(), spacing, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back.GetOrigin(), origin, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back.GetDirection(), image.GetDirection(), rtol=0, atol=1e-6)
    scene.RemoveNode(node)


def test_every_voxel_lies_where_it_lay_in_the_patient(ct_node, job):
    index = (7, 21, 13)
    left, posterior, superior = job.ct.TransformIndexToPhysicalPoint(index)
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    ct_node.GetIJKToRASMatrix(matrix)
    assert matrix.MultiplyPoint((*index, 1.0))[:3] == pytest.approx((-left, -posterior, superior), abs=1e-6)
    assert slicer.util.arrayFromVolume(ct_node)[index[::-1]] == job.ct[index]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((-1024, 3071), np.int16),
        ((0, 70000), np.int32),
        ((-(2**40), 2**40), np.float64),
    ],
)
def test_64_bit_integers_become_a_type_that_slicer_displays(scene, values, expected):
    image = sitk.GetImageFromArray(np.array(values * 4, np.int64).reshape(2, 2, 2))
    array = slicer.util.arrayFromVolume(add_volume(scene, Volume(image, "ct")))
    assert array.dtype == expected
    np.testing.assert_array_equal(array.astype(np.int64), sitk.GetArrayFromImage(image))


def test_a_parent_transform_stays_out_of_the_file(scene, ct_node, job, move, tmp_path):
    move(ct_node)
    export_volume(ct_node, tmp_path / "out.nrrd")
    back = sitk.ReadImage(str(tmp_path / "out.nrrd"))
    np.testing.assert_allclose(back.GetOrigin(), job.ct.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(back.GetDirection(), job.ct.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(job.ct))


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
@pytest.mark.parametrize("is_phantom", [True, False])
def test_the_phantom_mark_goes_through_scene_and_file(scene, job, tmp_path, ending, is_phantom):
    node = add_volume(scene, Volume(job.ct, "ct", is_phantom=is_phantom))
    assert node.GetAttribute("AttentionUNetSeg.phantom") == ("1" if is_phantom else None)
    export_volume(node, tmp_path / f"out.{ending}")
    assert read_volume(tmp_path / f"out.{ending}").is_phantom == is_phantom


def test_a_ct_is_shown_in_the_abdomen_window(ct_node):
    display = ct_node.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (400, 40, 0)


def test_two_volumes_of_one_name_can_be_told_apart(scene, job):
    names = {add_volume(scene, Volume(job.ct, "ct")).GetName() for _ in range(3)}
    assert len(names) == 3


def test_colour_images_and_empty_nodes_are_refused(scene, tmp_path):
    with pytest.raises(BadInput, match="one value per voxel"):
        add_volume(scene, Volume(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), "photo"))
    with pytest.raises(BadInput, match="holds no voxels"):
        export_volume(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"), tmp_path / "out.nrrd")
    assert list(tmp_path.glob("*out*")) == []
