"""The tables of the real CTs with labels, through the layout `table`; skipped where the data is not."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import label_problems, open_datasets
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES

from research.development_scans import around_missing_head, main, write_development_tables


@pytest.fixture(scope="module")
def tables(shared_data, tmp_path_factory):
    if not (shared_data / "ct" / "crlm_1006" / "teacher_organs.nii.gz").is_file():
        pytest.skip(f"no labelled CTs in {shared_data}")
    folder = tmp_path_factory.mktemp("development") / "new"
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(io.StringIO()) as printed:
        monkeypatch.setenv("ATTENTIONUNETSEG_DATA", str(shared_data))
        assert main(["--out", str(folder)]) == 0
    written = folder / "cases.csv", folder / "evaluation_only.csv"
    assert printed.getvalue().splitlines() == [str(table) for table in written]
    assert not list(folder.glob(".*"))
    return written


def _milliliters(image: sitk.Image) -> float:
    return float(sitk.GetArrayFromImage(image).sum() * np.prod(image.GetSpacing()) / 1000)


def test_training_and_evaluation_scans_are_without_problems(tables):
    training, evaluation = (open_datasets([f"table:{table}"]) for table in tables)
    names = [scan.name.partition("/")[2] for scan in training + evaluation]
    assert names == ["crlm_1006", "cptac_c3l00189", "totalsegmentator_example", "pancreas_cb_001"]
    assert all(scan.is_labelled_by_a_model and "CC BY" in scan.licence for scan in training + evaluation)
    assert len({scan.patient for scan in training + evaluation}) == 4
    assert label_problems(training + evaluation) == []


def test_structures_are_those_that_are_to_be_trusted(tables):
    whole, partial, small = (scan.load() for scan in open_datasets([f"table:{tables[0]}"]))
    assert set(STRUCTURES) - set(whole.structures) == {"duodenum", "portal_and_splenic_vein"}
    assert list(partial.structures) == ["pancreas"]
    assert set(small.structures) == set(STRUCTURES)
    # The volumes that the data's README gives; TotalSegmentator's two runs on its example differ (18.8 and 22 mL).
    assert _milliliters(whole.structures["pancreas"]) == pytest.approx(85.5, abs=0.1)
    assert _milliliters(partial.structures["pancreas"]) == pytest.approx(20, abs=1)
    assert _milliliters(small.structures["pancreas"]) == pytest.approx(18.8, abs=0.1)
    assert all(1000 < _milliliters(scan.structures["liver"]) < 2000 for scan in (whole, small))
    # Left is left: the spleen lies to the left (+x in LPS) of the liver.
    for scan in (whole, small):
        centres = {name: _centre(scan.structures[name]) for name in ("liver", "spleen", "left_kidney")}
        assert centres["spleen"][0] > centres["left_kidney"][0] > centres["liver"][0]


def test_the_missing_head_is_ignored_and_the_label_is_not(tables):
    partial = open_datasets([f"table:{tables[0]}"])[1].load()
    pancreas, ignore = (sitk.GetArrayFromImage(i) > 0 for i in (partial.structures["pancreas"], partial.ignore))
    assert not (pancreas & ignore).any()
    # Places of the CT (IJK) that were looked at: in the head, in the tail, and in the jejunum on the left.
    assert all(ignore[k, j, i] for i, j, k in [(215, 235, 4), (230, 240, 7), (190, 240, 5), (200, 215, 9)])
    assert not ignore[13, 245, 300] and not ignore[4, 230, 330]
    assert 500 < _milliliters(partial.ignore) < 1200


def test_where_only_fragments_are_known_the_rest_is_ignored(tables):
    (scan,) = (scan.load() for scan in open_datasets([f"table:{tables[1]}"]))
    pancreas, ignore = (sitk.GetArrayFromImage(image) > 0 for image in (scan.structures["pancreas"], scan.ignore))
    assert not (pancreas & ignore).any()
    known = ~pancreas & ~ignore
    assert _milliliters(scan.structures["pancreas"]) == pytest.approx(23, abs=1.5)
    # Stomach and duodenum, small bowel and lungs as contoured by hand: 288 + 449 + 1436 + 1442 mL by the data's table.
    volume = known.sum() * np.prod(scan.ct.GetSpacing()) / 1000
    assert volume == pytest.approx(3615, rel=0.02)


@pytest.mark.parametrize("turned", ["LPS", "RAI", "PIR"])
def test_the_region_of_the_head_lies_right_of_the_label_in_any_orientation(turned):
    mask = sitk.Image(100, 80, 60, sitk.sitkUInt8)
    mask.SetSpacing((2.0, 2.0, 3.0))
    mask[50:80, 38:42, 38:42] = 1
    image = sitk.DICOMOrient(mask, turned)
    pancreas = sitk.GetArrayFromImage(image) > 0
    region = sitk.GetImageFromArray(around_missing_head(pancreas, image).astype(np.uint8))
    region.CopyInformation(image)
    found = np.argwhere(sitk.GetArrayFromImage(sitk.DICOMOrient(region, "LPS")))
    # The label's right end is about (51, 39.5, 39.5): 70 mm to the right, 30 left, 60 front and back, 90 down, 20 up.
    np.testing.assert_allclose(found.min(axis=0), (39.5 - 30, 39.5 - 30, 51 - 35), atol=1.01)
    np.testing.assert_allclose(found.max(axis=0), (39.5 + 20 / 3, 39.5 + 30, 51 + 15), atol=1.01)


def test_missing_data_is_said(tmp_path, monkeypatch, capsys):
    with pytest.raises(BadInput, match="no development scans in"):
        write_development_tables(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("ATTENTIONUNETSEG_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as exit_:
        main(["--out", str(tmp_path / "out")])
    assert exit_.value.code == 1
    assert "Set ATTENTIONUNETSEG_DATA" in capsys.readouterr().err


def _centre(mask: sitk.Image) -> tuple[float, ...]:
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    return statistics.GetCentroid(1)
