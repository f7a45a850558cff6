"""A region of interest in the world becomes a box of the CT's own voxels."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import add_volume, export_volume, import_result, segment_volume_ml
from AttentionUNetSegLib.scene.geometry import box_of_region, widened
from AttentionUNetSegLib.scene.volumes import image_of_node


@pytest.fixture
def ct(scene):
    image = sitk.GetImageFromArray(np.arange(20 * 30 * 40, dtype=np.int16).reshape(20, 30, 40))
    image.SetSpacing((1.0, 2.0, 3.0))
    return add_volume(scene, Volume(image, "CT"))


def add_region(scene, center, size):
    region = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    region.SetCenter(*center)
    region.SetSize(*size)
    return region


def under_transform(scene, *nodes, rotation=30.0, shift=(50.0, -20.0, 10.0)):
    from vtkmodules.vtkCommonTransforms import vtkTransform

    transform = vtkTransform()
    transform.Translate(*shift)
    transform.RotateZ(rotation)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(transform.GetMatrix())
    for each in nodes:
        each.SetAndObserveTransformNodeID(node.GetID())


def test_box_holds_every_voxel_that_the_region_touches(scene, ct):
    # RAS x = -i, y = -2 j, z = 3 k; a voxel reaches half its size to each side.
    region = add_region(scene, (-20.0, -30.0, 30.0), (9.9, 19.8, 29.7))
    assert box_of_region(ct, region) == [(15, 26), (10, 21), (5, 16)]


def test_box_is_cut_at_the_volume(scene, ct):
    assert box_of_region(ct, add_region(scene, (0.0, 0.0, 0.0), (500.0, 500.0, 500.0))) == [(0, 40), (0, 30), (0, 20)]


def test_a_transform_above_both_changes_nothing(scene, ct):
    region = add_region(scene, (-20.0, -30.0, 30.0), (9.9, 19.8, 29.7))
    before = box_of_region(ct, region)
    under_transform(scene, ct, region)
    assert box_of_region(ct, region) == before


def test_a_transform_above_the_ct_moves_the_box(scene, ct):
    region = add_region(scene, (-10.0, -30.0, 30.0), (9.9, 19.8, 29.7))
    under_transform(scene, ct, rotation=0.0, shift=(10.0, 0.0, 0.0))
    assert box_of_region(ct, region)[0] == (15, 26)


def test_export_writes_the_box_in_its_place(scene, ct, tmp_path):
    box = box_of_region(ct, add_region(scene, (-20.0, -30.0, 30.0), (9.9, 19.8, 29.7)))
    export_volume(ct, tmp_path / "part.nrrd", box=box)
    part = sitk.ReadImage(str(tmp_path / "part.nrrd"))
    assert part.GetSize() == (11, 11, 11)
    assert part.GetOrigin() == pytest.approx((15.0, 20.0, 15.0))
    whole = slicer.util.arrayFromVolume(ct)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(part), whole[5:16, 10:21, 15:26])


def test_a_box_is_widened_by_millimetres_and_cut_at_the_volume(ct):
    assert widened([(15, 26), (10, 21), (5, 16)], ct, 6.0) == [(9, 32), (7, 24), (3, 18)]
    assert widened([(15, 26), (10, 21), (5, 16)], ct, 500.0) == [(0, 40), (0, 30), (0, 20)]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([(15, 18), (10, 30), (0, 20)], (3, 8, 6)),
        ([(0, 40), (0, 30), (0, 20)], (10, 8, 6)),
        ([(0, 5), (0, 30), (0, 20)], (1, 1, 1)),
    ],
)
def test_only_the_box_of_the_probability_is_taken_over(scene, ct, tmp_path, box, expected):
    image = image_of_node(ct)[12:22, 12:20, 4:10] * 0 + 255
    sitk.WriteImage(sitk.Cast(image, sitk.sitkUInt8), str(tmp_path / "probability.nrrd"))
    nodes = import_result(scene, ct, {"threshold": 0.5}, tmp_path, box=box)
    assert nodes.probability.GetImageData().GetDimensions() == expected
    voxels = 0 if expected == (1, 1, 1) else np.prod(expected)
    assert segment_volume_ml(nodes) == pytest.approx(voxels * np.prod(ct.GetSpacing()) / 1000.0)


def test_a_region_elsewhere_or_without_size_is_refused(scene, ct):
    with pytest.raises(BadInput, match="lies outside CT"):
        box_of_region(ct, add_region(scene, (500.0, 0.0, 0.0), (10.0, 10.0, 10.0)))
    with pytest.raises(BadInput, match="has no size"):
        box_of_region(ct, scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Empty"))
