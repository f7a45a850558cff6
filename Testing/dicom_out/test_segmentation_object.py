"""SEG objects lie where the CT lies: told by highdicom, by pydicom and by dcmqi, which shares no code with either."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.dicom_out import missing_library, write_dicom_seg
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume
from dicom_judges import dcmqi, errors_by_dciodvfy
from known_segment import on_whole_grid, probability_on
from pydicom.sr.codedict import codes

highdicom = pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")

OBLIQUE = (0.8, 0.6, 0, 0, 0, -1)
SERIES = {
    "axial": {},
    "oblique": {"orientation": OBLIQUE},
    "head last": {"orientation": (-1, 0, 0, 0, 1, 0)},
    "files against the normal": {"step": -3.0},
    "files in no order": {"shuffled": True},
    "oblique and in no order": {"orientation": OBLIQUE, "shuffled": True, "step": -2.5},
}


@pytest.mark.parametrize("fractional", [False, True], ids=["binary", "fractional"])
@pytest.mark.parametrize("kind", SERIES)
def test_every_reader_finds_the_voxels_where_they_lie(series, model, tmp_path, kind, fractional):
    ct = series(**SERIES[kind])
    field = probability_on(ct.image)
    truth = on_whole_grid(field, ct.image)
    segment = field if fractional else field >= 128
    if not fractional:
        truth = (truth >= 128).astype(np.uint8)
    path = tmp_path / "seg.dcm"
    write_dicom_seg(path, segment, sorted(ct.dicom_files), model, fractional=fractional)

    assert_equal_by_highdicom(path, ct, truth, fractional)
    assert_equal_by_pydicom(path, ct, truth)
    assert_equal_by_dcmqi(path, ct, truth, tmp_path / "dcmqi")


@pytest.mark.parametrize("fractional", [False, True], ids=["binary", "fractional"])
def test_dciodvfy_finds_no_error(series, model, tmp_path, fractional):
    ct = series(step=-3.0, SpacingBetweenSlices=-3.0)
    path = tmp_path / "seg.dcm"
    write_dicom_seg(path, probability_on(ct.image), ct.dicom_files, model, fractional=fractional, threshold=0.5)
    assert errors_by_dciodvfy(path) == []


def test_it_says_what_is_shown_and_who_made_it(series, model, tmp_path):
    ct = series()
    path = tmp_path / "seg.dcm"
    mask = probability_on(ct.image) >= 128
    write_dicom_seg(path, mask, ct.dicom_files, model, semiautomatic=True, threshold=0.4)
    (segment,) = highdicom.seg.segread(path).SegmentSequence
    assert segment.segmented_property_type == codes.SCT.Pancreas
    assert segment.segmented_property_category == codes.SCT.AnatomicalStructure
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (model.name, model.version)
    assert f"weights_sha256={model.sha256}" in algorithm.AlgorithmParameters
    assert "threshold=0.4" in algorithm.AlgorithmParameters
    shown = segment.RecommendedDisplayCIELabValue
    assert highdicom.color.CIELabColor.from_dicom_value(shown).to_rgb() == pytest.approx((249, 180, 111), abs=1)
    write_dicom_seg(path, mask, ct.dicom_files, model)
    assert highdicom.seg.segread(path).SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"


def test_voxels_in_another_order_are_the_same_voxels(series, model, tmp_path):
    """As a program may have loaded the same series: axes that run the other way, slices last."""
    ct = series(orientation=OBLIQUE)
    field = probability_on(ct.image)
    turned = sitk.PermuteAxes(sitk.Flip(field, [True, False, True]), [2, 0, 1])
    for name, image in (("own", field), ("turned", turned)):
        write_dicom_seg(tmp_path / name, image, ct.dicom_files, model, fractional=True)
    frames = [pydicom.dcmread(tmp_path / name).pixel_array for name in ("own", "turned")]
    np.testing.assert_array_equal(*frames)


def test_a_finer_grid_is_brought_onto_the_slices(series, model, tmp_path):
    """A ball drawn on 0.7 mm voxels has its volume on the CT's 9 mm^3 voxels too, and its middle where it was."""
    ct = series()
    fine = sitk.Image([40, 40, 40], sitk.sitkUInt8)
    fine.SetSpacing([0.7] * 3)
    fine.SetOrigin([-22, -32, -100])
    k, j, i = np.indices((40, 40, 40)) - 19.5
    ball = sitk.GetImageFromArray((i**2 + j**2 + k**2 < 12**2).astype(np.uint8))
    ball.CopyInformation(fine)
    write_dicom_seg(tmp_path / "ball", ball, ct.dicom_files, model)
    found = highdicom.seg.segread(tmp_path / "ball").get_volume(combine_segments=False)
    inside = np.argwhere(np.asarray(found.array[..., 0]))
    assert len(inside) * 9 == pytest.approx(4 / 3 * np.pi * 8.4**3, rel=0.1)
    centre = found.map_indices_to_reference(inside).mean(axis=0)
    assert centre == pytest.approx(np.array([-22, -32, -100]) + 0.7 * 19.5, abs=0.5)


def test_on_slices_of_a_tilted_gantry_it_lies_where_it_was(series, model, tmp_path):
    """The CT is read onto a straight grid; the SEG has the frames of the sheared slices, each at its place."""
    ct = series(shear=0.2)
    k, j, i = np.indices(ct.image.GetSize()[::-1])
    from_middle = np.stack([(i - 8) * 1.5, (j - 7) * 2, (k - 5) * 3])
    ball = sitk.GetImageFromArray((np.linalg.norm(from_middle, axis=0) < 9).astype(np.uint8))
    ball.CopyInformation(ct.image)
    write_dicom_seg(tmp_path / "ball", ball, ct.dicom_files, model)
    seg = pydicom.dcmread(tmp_path / "ball")
    headers = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file) for file in ct.dicom_files}
    middle = ct.image.TransformIndexToPhysicalPoint((8, 7, 5))
    inside = []
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert position == headers[source].ImagePositionPatient
        inside += [np.array(position) + (1.5 * column, 2 * row, 0) for row, column in np.argwhere(frame)]
    assert np.mean(inside, axis=0) == pytest.approx(middle, abs=0.5)
    assert len(inside) * 9 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.1)
    assert np.linalg.norm(np.array(inside) - middle, axis=1).max() < 9 + 1.5
    assert errors_by_dciodvfy(tmp_path / "ball") == []


def test_a_multi_frame_ct_is_referred_to_frame_by_frame(multiframe, model, tmp_path):
    ct = read_volume(multiframe)
    assert ct.dicom_files == (multiframe,)
    field = probability_on(ct.image)
    path = tmp_path / "seg.dcm"
    write_dicom_seg(path, field, ct.dicom_files, model, fractional=True)
    truth = on_whole_grid(field, ct.image)
    assert_equal_by_highdicom(path, ct, truth, True)
    frames = pydicom.dcmread(multiframe).PerFrameFunctionalGroupsSequence
    for groups in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        number = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        assert groups.PlanePositionSequence[0] == frames[number - 1].PlanePositionSequence[0]
    assert errors_by_dciodvfy(path) == []


def test_a_multi_frame_ct_in_two_files_is_referred_to_as_a_whole(multiframe, model, tmp_path):
    whole = pydicom.dcmread(multiframe)
    frames, pixels = list(whole.PerFrameFunctionalGroupsSequence), whole.pixel_array
    folder = tmp_path / "two files"
    folder.mkdir()
    for name, part in (("a", slice(0, 4)), ("b", slice(4, 10))):
        whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        whole.PerFrameFunctionalGroupsSequence, whole.PixelData = frames[part], pixels[part].tobytes()
        whole.NumberOfFrames = len(frames[part])
        whole.save_as(folder / name)
    ct = read_volume(folder)
    assert sorted(ct.dicom_files) == [folder / "a", folder / "b"]
    field = probability_on(ct.image)
    write_dicom_seg(tmp_path / "seg", field, ct.dicom_files, model, fractional=True)
    assert_equal_by_highdicom(tmp_path / "seg", ct, on_whole_grid(field, ct.image), True)
    referred = pydicom.dcmread(tmp_path / "seg").ReferencedSeriesSequence[0].ReferencedInstanceSequence
    uids = {pydicom.dcmread(file).SOPInstanceUID for file in ct.dicom_files}
    assert {item.ReferencedSOPInstanceUID for item in referred} == uids
    assert errors_by_dciodvfy(tmp_path / "seg") == []


def test_a_ct_whose_headers_lack_what_may_be_empty_is_enough(series, model, tmp_path):
    ct = series(PatientName=None, PatientID=None, FrameOfReferenceUID=None, SeriesNumber=None, SliceThickness=None)
    for name in ("one", "two"):
        write_dicom_seg(tmp_path / name, probability_on(ct.image), ct.dicom_files, model)
    one, two = (pydicom.dcmread(tmp_path / name) for name in ("one", "two"))
    assert one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert errors_by_dciodvfy(tmp_path / "one") == []


def test_an_empty_segment_is_an_empty_object(series, model, tmp_path):
    ct = series()
    write_dicom_seg(tmp_path / "empty", ct.image > 30000, ct.dicom_files, model)
    assert not highdicom.seg.segread(tmp_path / "empty").pixel_array.any()
    assert errors_by_dciodvfy(tmp_path / "empty") == []


def test_what_cannot_lie_on_the_series_is_refused(series, model, tmp_path):
    ct, other = series(), series(name="other")
    shifted = probability_on(ct.image)
    shifted.SetOrigin([x + 15 for x in shifted.GetOrigin()])
    path = tmp_path / "seg.dcm"
    for image, files, sentence in (
        (shifted, ct.dicom_files, "does not lie within"),
        (probability_on(ct.image), (), "not read from DICOM"),
        (probability_on(ct.image), (*ct.dicom_files[:5], *other.dicom_files[5:]), "not of one series"),
        (probability_on(ct.image), (*ct.dicom_files[:4], *ct.dicom_files[5:]), "misses 1 slice"),
        (probability_on(ct.image), (tmp_path / "gone",), "cannot be read any more"),
    ):
        with pytest.raises(BadInput, match=sentence):
            write_dicom_seg(path, image, files, model)
        assert list(tmp_path.glob("*seg.dcm*")) == []


def test_without_highdicom_the_sentence_says_what_to_install(series, model, tmp_path, monkeypatch):
    ct = series()
    monkeypatch.setattr("AttentionUNetSegLib.dicom_out.libraries.find_spec", lambda name: None)
    assert "pip install" in missing_library()
    with pytest.raises(BadInput, match=r"need highdicom .* Install with pip install 'attention-unet-seg\[dicom\]'"):
        write_dicom_seg(tmp_path / "seg.dcm", probability_on(ct.image), ct.dicom_files, model)


def test_importing_the_room_loads_neither_highdicom_nor_a_web_client():
    program = "import sys, AttentionUNetSegLib.dicom_out; print({'highdicom', 'dicomweb_client'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "set()", run.stderr


def assert_equal_by_highdicom(path, ct, truth, fractional):
    seg = highdicom.seg.segread(path)
    volume = seg.get_volume(combine_segments=False, rescale_fractional=False)
    found = np.asarray(volume.array[..., 0])
    inside = np.argwhere(truth)
    # highdicom's own convention for axes is (slice, row, column), as are ours: K, J, I.
    points = volume.map_indices_to_reference(np.argwhere(found))
    expected = [ct.image.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]]) for index in inside]
    values = sorted(zip(np.round(points, 2).tolist(), found[found > 0].tolist(), strict=True))
    assert values == sorted(zip(np.round(expected, 2).tolist(), truth[truth > 0].tolist(), strict=True))
    assert seg.segmentation_type.value == ("FRACTIONAL" if fractional else "BINARY")


def assert_equal_by_pydicom(path, ct, truth):
    seg = pydicom.dcmread(path)
    slices = {pydicom.dcmread(file).SOPInstanceUID: k for k, file in enumerate(ct.dicom_files)}
    frames = seg.pixel_array
    found = np.zeros_like(truth)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        (derivation,) = groups.DerivationImageSequence
        (source,) = derivation.SourceImageSequence
        k = slices[source.ReferencedSOPInstanceUID]
        header = pydicom.dcmread(ct.dicom_files[k])
        assert groups.PlanePositionSequence[0].ImagePositionPatient == header.ImagePositionPatient
        found[k] = frame
    np.testing.assert_array_equal(found, truth)
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == header.ImageOrientationPatient
    assert shared.PixelMeasuresSequence[0].PixelSpacing == header.PixelSpacing
    assert seg.FrameOfReferenceUID == header.FrameOfReferenceUID
    assert seg.StudyInstanceUID == header.StudyInstanceUID
    referred = seg.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == header.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referred.ReferencedInstanceSequence} == set(slices)


def assert_equal_by_dcmqi(path, ct, truth, folder):
    folder.mkdir()
    command = [dcmqi("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nrrd"]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (file,) = folder.glob("*.nrrd")
    found = sitk.ReadImage(str(file))
    on_ct = sitk.Resample(found, ct.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(on_ct), truth)
    for index in ((0, 0, 0), tuple(n - 1 for n in found.GetSize())):
        place = ct.image.TransformPhysicalPointToContinuousIndex(found.TransformIndexToPhysicalPoint(index))
        assert place == pytest.approx(np.round(place), abs=1e-3)
    (meta,) = folder.glob("*.json")
    segment = json.loads(meta.read_text())["segmentAttributes"][0][0]
    assert segment["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "15776009"
