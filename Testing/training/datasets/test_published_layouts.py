"""Each published layout, from small data written exactly as the archives have it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import LAYOUTS, open_datasets
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES


def boxes(scan) -> dict[str, np.ndarray]:
    return {name: sitk.GetArrayFromImage(mask) for name, mask in scan.load().structures.items()}


# --- Medical Segmentation Decathlon ------------------------------------------------------------------------------


@pytest.fixture
def task07(writer):
    for number in (1, 4, 5):
        writer.ct(f"Task07_Pancreas/imagesTr/pancreas_{number:03d}.nii.gz", writer.ras)
        writer.label(
            f"Task07_Pancreas/labelsTr/pancreas_{number:03d}.nii.gz", writer.labels(pancreas=1, spleen=2), writer.ras
        )
    # What macOS leaves in the archive, and a case for the challenge's own test.
    for part in ("imagesTr", "labelsTr"):
        (writer.folder / "Task07_Pancreas" / part / "._pancreas_001.nii.gz").write_bytes(b"\0\5\26\7junk")
    writer.ct("Task07_Pancreas/imagesTs/pancreas_002.nii.gz")
    content = {
        "name": "Pancreas", "tensorImageSize": "3D", "licence": "CC-BY-SA 4.0", "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "pancreas", "2": "cancer"}, "numTraining": 2, "numTest": 1,
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
            for name in ("pancreas_004", "._pancreas_001", "pancreas_001")
        ],
        "test": ["./imagesTs/pancreas_002.nii.gz"],
    }  # fmt: skip
    writer.json("Task07_Pancreas/dataset.json", content)
    return writer.folder / "Task07_Pancreas", content


def test_msd_takes_its_training_list_and_joins_pancreas_and_mass(writer, task07):
    scans = open_datasets([f"msd:{task07[0]}"])
    assert [scan.name for scan in scans] == ["msd/pancreas_004", "msd/pancreas_001"]
    assert scans[0].licence == "CC BY-SA 4.0" and "Decathlon" in scans[0].attribution
    assert scans[0].labels_by == "manual"
    masks = boxes(scans[1])
    assert list(masks) == ["pancreas"]
    # The box of the "spleen" holds value 2 here: the mass.
    np.testing.assert_array_equal(masks["pancreas"], writer.labels(pancreas=1, spleen=1))


def test_msd_reads_the_values_from_its_labels(writer, task07):
    folder, content = task07
    writer.json("Task07_Pancreas/dataset.json", content | {"labels": {"0": "bg", "2": "Pancreas", "1": "vein"}})
    masks = boxes(open_datasets([f"msd:{folder}"])[0])
    np.testing.assert_array_equal(masks["pancreas"], writer.labels(spleen=1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": {"0": "background", "1": "spleen"}}, "names no pancreas among its labels .it has spleen."),
        ({"labels": {"background": 0, "pancreas": 1}}, "does not say what the labels mean"),
        ({"training": []}, 'The list "training" of .* is empty'),
        ({"training": ["./imagesTr/pancreas_001.nii.gz"]}, 'no list "training" of image and label'),
        (
            {"training": [{"image": f"./imagesTr/{n}.nii.gz", "label": "./labelsTr/x.nii.gz"} for n in "ab"]},
            r"incomplete: there is no .*imagesTr/a.nii.gz .and 3 more.",
        ),
    ],
)
def test_msd_with_another_dataset_json_is_refused(writer, task07, change, sentence):
    writer.json("Task07_Pancreas/dataset.json", task07[1] | change)
    with pytest.raises(BadInput, match=sentence):
        open_datasets([f"msd:{task07[0]}"])


# --- TotalSegmentator --------------------------------------------------------------------------------------------

TOTALSEGMENTATOR_FILES = (
    "pancreas", "duodenum", "stomach", "spleen", "kidney_left", "kidney_right", "liver", "gallbladder",
    "portal_vein_and_splenic_vein", "aorta",
)  # fmt: skip


@pytest.fixture
def totalsegmentator(writer):
    for subject in ("s0000", "s0011", "s1429"):
        writer.ct(f"{subject}/ct.nii.gz", writer.ras)
        for name in TOTALSEGMENTATOR_FILES:
            organ = {name: 1} if name in ("pancreas", "spleen", "liver") else {}
            writer.label(f"{subject}/segmentations/{name}.nii.gz", writer.labels(**organ), writer.ras)
    return writer.folder


def test_totalsegmentator_maps_its_files_to_structures(writer, totalsegmentator):
    scans = open_datasets([f"totalsegmentator:{totalsegmentator}"])
    assert [scan.name for scan in scans] == [f"totalsegmentator/{s}" for s in ("s0000", "s0011", "s1429")]
    assert scans[0].licence == "CC BY 4.0" and "6802613" in scans[0].attribution
    assert scans[0].is_labelled_by_a_model  # drafted by one
    masks = boxes(scans[0])
    assert sorted(masks) == sorted(STRUCTURES)
    for structure in STRUCTURES:
        organ = {structure: 1} if structure in ("pancreas", "spleen", "liver") else {}
        np.testing.assert_array_equal(masks[structure], writer.labels(**organ))


def test_totalsegmentator_without_a_mask_does_not_know_the_structure(totalsegmentator):
    (totalsegmentator / "s0000/segmentations/kidney_left.nii.gz").unlink()
    assert "left_kidney" not in boxes(open_datasets([f"totalsegmentator:{totalsegmentator}"])[0])


def test_totalsegmentator_uses_the_subjects_of_its_meta_csv(totalsegmentator):
    text = "\ufeffimage_id;age;gender;institute;study_type;split\ns0011;69;m;A;ct abdomen;train\ns0001;1;f;A;ct;test\n"
    (totalsegmentator / "meta.csv").write_text(text, encoding="utf-8")
    assert [scan.name for scan in open_datasets([f"totalsegmentator:{totalsegmentator}"])] == ["totalsegmentator/s0011"]
    (totalsegmentator / "meta.csv").write_text("image_id;age\ns9999;1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="lists none of the subjects"):
        open_datasets([f"totalsegmentator:{totalsegmentator}"])
    (totalsegmentator / "meta.csv").write_text("name,age\ns0000,1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="no table with semicolons and a column image_id"):
        open_datasets([f"totalsegmentator:{totalsegmentator}"])


def test_totalsegmentator_without_pancreas_masks_is_refused(totalsegmentator):
    (totalsegmentator / "s0011/segmentations/pancreas.nii.gz").unlink()
    with pytest.raises(BadInput, match=r"there is no .*s0011/segmentations/pancreas.nii.gz\."):
        open_datasets([f"totalsegmentator:{totalsegmentator}"])


def test_totalsegmentator_names_the_case_of_a_mask_on_another_grid(writer, totalsegmentator):
    writer.label("s0011/segmentations/liver.nii.gz", writer.labels(liver=1), writer.lps)
    scans = open_datasets([f"totalsegmentator:{totalsegmentator}"])
    with pytest.raises(BadInput, match="totalsegmentator/s0011: The label liver.nii.gz lies up to .* mm away"):
        scans[1].load()


# --- BTCV, AMOS, FLARE -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "Training", "RawData/Training"])
def test_btcv(writer, folder):
    for number in (1, 40):
        writer.ct(f"{folder}/img/img{number:04d}.nii.gz")
        writer.label(f"{folder}/label/label{number:04d}.nii.gz", writer.labels(pancreas=11, spleen=10, liver=9))
    scans = open_datasets([f"btcv:{writer.folder}"])
    assert [scan.name for scan in scans] == ["btcv/img0001", "btcv/img0040"]
    assert "registered access" in scans[0].licence and "Vault" in scans[0].attribution
    masks = boxes(scans[0])
    # 10 is portal and splenic vein; 9, the inferior vena cava, is known and not used; BTCV has no duodenum.
    assert sorted(masks) == sorted(set(STRUCTURES) - {"duodenum"})
    np.testing.assert_array_equal(masks["pancreas"], writer.labels(pancreas=1))
    np.testing.assert_array_equal(masks["portal_and_splenic_vein"], writer.labels(spleen=1))
    assert not masks["liver"].any()


def test_btcv_refuses_the_cardiac_cts_of_its_project(writer):
    writer.ct("averaged-training-images/DET0000101_avg.nii.gz")
    writer.label("averaged-training-labels/DET0000101_avg_seg.nii.gz", writer.labels(pancreas=1))
    with pytest.raises(BadInput, match="cardiac CTs .* wants img and label of Abdomen/RawData.zip"):
        open_datasets([f"btcv:{writer.folder}"])


AMOS_LABELS = (
    "background", "spleen", "right kidney", "left kidney", "gall bladder", "esophagus", "liver", "stomach", "arota",
    "postcava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum", "bladder", "prostate/uterus",
)  # fmt: skip


def test_amos_takes_ct_from_training_and_validation(writer):
    writer.json("dataset.json", {"name": "AMOS", "labels": {str(v): name for v, name in enumerate(AMOS_LABELS)}})
    for part, name in (("Tr", "amos_0004"), ("Tr", "amos_0507"), ("Va", "amos_0008"), ("Va", "amos_0600")):
        writer.ct(f"images{part}/{name}.nii.gz")
        writer.label(f"labels{part}/{name}.nii.gz", writer.labels(pancreas=10, spleen=13, liver=15))
    writer.ct("imagesTs/amos_0002.nii.gz")
    scans = open_datasets([f"amos:{writer.folder}"])
    assert [scan.name for scan in scans] == ["amos/amos_0004", "amos/amos_0008"]
    assert scans[0].licence == "CC BY 4.0" and "AMOS" in scans[0].attribution
    masks = boxes(scans[0])
    assert sorted(masks) == sorted(set(STRUCTURES) - {"portal_and_splenic_vein"})
    np.testing.assert_array_equal(masks["pancreas"], writer.labels(pancreas=1))
    np.testing.assert_array_equal(masks["duodenum"], writer.labels(spleen=1))


def test_amos_with_another_meaning_of_its_values_is_refused(writer):
    writer.ct("imagesTr/amos_0004.nii.gz")
    writer.json("dataset.json", {"labels": {"0": "background", "7": "pancreas"}})
    with pytest.raises(BadInput, match=r"not AMOS22's: there the pancreas is 10, here \[7\]"):
        open_datasets([f"amos:{writer.folder}"])


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("imagesTr", "labelsTr")])
def test_flare_starts_from_its_labels(writer, images, labels):
    writer.ct(f"{images}/FLARE22_Tr_0001_0000.nii.gz")
    writer.ct(f"{images}/Case_00001_0000.nii.gz")  # one of the 2000 without a label
    writer.label(f"{labels}/FLARE22_Tr_0001.nii.gz", writer.labels(pancreas=4, spleen=12, liver=13))
    (scan,) = open_datasets([f"flare:{writer.folder}"])
    assert scan.name == "flare/FLARE22_Tr_0001"
    assert "CC BY-SA 4.0" in scan.licence and "FLARE22" in scan.attribution
    masks = boxes(scan)
    assert sorted(masks) == sorted(set(STRUCTURES) - {"portal_and_splenic_vein"})
    np.testing.assert_array_equal(masks["pancreas"], writer.labels(pancreas=1))
    np.testing.assert_array_equal(masks["duodenum"], writer.labels(spleen=1))
    np.testing.assert_array_equal(masks["left_kidney"], writer.labels(liver=1))


def test_a_missing_half_is_refused(writer):
    writer.ct("img/img0001.nii.gz")
    writer.ct("img/img0002.nii.gz")
    writer.label("label/label0001.nii.gz", writer.labels(pancreas=11))
    with pytest.raises(BadInput, match=r"layout `btcv`. is incomplete: there is no .*label0002.nii.gz\."):
        open_datasets([f"btcv:{writer.folder}"])


# --- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "table"])
def test_a_folder_that_is_not_in_the_layout_is_refused(writer, layout):
    writer.ct("something/else.nii.gz")
    with pytest.raises(BadInput, match=f"not a data set in the layout `{layout}`: there is no "):
        open_datasets([f"{layout}:{writer.folder}"])
