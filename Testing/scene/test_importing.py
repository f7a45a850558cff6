"""What a result looks like in the scene: places, names, colours, terminology, provenance, folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib import __version__
from AttentionUNetSegLib.contracts import ModelIdentity, ResultFiles
from AttentionUNetSegLib.errors import BadInput, InternalError
from AttentionUNetSegLib.scene import find_results, import_in_parts, import_result


def node_ids(scene) -> list[str]:
    return [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode", scene)]


def outputs(nodes) -> list:
    return [nodes.segmentation, nodes.probability, *nodes.attention]


def test_names_say_what_the_nodes_are(nodes):
    assert [node.GetName() for node in outputs(nodes)] == [
        "liver phase pancreas",
        "liver phase probability",
        "liver phase attention 1",
        "liver phase attention 2",
    ]


def test_the_segment_carries_terminology_colour_and_dicom_tags(nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    segment = segmentation.GetNthSegment(0)
    assert segment.GetName() == "Pancreas"
    assert segment.GetColor() == pytest.approx((249 / 255, 180 / 255, 111 / 255), abs=1e-6)
    assert segment.GetTerminology() == (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^15776009^Pancreas~^^~Anatomic codes - DICOM master list~^^~^^"
    )
    assert tag(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    assert tag(segment, "DICOM.SegmentAlgorithmName") == "Pancreas: test & trial 0.3.1"


def test_the_model_says_what_the_segment_is(scene, ct_node, job):
    duct = {
        "value": 1,
        "channel": 0,
        "name": "Pancreatic duct",
        "code": {"scheme": "SCT", "value": "69930009", "meaning": "Pancreatic duct"},
        "color": [10, 200, 30],
    }
    nodes = import_result(scene, ct_node, {**job.result, "labels": [duct]}, job.folder)
    segment = nodes.segmentation.GetSegmentation().GetNthSegment(0)
    assert nodes.segmentation.GetName() == "liver phase pancreatic duct"
    assert segment.GetName() == "Pancreatic duct"
    assert "~SCT^69930009^Pancreatic duct~" in segment.GetTerminology()
    assert segment.GetColor() == pytest.approx((10 / 255, 200 / 255, 30 / 255), abs=1e-6)


def test_the_ct_is_the_reference_geometry(nodes, job):
    conversion = nodes.segmentation.GetSegmentation().GetConversionParameter("Reference image geometry")
    extent = [int(float(value)) for value in conversion.split(";")[16:22]]
    assert extent == [0, job.ct.GetSize()[0] - 1, 0, job.ct.GetSize()[1] - 1, 0, job.ct.GetSize()[2] - 1]


def test_volumes_keep_values_and_places(nodes, job):
    files = {
        "probability": nodes.probability,
        "attention_1": nodes.attention[0],
        "attention_2": nodes.attention[1],
    }
    for name, node in files.items():
        image = sitk.ReadImage(str(job.folder / f"{name}.nrrd"))
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), sitk.GetArrayFromImage(image))
        matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
        node.GetIJKToRASMatrix(matrix)
        left, posterior, superior = image.TransformIndexToPhysicalPoint((3, 4, 5))
        assert matrix.MultiplyPoint((3, 4, 5, 1))[:3] == pytest.approx((-left, -posterior, superior), abs=1e-5)


def test_volumes_are_shown_in_inferno_with_the_lowest_values_hidden(nodes):
    for node in (nodes.probability, *nodes.attention):
        display = node.GetDisplayNode()
        assert display.GetColorNodeID() == "vtkMRMLColorTableNodeFileInferno.txt"
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 255)
        assert display.GetApplyThreshold()
        assert 0 < display.GetLowerThreshold() < 128


def test_everything_is_under_the_transform_of_the_ct(scene, ct_node, job, move):
    move(ct_node)
    nodes = import_result(scene, ct_node, job.result, job.folder)
    assert {node.GetTransformNodeID() for node in outputs(nodes)} == {ct_node.GetTransformNodeID()}


def test_everything_is_in_one_folder_beside_the_ct(scene, ct_node, job):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "abdomen")
    ct_item = hierarchy.CreateItem(study, ct_node)
    nodes = import_result(scene, ct_node, job.result, job.folder)
    assert hierarchy.GetItemParent(ct_item) == study
    assert hierarchy.GetItemParent(nodes.folder_item) == study
    assert hierarchy.GetItemName(nodes.folder_item) == "liver phase pancreas"
    assert hierarchy.GetItemLevel(nodes.folder_item) == "Folder"
    for node in outputs(nodes):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == nodes.folder_item


def test_every_node_says_where_it_comes_from(nodes):
    for node, role in zip(outputs(nodes), ["segmentation", "probability", "attention_1", "attention_2"], strict=True):
        assert attribute(node, "role") == role
        assert attribute(node, "result") == nodes.result_id
        assert attribute(node, "model.id") == "pancreas-test"
        assert attribute(node, "model.version") == "0.3.1"
        assert attribute(node, "model.sha256") == "ab" * 32
        assert attribute(node, "device") == "cpu"
        assert attribute(node, "version") == __version__
        assert float(attribute(node, "threshold")) == 0.5
        assert json.loads(attribute(node, "timings")) == {"read": 0.25, "network": 1.5}
        assert attribute(node, "date").endswith("+00:00")


def test_running_again_makes_a_new_result_and_leaves_the_old_one(scene, ct_node, job):
    first = import_result(scene, ct_node, job.result, job.folder)
    before = {node.GetID(): node.GetName() for node in outputs(first)}
    second = import_result(scene, ct_node, job.result, job.folder)
    assert {node.GetID(): node.GetName() for node in outputs(first)} == before
    assert not set(before) & {node.GetID() for node in outputs(second)}
    assert not set(before.values()) & {node.GetName() for node in outputs(second)}
    assert first.result_id != second.result_id
    assert first.folder_item != second.folder_item
    assert [found.result_id for found in find_results(scene)] == [first.result_id, second.result_id]


def test_a_result_without_gates_and_without_a_list_of_files(scene, ct_node, job):
    for path in job.folder.glob("attention_*.nrrd"):
        path.unlink()
    nodes = import_result(scene, ct_node, {"threshold": 0.25}, job.folder)
    assert nodes.attention == []
    assert find_results(scene)[0].attention == []


def test_the_message_of_the_worker_is_taken_as_it_is(scene, ct_node, job):
    protocol = pytest.importorskip("AttentionUNetSegLib.worker.protocol")
    message = protocol.Result(
        job="1",
        folder=str(job.folder),
        files=ResultFiles("probability.nrrd", ("attention_1.nrrd", "attention_2.nrrd")),
        volume_ml={"Pancreas": 1.0},
        threshold=0.5,
        timings={"network": 1.0},
        device="cpu",
        device_name="CPU",
        model=ModelIdentity("pancreas-test", "Test", "1", "ab"),
    )
    nodes = import_result(scene, ct_node, message, job.folder)
    assert attribute(nodes.probability, "model.id") == "pancreas-test"
    assert len(nodes.attention) == 2


def test_the_spread_is_a_volume_of_the_result(scene, ct_node, measured_job, move):
    move(ct_node)
    nodes = import_result(scene, ct_node, measured_job.result, measured_job.folder)
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(measured_job.folder / "spread.nrrd")))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.spread), expected)
    assert expected.max() > 0
    assert nodes.spread.GetOrigin() == nodes.probability.GetOrigin()
    assert nodes.spread.GetTransformNodeID() == ct_node.GetTransformNodeID()
    assert attribute(nodes.spread, "role") == "spread"
    assert attribute(nodes.spread, "result") == nodes.result_id
    assert json.loads(attribute(nodes.segmentation, "distrust")) == ['Too "small".']
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes.spread)) == nodes.folder_item


def test_a_spread_that_lies_elsewhere_is_refused(scene, ct_node, measured_job):
    shifted(measured_job.folder / "spread.nrrd")
    before = node_ids(scene)
    with pytest.raises(InternalError, match="spread"):
        import_result(scene, ct_node, measured_job.result, measured_job.folder)
    assert node_ids(scene) == before


def shifted(path) -> None:
    image = sitk.ReadImage(str(path))
    image.SetOrigin([value + 0.7 for value in image.GetOrigin()])
    sitk.WriteImage(image, str(path))


def float_valued(path) -> None:
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32), str(path))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), "missing or damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "missing or damaged"),
        (float_valued, "values 0 to 255"),
        (shifted, "does not lie on the voxels of liver phase"),
    ],
)
def test_a_damaged_job_folder_is_refused_and_the_scene_stays_as_it_was(scene, ct_node, job, damage, sentence):
    before = node_ids(scene)
    damage(job.folder / "probability.nrrd")
    with pytest.raises(InternalError, match=sentence):
        import_result(scene, ct_node, job.result, job.folder)
    assert node_ids(scene) == before


def test_a_threshold_out_of_range_is_refused_and_the_scene_stays_as_it_was(scene, ct_node, job):
    before = node_ids(scene)
    with pytest.raises(BadInput, match="threshold"):
        import_result(scene, ct_node, {**job.result, "threshold": 0.0}, job.folder)
    assert node_ids(scene) == before


def test_an_import_in_parts_puts_nothing_into_the_scene_before_all_of_it(scene, ct_node, measured_job):
    before = node_ids(scene)
    parts = import_in_parts(scene, ct_node, measured_job.result, measured_job.folder)
    for _file in range(3):
        next(parts)
    parts.close()
    assert node_ids(scene) == before
    parts = import_in_parts(scene, ct_node, measured_job.result, measured_job.folder)
    for _part in parts:
        assert node_ids(scene) == before
    (found,) = find_results(scene)
    assert found.spread is not None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ct: ct.GetScene().RemoveNode(ct), "removed"),
        (lambda ct: ct.SetOrigin(ct.GetOrigin()[0] + ct.GetSpacing()[0], *ct.GetOrigin()[1:]), "moved"),
    ],
)
def test_a_ct_that_changes_while_its_result_is_imported_gets_none(scene, ct_node, job, change, sentence):
    parts = import_in_parts(scene, ct_node, job.result, job.folder)
    next(parts)
    change(ct_node)
    before = node_ids(scene)
    with pytest.raises(BadInput, match=sentence):
        for _part in parts:
            pass
    assert node_ids(scene) == before


def test_a_result_whose_ct_or_probability_is_gone_is_not_found(scene, ct_node, job):
    first = import_result(scene, ct_node, job.result, job.folder)
    second = import_result(scene, ct_node, job.result, job.folder)
    scene.RemoveNode(second.attention[0])
    assert [len(found.attention) for found in find_results(scene)] == [2, 1]
    scene.RemoveNode(first.probability)
    assert [found.result_id for found in find_results(scene)] == [second.result_id]
    scene.RemoveNode(ct_node)
    assert find_results(scene) == []


def attribute(node, key: str) -> str:
    return node.GetAttribute(f"AttentionUNetSeg.{key}")


def tag(segment, name: str) -> str:
    from vtkmodules.vtkCommonCore import reference

    value = reference("")
    assert segment.GetTag(name, value)
    return str(value)
