"""The generic table: what its columns do, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import open_datasets


@pytest.fixture
def case(writer):
    """Two organs and an unnamed third in one label map, beside the CT."""
    writer.ct("a/ct.nii.gz")
    writer.label("a/label.nii.gz", writer.labels(pancreas=2, spleen=5, liver=9))
    return {"image": "a/ct.nii.gz", "label": "a/label.nii.gz"}


def test_structures_are_taken_apart_and_all_else_is_unknown(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case | {'structures': 'pancreas=2; spleen=5;duodenum=7'}])}"])
    loaded = scan.load()
    assert sorted(loaded.structures) == ["duodenum", "pancreas", "spleen"]
    pancreas = sitk.GetArrayFromImage(loaded.structures["pancreas"])
    assert pancreas.dtype == np.uint8
    np.testing.assert_array_equal(pancreas, writer.labels(pancreas=1))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(loaded.structures["spleen"]), writer.labels(spleen=1))
    # Listed but nowhere in the map: known to be absent.
    assert not sitk.GetArrayFromImage(loaded.structures["duodenum"]).any()
    assert loaded.ignore is None
    np.testing.assert_array_equal(sitk.GetArrayFromImage(loaded.ct), writer.hounsfield())
    assert loaded.structures["spleen"].GetOrigin() == loaded.ct.GetOrigin()


def test_a_structure_can_have_two_values(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case | {'structures': 'pancreas=2;pancreas=5'}])}"])
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(scan.load().structures["pancreas"]),
        writer.labels(pancreas=1, spleen=1),
    )


def test_structures_override_label_value(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case | {'label_value': 5, 'structures': 'pancreas=2'}])}"])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.load().structures["pancreas"]), writer.labels(pancreas=1))


def test_label_value_alone_names_the_pancreas(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case | {'label_value': 2}])}"])
    structures = scan.load().structures
    assert list(structures) == ["pancreas"]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(structures["pancreas"]), writer.labels(pancreas=1))


def test_without_an_explanation_only_1_is_a_pancreas(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case])}"])
    with pytest.raises(BadInput, match=r"label.nii.gz holds the values 2, 5, 9, which nothing explains"):
        scan.load()


def test_all_columns_are_carried(writer, case):
    writer.label("a/ignore.nii.gz", writer.labels(liver=3))
    row = case | {
        "structures": "pancreas=2", "ignore": "a/ignore.nii.gz", "weight": "0.25", "name": "first", "patient": "P7",
        "labels_by": "OBELISK-Net", "licence": "CC BY 4.0", "attribution": "somebody",
    }  # fmt: skip
    (scan,) = open_datasets([f"table:{writer.table([row])}"])
    assert scan.name.endswith("/first") and scan.patient == "P7"
    assert (scan.weight, scan.licence, scan.attribution) == (0.25, "CC BY 4.0", "somebody")
    assert scan.labels_by == "OBELISK-Net" and scan.is_labelled_by_a_model
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.load().ignore), writer.labels(liver=1))


def test_empty_cells_count_as_missing(writer, case):
    row = case | dict.fromkeys(("ignore", "weight", "name", "patient", "labels_by", "licence"), "") | {"label_value": 2}
    (scan,) = open_datasets([f"table:{writer.table([row])}"])
    assert (scan.labels_by, scan.weight, scan.licence, scan.patient) == ("manual", 1.0, "unknown", scan.name)
    assert not scan.is_labelled_by_a_model


def test_names_come_from_folders_where_all_images_are_called_alike(writer):
    for name in "ab":
        writer.ct(f"{name}/ct.nii.gz")
        writer.label(f"{name}/label.nii.gz", writer.labels(pancreas=1))
    table = writer.table([{"image": f"{name}/ct.nii.gz", "label": f"{name}/label.nii.gz"} for name in "ab"])
    scans = open_datasets([f"table:{table.parent}"])
    assert [scan.name for scan in scans] == [f"{table.parent.name}/a", f"{table.parent.name}/b"]


@pytest.mark.parametrize("direction", ["lps", "ras", "oblique"])
def test_any_orientation_is_read_and_kept(writer, direction):
    axes = getattr(writer, direction)
    writer.ct("ct.nii.gz", axes)
    writer.label("label.nii.gz", writer.labels(pancreas=1), axes)
    (scan,) = open_datasets([f"table:{writer.table([{'image': 'ct.nii.gz', 'label': 'label.nii.gz'}])}"])
    loaded = scan.load()
    np.testing.assert_allclose(loaded.ct.GetDirection(), axes, atol=1e-6)
    assert loaded.structures["pancreas"].GetDirection() == loaded.ct.GetDirection()
    hu = sitk.GetArrayFromImage(loaded.ct)[sitk.GetArrayFromImage(loaded.structures["pancreas"]) > 0]
    assert 80 < hu.mean() < 100


def test_a_dicom_folder_is_an_image(writer):
    writer.dicom("series")
    writer.label("label.nrrd", writer.labels(pancreas=1))
    (scan,) = open_datasets([f"table:{writer.table([{'image': 'series', 'label': 'label.nrrd'}])}"])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.load().structures["pancreas"]), writer.labels(pancreas=1))


def test_scans_travel_to_other_processes(writer, case):
    (scan,) = open_datasets([f"table:{writer.table([case | {'label_value': 2}])}"])
    again = pickle.loads(pickle.dumps(scan))
    assert again.name == scan.name
    assert sitk.GetArrayFromImage(again.load().structures["pancreas"]).sum() == 8 * 8 * 16


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"structures": "pancreas=2;gland=5"}, "line 2: there is no structure `gland`"),
        ({"structures": "pancreas"}, "not of the form structure=value"),
        ({"structures": "pancreas=2;spleen=2"}, "a value in `structures` is given twice"),
        ({"structures": "pancreas=two"}, "`two` .structures, pancreas. is not a whole number above 0"),
        ({"label_value": "0"}, "`0` .label_value. is not a whole number above 0"),
        ({"weight": "0"}, "the weight `0` is not a number above 0"),
        ({"weight": "nan"}, "the weight `nan` is not"),
        ({"weight": "heavy"}, "the weight `heavy` is not"),
        ({"label": ""}, "names no label"),
        ({"image": "nowhere.nii.gz"}, "line 2 names nowhere.nii.gz, but there is no"),
        ({"ignore": "nowhere.nii.gz"}, "line 2 names nowhere.nii.gz, but there is no"),
        ({"ingore": "a/label.nii.gz"}, "an unknown column `ingore`"),
    ],
)
def test_a_cell_that_means_nothing_is_refused(writer, case, change, sentence):
    table = writer.table([case | change])
    with pytest.raises(BadInput, match=sentence):
        open_datasets([f"table:{table}"])


def test_tables_that_are_none_are_refused(writer, case):
    with pytest.raises(BadInput, match="has no column `label` .it has image."):
        open_datasets([f"table:{writer.table([{'image': 'x'}])}"])
    with pytest.raises(BadInput, match="holds no cases"):
        open_datasets([f"table:{_text(writer, 'image,label')}"])
    with pytest.raises(BadInput, match="the column `label` twice"):
        open_datasets([f"table:{_text(writer, 'image,label,label')}"])
    with pytest.raises(BadInput, match="line 2, does not have 2 cells"):
        open_datasets([f"table:{_text(writer, 'image,label', 'a,b,c')}"])
    with pytest.raises(BadInput, match="line 2, does not have 2 cells"):
        open_datasets([f"table:{_text(writer, 'image,label', 'a')}"])
    with pytest.raises(BadInput, match="the name same more than once"):
        open_datasets([f"table:{writer.table([case | {'name': 'same'}, case | {'name': 'same'}])}"])
    with pytest.raises(BadInput, match="cannot be read as a CSV table in UTF-8"):
        (writer.folder / "cases.csv").write_bytes(b"image,label\n\xff\xfe,b\n")
        open_datasets([f"table:{writer.folder}"])


def _text(writer, *lines):
    (writer.folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return writer.folder / "cases.csv"
