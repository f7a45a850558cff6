"""Segmentations as other tools write them: label maps, .seg.nrrd with layers, DICOM SEG, probabilities."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import open_segmentation, read_probability, read_segment
from dicom_segments import dicom_segments
from dicom_slice import dicom_slice

DIRECTION = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def write(path: Path, array: np.ndarray, **header: str) -> Path:
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((-100.0, 20.0, 300.0))
    image.SetDirection(DIRECTION)
    for key, value in header.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def labels() -> np.ndarray:
    array = np.zeros((9, 10, 11), np.int16)
    array[2:5, 3:6, 2:9] = 7
    array[6:8, 3:6, 2:9] = 300
    return array


def voxels(stored) -> np.ndarray:
    return sitk.GetArrayFromImage(stored.image)


def test_a_label_of_a_label_map_comes_with_the_maps_own_grid(tmp_path, labels):
    for name, array in (("seg.nii.gz", labels), ("seg.nrrd", labels), ("seg.mha", labels.astype(np.float64))):
        stored = read_segment(write(tmp_path / name, array), "300")
        np.testing.assert_array_equal(voxels(stored), labels == 300)
        assert not stored.is_probability
        np.testing.assert_allclose(stored.image.GetOrigin(), (-100, 20, 300), atol=1e-4)
        np.testing.assert_allclose(stored.image.GetDirection(), DIRECTION, atol=1e-5)
    only = read_segment(write(tmp_path / "liver.nii.gz", (labels == 7).astype(np.uint8)))
    assert only.name == "liver"
    assert voxels(only).sum() == (labels == 7).sum()


def test_segments_of_slicer_are_found_by_name_in_their_layer(tmp_path, labels):
    layers = np.stack([labels == 7, np.roll(labels == 7, 1, axis=2)], axis=-1).astype(np.uint8)
    header = {
        "Segment0_Name": "Duodenum", "Segment0_LabelValue": "1", "Segment0_Layer": "0",
        "Segment1_Name": "Pancreas", "Segment1_LabelValue": "1", "Segment1_Layer": "1",
        "Segment1_Color": "0.5 0.25 1", "Segment1_Tags": "TerminologyEntry:a~b^c~d|DICOM.SegmentAlgorithmType:MANUAL|",
    }  # fmt: skip
    path = write(tmp_path / "two.seg.nrrd", layers, **header)
    stored = read_segment(path)  # the one that is named pancreas
    np.testing.assert_array_equal(voxels(stored), layers[..., 1])
    assert (stored.name, stored.color, stored.terminology) == ("Pancreas", (0.5, 0.25, 1.0), "a~b^c~d")
    assert stored.algorithm == ("MANUAL", "")
    np.testing.assert_array_equal(voxels(read_segment(path, "duodenum")), layers[..., 0])
    with pytest.raises(BadInput, match='2 segments "1"') as error:
        read_segment(path, "1")  # two have this value
    assert "1 Duodenum (0.1 mL), 1 Pancreas (0.1 mL)" in error.value.hint
    header["Segment1_Layer"] = "2"
    with pytest.raises(BadInput, match="a layer that is not there"):
        read_segment(write(tmp_path / "damaged.seg.nrrd", layers, **header))
    with pytest.raises(BadInput, match="2 values per voxel"):
        read_segment(write(tmp_path / "unnamed.nrrd", layers))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_a_dicom_segmentation_lies_where_its_frames_lie(tmp_path, kind):
    highdicom = pytest.importorskip("highdicom")
    mask = np.zeros((9, 12, 14), np.uint8)
    mask[3:5, 3:8, 4:9] = 1  # empty frames are left out of the file
    mask[6, 5, 5] = 1
    orientation = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
    more = dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex"), "")
    more |= {"ReferringPhysicianName": "", "InstanceNumber": 1, "SliceThickness": 3.0}
    slices = [
        pydicom.dcmread(
            dicom_slice(tmp_path / f"{n}", (-20.0, -30.0, 3.0 * n), "1.2.3", orientation, mask[n] * 0, **more)
        )
        for n in reversed(range(len(mask)))  # against the order of the slices, as archives have them
    ]
    mask = mask[::-1]
    codes = highdicom.sr.CodedConcept
    description = highdicom.seg.SegmentDescription(
        1, "Pancreas by somebody", codes("123037004", "SCT", "Anatomical Structure"),
        codes("15776009", "SCT", "Pancreas"), highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )  # fmt: skip
    seg = highdicom.seg.Segmentation(
        slices, mask if kind == "BINARY" else mask * 0.6, kind, [description], highdicom.UID(), 5, highdicom.UID(), 1,
        "maker", "model", "1", "serial",
    )  # fmt: skip
    path = tmp_path / "seg.dcm"
    seg.save_as(path)
    stored = read_segment(path)
    assert stored.is_probability == (kind == "FRACTIONAL")
    assert stored.name == "Pancreas by somebody"
    assert stored.codes[1] == ("SCT", "15776009", "Pancreas")
    found = sitk.GetArrayFromImage(stored.image)
    for k, j, i in np.argwhere(mask):
        header = slices[k]
        row, column = np.reshape([float(v) for v in header.ImageOrientationPatient], (2, 3))
        rows_mm, columns_mm = (float(v) for v in header.PixelSpacing)
        place = np.array([float(v) for v in header.ImagePositionPatient]) + i * columns_mm * row + j * rows_mm * column
        index = stored.image.TransformPhysicalPointToIndex(place.tolist())
        assert found[index[::-1]] == pytest.approx(1.0 if kind == "BINARY" else 0.6, abs=0.01)
    assert np.count_nonzero(found) == np.count_nonzero(mask)
    _refuse_what_was_spoiled(path)


def test_segments_of_dicom_are_listed_with_their_volumes_before_one_is_chosen(tmp_path, labels):
    one, whole = (sitk.GetImageFromArray((labels >= least).astype(np.uint8)) for least in (300, 7))
    path = dicom_segments(tmp_path / "seg.dcm", {"Tumour": one, "Gland": whole})
    opened = open_segmentation(path)
    assert [segment.volume_ml for segment in opened.segments] == [None, None]  # it was not waited for all pixels
    volumes = [segment.volume_ml for segment in opened.measured().segments]
    assert volumes == [pytest.approx(int((labels >= least).sum()) / 1000) for least in (300, 7)]
    with pytest.raises(BadInput, match="holds 2 segments") as error:
        read_segment(path)
    assert error.value.hint == "Name one by its name or label value: 1 Tumour (0.0 mL), 2 Gland (0.1 mL)."
    np.testing.assert_array_equal(voxels(read_segment(path, "gland")), labels[2:8] != 0)
    seg = pydicom.dcmread(path)
    groups = seg.PerFrameFunctionalGroupsSequence
    groups[1].PlanePositionSequence = groups[0].PlanePositionSequence  # twice the same place: not counted twice
    seg.save_as(path)
    volumes = [segment.volume_ml for segment in open_segmentation(path).measured().segments]
    assert volumes == [None, pytest.approx(int((labels != 0).sum()) / 1000)]
    seg.SegmentationType, seg.BitsAllocated, seg.BitsStored, seg.HighBit = "LABELMAP", 8, 8, 7
    del groups[:2]  # what is left lies at five places
    seg.NumberOfFrames = len(groups)
    numbers = np.minimum(labels[3 : 3 + len(groups)], 2).astype(np.uint8)
    seg.PixelData = numbers.tobytes() + b"\0" * (numbers.size % 2)
    seg.save_as(path)
    volumes = [segment.volume_ml for segment in open_segmentation(path).measured().segments]
    assert volumes == [0.0, pytest.approx(int((numbers == 2).sum()) / 1000)]


def _refuse_what_was_spoiled(path: Path) -> None:
    """The same file with one thing wrong in it: one sentence each, whatever the library raises."""

    def without_positions(seg):
        del seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence

    def far_apart(seg):
        seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [-20, -30, 3e8]

    def empty_orientation(seg):
        place = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        place.ImageOrientationPatient = [0, 0, 0, 0, 0, 0]

    def half(seg):
        seg.PixelData = seg.PixelData[: len(seg.PixelData) // 4 * 2]

    for spoil, sentence in (
        (without_positions, "no PlanePositionSequence"),
        (far_apart, "larger than any CT"),
        (empty_orientation, "no regular grid"),
        (half, "incomplete"),
        (lambda seg: seg.PerFrameFunctionalGroupsSequence.pop(), "says of 2 where"),
        (lambda seg: seg.SegmentSequence.clear(), "without segments"),
        (lambda seg: setattr(seg, "Modality", "CT"), "CT object, no segmentation"),
    ):
        seg = pydicom.dcmread(path)
        spoil(seg)
        spoiled = path.with_name("Bär\udce4.dcm")  # not UTF-8
        seg.save_as(spoiled)
        with pytest.raises(BadInput, match=sentence) as refused:
            read_segment(spoiled)
        assert str(refused.value).isprintable() and "\udce4" not in str(refused.value)


def test_probabilities_are_fractions_or_stored_integers(tmp_path, labels):
    soft = (labels == 7).astype(np.float32) * 0.625
    fractions = voxels(read_probability(write(tmp_path / "soft.nii.gz", soft)))
    np.testing.assert_allclose(fractions, soft, atol=1e-6)
    stored = voxels(read_probability(write(tmp_path / "stored.nrrd", np.rint(soft * 255).astype(np.uint8))))
    np.testing.assert_array_equal(np.rint(stored * 255), np.rint(soft * 255))


def test_a_segmentation_is_read_as_carefully_as_a_ct(tmp_path, labels):
    """Names that ITK cannot take, voxels in other files, bombs, half files, NaN, a pipe: ITK itself is not asked."""
    for name in ("Bär.nrrd", "b\udce4r.nii.gz"):
        moved = tmp_path / name
        write(tmp_path / f"plain{''.join(Path(name).suffixes)}", labels).rename(moved)
        np.testing.assert_array_equal(voxels(read_segment(moved, "7")), labels == 7)
    secret = tmp_path / "secret" / "raw"
    secret.parent.mkdir()
    secret.write_bytes(bytes(8 * 8 * 8))
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: {0} {0} {0}\nencoding: {1}\n{2}\n"
    outside, bomb, half = (tmp_path / f"{name}.nrrd" for name in ("outside", "bomb", "half"))
    outside.write_text(header.format(8, "raw", "data file: secret/raw\n"))
    bomb.write_bytes(header.format(1200, "gzip", "").encode() + gzip.compress(bytes(2**20)))
    half.write_bytes(header.format(8, "raw", "").encode() + bytes(100))
    pipe = tmp_path / "pipe.nrrd"
    os.mkfifo(pipe)
    unknown = write(tmp_path / "nan.nii.gz", np.where(labels == 7, np.float32(np.nan), 1).astype(np.float32))
    for path, sentence in (
        (outside, "only a plain name in the same folder"),
        (bomb, "would unpack to 1.7 GB"),
        (half, "incomplete"),
        (pipe, "no regular file"),
        (unknown, "no numbers"),
    ):
        for read in (read_segment, read_probability):
            with pytest.raises(BadInput, match=sentence):
                read(path)


def test_what_cannot_be_meant_costs_one_sentence(tmp_path, labels):
    several = write(tmp_path / "several.nii.gz", labels)
    damaged = tmp_path / "damaged.nrrd"
    damaged.write_bytes(b"NRRD0004\ntype: short\n")
    soft = write(tmp_path / "soft.nii.gz", labels / np.float32(700))
    percent = write(tmp_path / "percent.nii.gz", labels / np.float32(3.1))
    empty = write(tmp_path / "empty.nii.gz", labels * 0)
    for call, sentence in (
        (lambda: read_segment(several), "holds 2 segments"),
        (lambda: read_segment(several, "8"), 'no segment "8"'),
        (lambda: read_segment(tmp_path / "none.nrrd"), "There is no file"),
        (lambda: read_segment(damaged), "damaged"),
        (lambda: read_segment(soft), "fractions"),
        (lambda: read_segment(empty), "empty"),
        (lambda: read_probability(percent), "no probability"),
        (lambda: read_probability(write(tmp_path / "mask.nrrd", (labels > 0).astype(np.uint8))), "no probability"),
    ):
        with pytest.raises(BadInput, match=sentence):
            call()


LABEL_TABLE = """<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0"> <LabelTable>
<Label Key="7" Red="1.0" Green="0" Blue="0" Alpha="1"><![CDATA[pancreas]]></Label>
<Label Key="300" Red="0" Green="1" Blue="0" Alpha="1"><![CDATA[portal_vein & splenic]]></Label>
</LabelTable> <VolumeType><![CDATA[Label]]></VolumeType> </VolumeInformation></CaretExtension>
              """


def with_extension(path: Path, text: bytes) -> Path:
    """Put an extension into a NIfTI-1 header, in the bytes that nibabel writes for TotalSegmentator."""
    whole = bytearray(gzip.decompress(path.read_bytes()))
    extension = struct.pack("<2i", 8 + len(text) + -len(text) % 16 + 8, 0) + text.ljust(len(text) + -len(text) % 16 + 8)
    whole[348:352] = b"\1\0\0\0"
    struct.pack_into("<f", whole, 108, 352 + len(extension))
    path.write_bytes(gzip.compress(bytes(whole[:352]) + extension + bytes(whole[352:])))
    return path


def test_labels_have_the_names_that_the_file_gives_them_and_their_volumes(tmp_path, labels):
    path = with_extension(write(tmp_path / "total.nii.gz", labels), LABEL_TABLE.encode())
    opened = open_segmentation(path)
    titles = [segment.title for segment in opened.segments]
    assert titles == ["pancreas (0.1 mL)", "portal_vein & splenic (0.1 mL)"]
    assert opened.segments[0].volume_ml == pytest.approx((labels == 7).sum() * 0.7 * 0.9 * 2.5 / 1000, rel=1e-5)
    stored = read_segment(path)  # the one that is named pancreas
    np.testing.assert_array_equal(voxels(stored), labels == 7)
    assert stored.name == "pancreas"


@pytest.mark.parametrize(
    "table",
    [
        LABEL_TABLE.replace("</LabelTable>", ""),
        LABEL_TABLE.replace('<?xml version="1.0" encoding="UTF-8"?>', '<!DOCTYPE a [<!ENTITY a "aaaa">]>'),
        LABEL_TABLE.replace('"7"', '"seven"').replace('"300"', '"9999999999"'),
        "no table",
    ],
    ids=["damaged", "declarations", "no numbers", "other"],
)
def test_a_table_of_names_that_cannot_be_trusted_counts_as_none(tmp_path, labels, table):
    opened = open_segmentation(with_extension(write(tmp_path / "total.nii.gz", labels), table.encode()))
    assert [segment.title for segment in opened.segments] == ["Label 7 (0.1 mL)", "Label 300 (0.1 mL)"]
    with pytest.raises(BadInput, match="2 segments") as error:
        opened.choose(None)
    assert "give a label value: Label 7 (0.1 mL), Label 300 (0.1 mL)" in error.value.hint
