"""DICOM as hospitals really write it: the true values and places, whatever the files look like, or a true refusal."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Geometry, list_dicom_series, read_volume
from AttentionUNetSegLib.imaging.dicom_header import owner_doubts
from dicom_slice import AXIAL, dicom_slice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

N, ROWS, COLUMNS = 10, 12, 16


def truth() -> np.ndarray:
    """HU (slices, rows, columns): air around, tissue inside, no two slices alike."""
    hu = np.full((N, ROWS, COLUMNS), -1000, dtype=np.int16)
    hu[:, 3:-3, 3:-3] = np.random.default_rng(0).integers(-100, 200, (N, ROWS - 6, COLUMNS - 6))
    return hu


def series(folder: Path, hu: np.ndarray | None = None, first: int = 0, uid: str = "1.2.3", **attributes) -> Path:
    folder.mkdir(exist_ok=True)
    for k, values in enumerate(truth() if hu is None else hu):
        number = first + len(list(folder.iterdir()))
        position = (-20.0, -30.0, -100.0 + 3.0 * k)
        dicom_slice(folder / f"IM{number:04d}", position, uid, pixels=values.astype(int) + 1024, **attributes)
    return folder


def edit(folder: Path, change) -> Path:
    """Apply a function to every data set of a folder and its number."""
    for number, path in enumerate(sorted(folder.iterdir())):
        data = dcmread(path)
        change(data, number)
        data.save_as(path)
    return folder


def assert_true(folder: Path, hu: np.ndarray | None = None, **choice) -> tuple[str, ...]:
    volume = read_volume(folder, **choice)
    expected = truth() if hu is None else hu
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), expected)
    assert volume.image.GetSpacing() == pytest.approx((1.5, 2.0, 3.0))
    assert volume.image.GetOrigin() == pytest.approx((-20, -30, -100))
    return volume.warnings


# --- Values ---


@pytest.fixture(scope="module")
def encoded_frames() -> dict[str, list[bytes]]:
    """Every slice of the truth, stored as HU + 1024 in 16 bits and compressed."""
    import tempfile

    frames: dict[str, list[bytes]] = {JPEGLosslessSV1: [], JPEG2000Lossless: [], RLELossless: []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.dcm"
        for values in truth():
            stored = (values.astype(int) + 1024).astype(np.uint16)
            for syntax, name in ((JPEGLosslessSV1, "JPEG"), (JPEG2000Lossless, "JPEG2000")):
                writer = sitk.ImageFileWriter()
                writer.SetImageIO("GDCMImageIO")
                writer.SetFileName(str(path))
                writer.UseCompressionOn()
                writer.SetCompressor(name)
                writer.Execute(sitk.GetImageFromArray(stored[None]))
                data = dcmread(path)
                assert data.file_meta.TransferSyntaxUID == syntax
                frames[syntax].append(_only_frame(data))
            data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            data.PixelData = stored.tobytes()
            data.compress(RLELossless)
            frames[RLELossless].append(_only_frame(data))
    return frames


def _only_frame(data: Dataset) -> bytes:
    from pydicom.encaps import generate_frames

    return next(generate_frames(data.PixelData, number_of_frames=1))


def enhanced(
    path: Path, hu: np.ndarray, first: int = 0, syntax: str = "", frames: list[bytes] = (), **attributes
) -> Path:
    """Write slices `first`... of the truth as an enhanced CT: rescaling in the shared groups, places in the frames'."""
    single = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
    dicom_slice(path, (0, 0, 0), "1.2.3", pixels=hu[0].astype(int) + 1024, **dict.fromkeys(single), **attributes)
    data = dcmread(path)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    data.NumberOfFrames = len(hu)
    data.SharedFunctionalGroupsSequence = [_group(
        PlaneOrientationSequence=_group(ImageOrientationPatient=list(AXIAL)),
        PixelMeasuresSequence=_group(PixelSpacing=[2.0, 1.5], SliceThickness=3.0),
        PixelValueTransformationSequence=_group(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU"),
    )]  # fmt: skip
    data.PerFrameFunctionalGroupsSequence = [
        _group(PlanePositionSequence=_group(ImagePositionPatient=[-20.0, -30.0, -100.0 + 3.0 * (first + k)]))
        for k in range(len(hu))
    ]
    if syntax:
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encapsulate(list(frames))
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    else:
        data.PixelData = (hu.astype(int) + 1024).astype("<u2").tobytes()
    data.save_as(path)
    return path


def _group(**attributes) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, [value] if isinstance(value, Dataset) else value)
    return item


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, RLELossless])
def test_a_compressed_enhanced_ct_is_rescaled_once(tmp_path, encoded_frames, syntax) -> None:
    path = enhanced(tmp_path / "enhanced", truth(), syntax=syntax, frames=encoded_frames[syntax])
    assert_true(path)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, RLELossless])
def test_compressed_single_slices(tmp_path, encoded_frames, syntax) -> None:
    def compress(data: Dataset, number: int) -> None:
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encapsulate([encoded_frames[syntax][number]])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True

    assert_true(edit(series(tmp_path / "ct"), compress))


def test_jpeg_ls(tmp_path) -> None:
    pytest.importorskip("jpeg_ls")
    folder = edit(series(tmp_path / "ct"), lambda data, _: data.compress("1.2.840.10008.1.2.4.80"))
    assert_true(folder)


def test_what_cannot_be_unpacked_is_refused_by_its_name(tmp_path) -> None:
    def pretend(data: Dataset, _: int) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
        data.PixelData = encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 60])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True

    with pytest.raises(BadInput, match="cannot be read here .*High-Throughput JPEG 2000"):
        read_volume(edit(series(tmp_path / "ct"), pretend))


def test_deflated_and_big_endian_files(tmp_path) -> None:
    def deflate(data: Dataset, _: int) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    folder = edit(series(tmp_path / "deflated"), deflate)
    assert_true(folder)

    def promise(data: Dataset, number: int) -> None:
        if number == 9:
            data.Rows = data.Columns = 30_000

    assert any("IM0009" in each for each in assert_true(edit(folder, promise), truth()[:9]))

    def swap(data: Dataset, _: int) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()

    folder = series(tmp_path / "big")
    for number, path in enumerate(sorted(folder.iterdir())):
        data = dcmread(path)
        swap(data, number)
        fresh = Dataset()
        fresh.update(data)
        fresh.file_meta = data.file_meta
        fresh.save_as(path, implicit_vr=False, little_endian=False, enforce_file_format=True)
    assert_true(folder)


def test_monochrome1_inverts_the_display_only(tmp_path) -> None:
    assert_true(series(tmp_path / "ct", PhotometricInterpretation="MONOCHROME1"))
    with pytest.raises(BadInput, match="stored inverted"):
        read_volume(series(tmp_path / "inverted", -truth(), PhotometricInterpretation="MONOCHROME1"))


def test_bits_beside_the_stored_ones_are_no_values(tmp_path) -> None:
    def overlay(data: Dataset, _: int) -> None:
        data.BitsStored, data.HighBit = 12, 11
        data.PixelData = (np.frombuffer(data.PixelData, "<u2") | 0x8000).astype("<u2").tobytes()

    assert_true(edit(series(tmp_path / "ct"), overlay))


def test_signed_values_of_twelve_bits(tmp_path) -> None:
    def sign(data: Dataset, _: int) -> None:
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 1
        hu = np.frombuffer(data.PixelData, "<u2").astype(int) - 1024
        data.PixelData = (hu & 0xFFF).astype("<u2").tobytes()
        data.RescaleIntercept = 0

    assert_true(edit(series(tmp_path / "ct"), sign))


def test_an_intercept_applied_twice_is_refused(tmp_path) -> None:
    def rescaled(data: Dataset, _: int) -> None:
        data.RescaleIntercept = -2048

    with pytest.raises(BadInput, match="applied twice"):
        read_volume(edit(series(tmp_path / "ct"), rescaled))


def test_a_lookup_table_is_refused(tmp_path) -> None:
    def look_up(data: Dataset, _: int) -> None:
        del data.RescaleSlope, data.RescaleIntercept
        data.ModalityLUTSequence = [_group(LUTExplanation="density")]

    with pytest.raises(BadInput, match="lookup table"):
        read_volume(edit(series(tmp_path / "ct"), look_up))


# --- Which slices ---


def test_one_uid_for_all_slices(tmp_path) -> None:
    """After a bad anonymisation; also on the two slices that are next to each other."""

    def same(data: Dataset, _: int) -> None:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"

    assert assert_true(edit(series(tmp_path / "ct"), same)) == assert_true(series(tmp_path / "other"))


def test_an_enhanced_ct_in_several_files(tmp_path) -> None:
    (tmp_path / "two").mkdir()
    enhanced(tmp_path / "two" / "b", truth()[:6])
    enhanced(tmp_path / "two" / "a", truth()[6:], first=6)
    assert_true(tmp_path / "two")
    (tmp_path / "each").mkdir()
    for k in range(N):
        enhanced(tmp_path / "each" / f"{k}", truth()[k : k + 1], first=k)
    assert_true(tmp_path / "each")


def test_two_phases_are_offered_as_parts(tmp_path) -> None:
    folder = series(tmp_path / "ct", AcquisitionNumber=1)
    series(folder, truth() + 50, AcquisitionNumber=2)
    with pytest.raises(BadInput, match=r"in 2 parts: 1/1 \"Abdomen\", acquisition 1 \(10 images\); 1/2") as refused:
        read_volume(folder)
    assert "such as 1/1" in refused.value.hint
    assert_true(folder, series="1/1")
    assert_true(folder, truth() + 50, series="1/2")
    assert [each.uid for each in list_dicom_series(folder)] == ["1.2.3/1", "1.2.3/2"]
    assert_true(folder, truth() + 50, series="1.2.3/2")
    with pytest.raises(BadInput, match="Series 1 has several images at one place"):
        read_volume(folder, series="1")


@pytest.mark.parametrize("tag", ["ConvolutionKernel", "AcquisitionTime", "InstanceNumber", None])
def test_parts_are_told_apart_by_whatever_differs(tmp_path, tag) -> None:
    folder = series(tmp_path / "ct", **({tag: "30"} if tag else {}))
    series(folder, truth() + 50, **({tag: "40"} if tag else {}))
    assert_true(folder, series="1/1")
    assert_true(folder, truth() + 50, series="1/2")


def test_one_other_image_at_a_place(tmp_path) -> None:
    folder = series(tmp_path / "ct")
    other = dcmread(folder / "IM0004")
    other.PixelData = (np.frombuffer(other.PixelData, "<u2") + 7).astype("<u2").tobytes()
    other.AcquisitionNumber = 9
    other.save_as(folder / "IM0004b")
    assert any('left out: 1/1 "Abdomen"' in each or 'left out: 1/2 "Abdomen"' in each for each in assert_true(folder))
    del other.AcquisitionNumber
    other.save_as(folder / "IM0004b")
    with pytest.raises(BadInput, match="image 2 of 2 at each place"):
        read_volume(folder)
    assert_true(folder, series="1/1")


@pytest.mark.parametrize("degrees", [12.0, -20.0])
def test_a_tilted_gantry_is_resampled_to_where_everything_lies(tmp_path, degrees) -> None:
    """A CT whose values say where they lie, 10 HU for each mm: half a HU of rounding is 0.05 mm."""
    tilt = np.radians(degrees)
    orientation = np.array([1, 0, 0, 0, np.cos(tilt), -np.sin(tilt)])
    columns, rows = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    folder = tmp_path / "ct"
    folder.mkdir()

    def where(points: np.ndarray) -> np.ndarray:
        return points @ np.array([2.0, 10.0, 5.0]) + 500

    for k in range(N):
        position = np.array([-20.0, -30.0, -100.0 + 3.1 * k])  # the table moves along z, the slices are tilted
        points = position + 1.5 * columns[..., None] * orientation[:3] + 2.0 * rows[..., None] * orientation[3:]
        stored = np.rint(where(points)).astype(int) + 1024
        dicom_slice(folder / f"IM{k}", position, "1.2.3", orientation, stored)
    volume = read_volume(folder)
    assert any(f"gantry tilt of {abs(degrees):.1f} degrees" in warning for warning in volume.warnings)
    image = volume.image
    assert np.allclose(np.reshape(image.GetDirection(), (3, 3)).T @ np.reshape(image.GetDirection(), (3, 3)), np.eye(3))
    values = sitk.GetArrayFromImage(image)
    inside = values != -1024
    inside[:, 1:-1] &= inside[:, 2:] & inside[:, :-2]  # where a slice ends, air is mixed in
    inside[:, [0, -1]] = False
    points = Geometry.of(image).physical(np.moveaxis(np.indices(values.shape)[::-1], 0, -1))
    assert np.abs(values - where(points))[inside].max() <= 1.0
    assert np.count_nonzero(inside) >= N * (ROWS - 3) * COLUMNS


def test_slices_that_drift_a_little_are_all_kept(tmp_path) -> None:
    """1.2 mm over the stack, as of a couch that is not quite straight: a shear, and no slice is an outlier."""
    folder = tmp_path / "ct"
    folder.mkdir()
    for k in range(40):
        dicom_slice(folder / f"IM{k:02d}", (-20.0 + 0.03 * k, -30.0, 3.0 * k), "1.2.3", pixels=truth()[k % N] + 1024)
    volume = read_volume(folder)
    assert volume.image.GetSize()[2] == 40
    assert not any("left out" in each for each in volume.warnings)


def test_one_slice_beside_the_stack_is_left_out_by_name(tmp_path) -> None:
    folder = series(tmp_path / "ct")
    dicom_slice(folder / "astray", (55.0, 0.0, -85.0), "1.2.3", pixels=truth()[0] + 1024)
    assert any("astray (its slice does not lie in one line" in each for each in assert_true(folder))


# --- Files ---


def test_links_are_followed_and_loops_end(tmp_path) -> None:
    archive = series(tmp_path / "archive")
    (tmp_path / "selection").mkdir()
    (tmp_path / "selection" / "series").symlink_to(archive)
    (archive / "loop").symlink_to(tmp_path / "selection")
    assert assert_true(tmp_path / "selection") == assert_true(archive)
    (tmp_path / "files").mkdir()
    for path in archive.iterdir():
        if path.is_file():
            (tmp_path / "files" / path.name).symlink_to(path)
    (tmp_path / "files" / "twice").symlink_to(archive / "IM0001")
    (tmp_path / "files" / "nowhere").symlink_to(tmp_path / "missing")
    assert_true(tmp_path / "files")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_are_no_unicode_and_pipes(tmp_path) -> None:
    folder = series(tmp_path / "ct")
    os.rename(folder / "IM0005", os.fsdecode(os.fsencode(folder) + b"/IM\xe40005"))
    os.mkfifo(folder / "pipe")
    assert_true(folder)


def raw(data: Dataset, tag: int, vr: str, value: bytes) -> None:
    value += b" " * (len(value) % 2)
    data._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)


@pytest.mark.parametrize("value", [b"n/a", b"3a", b"3\\1", b"", b"\xff\xfe"])
def test_a_series_number_that_is_none(tmp_path, value) -> None:
    assert_true(edit(series(tmp_path / "ct"), lambda data, _: raw(data, 0x00200011, "IS", value)))


def test_a_file_that_cannot_be_used_is_left_out_by_name(tmp_path) -> None:
    folder = series(tmp_path / "ct")
    (folder / "IM0009").write_bytes((folder / "IM0009").read_bytes()[:-100])
    warnings = assert_true(folder, truth()[:9])
    assert any("left out: IM0009 (it is incomplete: it holds 284 of 384 bytes of pixels)" in each for each in warnings)
    edit(folder, lambda data, number: number == 0 and raw(data, 0x00280030, "DS", b"wide\\2"))
    volume = read_volume(folder)
    assert volume.image.GetSize()[2] == 8
    assert any("IM0000 (PixelSpacing is" in each for each in volume.warnings)
    edit(folder, lambda data, number: number == 5 and raw(data, 0x00200032, "DS", b"0"))
    with pytest.raises(BadInput, match=r"misses 1 slice .*IM0005 \(ImagePositionPatient is 0\)"):
        read_volume(folder)


TAGS = [
    (0x00080008, "CS"), (0x00080016, "UI"), (0x00080018, "UI"), (0x00080060, "CS"), (0x0008103E, "LO"),
    (0x00200011, "IS"), (0x00200013, "IS"), (0x00200032, "DS"), (0x00200037, "DS"), (0x00280002, "US"),
    (0x00280004, "CS"), (0x00280008, "IS"), (0x00280010, "US"), (0x00280011, "US"), (0x00280030, "DS"),
    (0x00280100, "US"), (0x00280101, "US"), (0x00280102, "US"), (0x00280103, "US"), (0x00281052, "DS"),
    (0x00281053, "DS"), (0x00281054, "LO"), (0x00200012, "IS"), (0x0020000E, "UI"), (0x52009229, "SQ"),
    (0x52009230, "SQ"), (0x00080005, "CS"), (0x00080032, "TM"), (0x00183000, "SQ"), (0x7FE00010, "OW"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole_series(tmp_path_factory) -> Path:
    return series(tmp_path_factory.mktemp("whole"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tag=st.sampled_from(TAGS),
    other_vr=st.sampled_from([None, "US", "DS", "LO", "SQ", "UN", "FD", "OB", "UL", "PN"]),
    value=st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"1\\2", b"-1", b"1e400", b"nan", b"0"])),
)
def test_no_value_of_any_tag_does_more_than_leave_its_file_out(
    tmp_path_factory, whole_series, tag, other_vr, value
) -> None:
    folder = tmp_path_factory.mktemp("dicom")
    for number in range(9):
        os.link(whole_series / f"IM{number:04d}", folder / f"IM{number:04d}")
    last = dcmread(whole_series / "IM0009")
    raw(last, tag[0], other_vr or tag[1], value)
    try:
        last.save_as(folder / "IM0009")
    except Exception:
        return  # pydicom would not write this
    volume = read_volume(folder)
    values = sitk.GetArrayFromImage(volume.image)
    assert len(values) in (9, 10)
    assert np.array_equal(values[:9], truth()[:9])
    if len(values) == 9:  # it stands in the same series or, with another UID or modality, in one of its own
        assert any("IM0009" in each for each in volume.warnings) or volume.left_out or tag[0] == 0x00080008


# --- One volume: one scale, one patient ---


def test_slices_without_an_intercept_among_others_are_refused(tmp_path) -> None:
    def forget(data: Dataset, number: int) -> None:
        if number == 4:
            del data.RescaleIntercept

    folder = edit(series(tmp_path / "ct"), forget)
    with pytest.raises(BadInput, match=r"1 of the series' 10 images give no rescale intercept.*-1024.*IM0004"):
        read_volume(folder)
    # Where the others add nothing, its absence means the same.
    signed = truth().astype("<i2")

    def in_hu(data: Dataset, number: int) -> None:
        data.PixelData, data.PixelRepresentation, data.RescaleIntercept = signed[number].tobytes(), 1, 0
        forget(data, number)

    assert_true(edit(series(tmp_path / "hu"), in_hu))


def test_padding_is_air(tmp_path) -> None:
    """-2000 written as an unsigned number: outside of a round field of view lay 62512 HU."""
    corner = np.zeros(truth().shape, bool)
    corner[:, :2, :2] = True

    def pad(data: Dataset, number: int) -> None:
        stored = np.where(corner[number], 63536, truth()[number].astype(int) + 1024)
        data.PixelData = stored.astype("<u2").tobytes()
        data.add_new(0x00280120, "US", 63536)

    assert_true(edit(series(tmp_path / "ct"), pad), np.where(corner, -1024, truth()))

    def as_water(data: Dataset, number: int) -> None:
        data.add_new(0x00280120, "US", 1024)  # a tag that is wrong must not make holes

    assert_true(edit(series(tmp_path / "wrong"), as_water))


@pytest.mark.parametrize("tag", ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_two_patients_are_no_volume_even_where_their_slices_lie_in_one_row(tmp_path, tag) -> None:
    def rename(data: Dataset, number: int) -> None:
        if number % 2:
            setattr(data, tag, "1.2.9")

    hu = np.repeat(truth(), 2, axis=0)
    folder = edit(series(tmp_path / "ct", hu), rename)
    with pytest.raises(BadInput, match=r"images of several patients, studies or frames of reference, in 2 parts") as no:
        read_volume(folder)
    assert "1.2.9 (10 images)" in str(no.value)
    volume = read_volume(folder, series="1/2")
    assert volume.image.GetSpacing()[2] == pytest.approx(6.0)
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), truth())


def test_names_taken_away_badly_do_not_split_a_series(tmp_path) -> None:
    def forget(data: Dataset, number: int) -> None:
        data.FrameOfReferenceUID = f"1.2.{number}"
        if number == 3:
            del data.PatientID

    assert_true(edit(series(tmp_path / "ct"), forget))


def test_a_part_that_borrows_from_another_says_so(tmp_path) -> None:
    folder = series(tmp_path / "ct")
    series(folder, truth()[:6] + 50)
    assert not any("fewer images" in each for each in assert_true(folder, series="1/1"))
    mixed = np.concatenate([truth()[:6] + 50, truth()[6:]])
    assert any("At 4 of its 10 places" in each for each in assert_true(folder, mixed, series="1/2"))


def test_a_dicom_file_of_another_patient_is_doubted(tmp_path) -> None:
    ct = dicom_slice(tmp_path / "ct", (0, 0, 0), "1.2.3")
    same = dicom_slice(tmp_path / "same", (0, 0, 0), "1.2.4", StudyInstanceUID="1.2.5")
    nameless = dicom_slice(tmp_path / "nameless", (0, 0, 0), "1.2.4", PatientID=None, FrameOfReferenceUID="")
    label_map = tmp_path / "labels.nii"
    label_map.write_bytes(b"no DICOM")
    for path in (same, nameless, label_map):
        assert owner_doubts(path, ct) == []
    other = dicom_slice(tmp_path / "other", (0, 0, 0), "1.2.4", PatientID="2")
    assert "of the patient 2, and the CT of the patient 1" in owner_doubts(other, ct)[0]
    moved = dicom_slice(tmp_path / "moved", (0, 0, 0), "1.2.4", FrameOfReferenceUID="1.2.9")
    assert "frame of reference 1.2.9" in owner_doubts(moved, ct)[0]
