"""Pancreas-CT: DICOM images, and labels whose affine says nothing about them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import label_problems, open_datasets
from AttentionUNetSegLib.training.datasets.nih import in_order_of_ct

LABELS = "TCIA_pancreas_labels-02-05-2017"


def _case(writer, number: int, label: np.ndarray | None = None, **how) -> None:
    name = f"PANCREAS_{number:04d}"
    writer.dicom(f"Pancreas-CT/{name}/11-24-2015-{name}-Pancreas-18957/Pancreas-99667", **how)
    label = writer.labels(pancreas=1) if label is None else label
    # As in the archive: an affine that has nothing to do with the CT's.
    writer.label(f"{LABELS}/label{number:04d}.nii.gz", label, writer.ras, origin=(0, 0, 0), spacing=(3.0, 3.0, 1.0))


def test_cases_are_matched_by_number(writer):
    for number in (1, 3):
        _case(writer, number)
    # 82 labels, 80 CTs: the folders of the two withdrawn cases are there, and empty.
    writer.label(f"{LABELS}/label0025.nii.gz", writer.labels(pancreas=1))
    (writer.folder / "Pancreas-CT/PANCREAS_0025").mkdir()
    (writer.folder / "Pancreas-CT/LICENSE").write_text("CC BY 3.0")
    scans = open_datasets([f"nih:{writer.folder}"])
    assert [scan.name for scan in scans] == ["nih/PANCREAS_0001", "nih/PANCREAS_0003"]
    assert scans[0].licence == "CC BY 3.0" and "10.7937/K9/TCIA.2016.tNB1kqBU" in scans[0].attribution
    assert scans[0].labels_by == "manual"
    assert label_problems(scans) == []


def test_withdrawn_cases_of_an_old_copy_are_left_out(writer):
    for number in (1, 25):
        _case(writer, number)
    assert [scan.name for scan in open_datasets([f"nih:{writer.folder}"])] == ["nih/PANCREAS_0001"]


@pytest.mark.parametrize("feet_first", [True, False])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1)])
def test_the_label_takes_the_geometry_of_the_ct_in_the_order_that_fits(writer, voxels, axes, feet_first):
    # Instance numbers run from the feet, or from the head; the array that is written runs with them.
    hu = writer.hounsfield() if feet_first else writer.hounsfield()[::-1]
    _case(writer, 1, label=np.flip(writer.labels(pancreas=1), axes), hu=hu, feet_first=feet_first)
    (scan,) = open_datasets([f"nih:{writer.folder}"])
    loaded = scan.load()
    pancreas = loaded.structures["pancreas"]
    assert (pancreas.GetOrigin(), pancreas.GetSpacing()) == (loaded.ct.GetOrigin(), loaded.ct.GetSpacing())
    np.testing.assert_array_equal(voxels(pancreas), writer.labels(pancreas=1))
    np.testing.assert_array_equal(voxels(loaded.ct), writer.hounsfield())


def test_a_label_that_fits_in_two_orders_is_refused(writer):
    hu = writer.hounsfield()
    hu[:] = np.where(writer.labels(pancreas=1) + writer.labels(pancreas=1)[::-1] > 0, 90, -100)
    _case(writer, 1, hu=hu)
    (scan,) = open_datasets([f"nih:{writer.folder}"])
    with pytest.raises(BadInput, match="nih/PANCREAS_0001: It is not clear how the label label0001.nii.gz lies on its"):
        scan.load()


def test_a_label_that_fits_nowhere_is_refused(writer):
    _case(writer, 1, hu=np.full_like(writer.hounsfield(), -100) + np.arange(48, dtype=np.int16))
    (scan,) = open_datasets([f"nih:{writer.folder}"])
    with pytest.raises(BadInput, match="It is not clear how"):
        scan.load()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda label: label[:-1], r"has \(48, 40, 15\) voxels and its CT \(48, 40, 16\)"),
        (lambda label: label * 2, "holds the value 2, which nothing explains"),
        (lambda label: label * 0, "is empty or holds only a few voxels"),
        (lambda label: label * np.float32(0.5), "holds fractions"),
    ],
)
def test_wrong_labels_are_refused_with_the_case(writer, change, sentence):
    _case(writer, 1, label=change(writer.labels(pancreas=1)))
    (scan,) = open_datasets([f"nih:{writer.folder}"])
    with pytest.raises(BadInput, match=f"nih/PANCREAS_0001: .*{sentence}"):
        scan.load()


def test_an_incomplete_download_is_refused(writer):
    _case(writer, 1)
    _case(writer, 2)
    (writer.folder / LABELS / "label0002.nii.gz").unlink()
    with pytest.raises(BadInput, match=r"no label0002.nii.gz for .*PANCREAS_0002 .1 of 2 CTs have no label"):
        open_datasets([f"nih:{writer.folder}"])
    (writer.folder / LABELS / "label0001.nii.gz").unlink()
    with pytest.raises(BadInput, match=r"there is no label such as label0001.nii.gz in it"):
        open_datasets([f"nih:{writer.folder}"])


def test_a_case_that_is_there_twice_is_refused(writer):
    _case(writer, 1)
    writer.label("old/label0001.nii.gz", writer.labels(pancreas=1))
    with pytest.raises(BadInput, match="Case 1 is there twice"):
        open_datasets([f"nih:{writer.folder}"])


@pytest.mark.parametrize(
    ("case", "label"),
    [
        ("crlm_1006", "teacher_pancreas"),
        ("cptac_c3l00189", "teacher_pancreas"),
        ("totalsegmentator_example", "totalsegmentator_pancreas"),
    ],
)
def test_the_order_is_found_on_real_cts(shared_data, case, label):
    folder = shared_data / "ct" / case
    if not (folder / f"{label}.nii.gz").is_file():
        pytest.skip(f"no {folder / label}.nii.gz")
    ct = sitk.DICOMOrient(sitk.ReadImage(str(folder / "ct.nii.gz")), "LPS")
    mask = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(folder / f"{label}.nii.gz")), "LPS")) > 0
    for axes in ((), (0, 1)):
        np.testing.assert_array_equal(in_order_of_ct(np.flip(mask, axes), ct, "label"), mask)
