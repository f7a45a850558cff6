"""Measurements of a result: of the segment as it is cleaned, in a table that is saved with the scene."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.measure import measure
from AttentionUNetSegLib.scene import (
    find_results,
    load_scene,
    measure_result,
    measurement_table,
    open_standalone_scene,
    save_scene,
    segment_volume_ml,
    set_threshold,
)
from AttentionUNetSegLib.scene.measurements import COLUMNS


def test_a_result_is_measured_like_its_files(nodes, job):
    threshold = 0.6
    set_threshold(nodes, threshold)
    found = measure_result(nodes)
    probability = sitk.ReadImage(str(job.folder / "probability.nrrd"))
    assert found["volume"].value == pytest.approx(segment_volume_ml(nodes), rel=1e-3)
    of_files = measure(probability, job.ct, threshold)
    for quantity, same in zip(found, of_files, strict=True):
        numbers, same_numbers = ((each.value, each.low, each.high) for each in (quantity, same))
        assert numbers == pytest.approx(same_numbers, rel=1e-3), quantity
    assert found.phase == of_files.phase, "the CT around the gland is looked at, too"
    line = found.centre_line
    np.testing.assert_allclose(line.points_lps, of_files.centre_line.points_lps, atol=0.01)


def test_the_table_follows_the_threshold_and_is_saved_with_the_scene(nodes, scene, tmp_path):
    set_threshold(nodes, 0.5)
    table = measurement_table(nodes)
    volume = table.GetTable().GetColumnByName("Value").GetValue(0)
    set_threshold(nodes, 0.8)
    found = measure_result(nodes)
    assert measurement_table(nodes, found) is table is nodes.measurements
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == list(COLUMNS)
    assert table.GetNumberOfRows() == len(found.as_rows())
    assert table.GetDescription().startswith("Contrast phase, a guess: ")
    assert table.GetTable().GetColumnByName("Value").GetValue(0) == found["volume"].value < volume
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == nodes.folder_item

    save_scene(scene, tmp_path / "saved.mrb")
    app, loaded = open_standalone_scene()
    load_scene(loaded, tmp_path / "saved.mrb")
    (again,) = find_results(loaded)
    kept = again.measurements.GetTable()
    for row, expected in enumerate(found.as_rows()):
        stored = [kept.GetValueByName(row, column) for column in COLUMNS]
        assert [stored[0].ToString(), stored[-1].ToString()] == [expected[0], expected[-1]]
        assert [each.ToDouble() for each in stored[1:-1]] == pytest.approx(expected[1:-1])
    assert measure_result(again).as_rows() == found.as_rows()
    loaded.Clear(True)
    del app


def test_an_empty_segment_has_a_table_too(nodes):
    slicer.util.arrayFromVolume(nodes.probability)[:] = 0
    set_threshold(nodes, 0.5)
    table = measurement_table(nodes)
    assert table.GetTable().GetColumnByName("Value").GetValue(0) == 0.0
    assert np.isnan(table.GetTable().GetColumnByName("Value").GetValue(1))
    assert "empty" in table.GetDescription()
