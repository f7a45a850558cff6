"""DICOM folders: exactly the right geometry, or a sentence that names the reason."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import list_dicom_series, read_volume
from AttentionUNetSegLib.imaging.dicom_slices import SlicePlane, grid_of_slices
from dicom_slice import AXIAL
from pydicom import dcmread
from pydicom.uid import RLELossless


def heights(n: int = 10, step: float = 3.0) -> list[float]:
    return [step * k for k in range(n)]


def test_a_series_is_sorted_by_position_and_rescaled_to_hu(dicom_folder) -> None:
    levels = {height: 100 * k for k, height in enumerate(heights())}
    for height, level in levels.items():
        folder = dicom_folder([height], series="1.2.3", pixels=np.full((12, 16), level))
    volume = read_volume(folder)
    assert volume.name == "Abdomen"
    assert volume.image.GetSize() == (16, 12, 10)
    assert volume.image.GetSpacing() == pytest.approx((1.5, 2.0, 3.0))
    assert volume.image.GetOrigin() == pytest.approx((-20, -30, -100))
    assert sitk.GetArrayFromImage(volume.image)[:, 5, 5].tolist() == [100 * k - 1024 for k in range(10)]
    read = [float(dcmread(path).ImagePositionPatient[2]) for path in volume.dicom_files]
    assert read == [-100 + 3 * k for k in range(10)], "the files are told in the order of the slices"


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, -1, 0), (0.8, 0.6, 0, 0, 0, -1)],
)
def test_any_orientation_puts_every_slice_where_its_header_says(dicom_folder, orientation) -> None:
    folder = dicom_folder(orientation=orientation)
    image = read_volume(folder).image
    for path in folder.iterdir():
        header = dcmread(path)
        index = image.TransformPhysicalPointToContinuousIndex([float(x) for x in header.ImagePositionPatient])
        assert index[:2] == pytest.approx((0, 0), abs=1e-3)
        k = round(index[2])
        assert index[2] == pytest.approx(k, abs=1e-3)
        stored = np.frombuffer(header.PixelData, "<u2").reshape(12, 16).astype(int) - 1024
        assert np.array_equal(sitk.GetArrayFromImage(image)[k], stored)


def test_a_different_rescale_slope_in_every_slice_is_applied(dicom_folder) -> None:
    for k, height in enumerate(heights()):
        folder = dicom_folder(
            [height],
            series="1.2.3",
            pixels=np.full((12, 16), 1000 + k),
            RescaleSlope=1 + k / 8,
            RescaleIntercept=-1024 - k,
        )
    found = sitk.GetArrayFromImage(read_volume(folder).image)[:, 0, 0]
    assert found.tolist() == [(1000 + k) * (1 + k / 8) - 1024 - k for k in range(10)]


def test_missing_slices_are_refused_with_their_place(dicom_folder) -> None:
    with pytest.raises(BadInput, match=r"misses 2 slices .*2 between -91\.0 and -82\.0 mm"):
        read_volume(dicom_folder([h for h in heights() if h not in (12.0, 15.0)]))


def test_several_gaps_are_counted(dicom_folder) -> None:
    with pytest.raises(BadInput, match=r"misses 2 slices .*1 between .*, 1 between"):
        read_volume(dicom_folder([h for h in heights(20) if h not in (12.0, 30.0)]))


def test_non_uniform_spacing_is_refused(dicom_folder) -> None:
    with pytest.raises(BadInput, match=r"not uniform: 3\.00 to 4\.50 mm"):
        read_volume(dicom_folder([*heights(8), 25.5, 28.5]))


def test_two_spacings_in_one_series_are_refused(dicom_folder) -> None:
    with pytest.raises(BadInput, match="not uniform"):
        read_volume(dicom_folder([*heights(8), *(21 + 6.0 * k for k in range(1, 7))]))


def test_spacing_that_drifts_is_refused() -> None:
    positions = np.cumsum([0.0] + [1.0] * 200 + [1.02] * 200)
    with pytest.raises(BadInput, match="not uniform"):
        grid_of_slices(planes(positions))


def test_rounded_positions_are_accepted() -> None:
    grid = grid_of_slices(planes([round(0.625 * k, 1) for k in range(160)])).grid
    assert grid.spacing[2] == pytest.approx(0.625, abs=1e-3)


def planes(heights) -> list[SlicePlane]:
    return [SlicePlane((-20.0, -30.0, float(height)), AXIAL, (2.0, 1.5), (12, 16)) for height in heights]


def test_an_image_that_is_there_twice_counts_once(dicom_folder) -> None:
    folder = dicom_folder()
    (folder / "copy").write_bytes((folder / "IM0003").read_bytes())
    volume = read_volume(folder)
    assert volume.image.GetSize()[2] == 10
    assert any("1 image is in the folder twice" in warning for warning in volume.warnings)


def test_sideways_steps_are_refused(dicom_folder) -> None:
    dicom_folder(heights(5), series="1.2.3")
    with pytest.raises(BadInput, match="sideways"):
        read_volume(dicom_folder([15.0, 18.0, 21.0, 24.0], series="1.2.3", shift_per_mm=(0.5, 0, 0)))


def test_mixed_orientations_are_refused(dicom_folder) -> None:
    dicom_folder(series="1.2.3")
    with pytest.raises(BadInput, match=r"mixes 2 image orientations \(in 10, 9 images\)"):
        read_volume(dicom_folder(heights(9), series="1.2.3", orientation=(1, 0, 0, 0, 0, -1)))


def test_mixed_sizes_are_refused(dicom_folder) -> None:
    dicom_folder(series="1.2.3")
    with pytest.raises(BadInput, match=r"mixes image sizes \(16 x 12 in 10 images, 16 x 16 in 3 images\)"):
        read_volume(dicom_folder([30.0, 33.0, 36.0], series="1.2.3", pixels=np.zeros((16, 16))))


def test_mixed_pixel_spacings_are_refused(dicom_folder) -> None:
    dicom_folder(series="1.2.3")
    with pytest.raises(BadInput, match=r"mixes pixel spacings \(1\.5 x 2 mm in 10 images"):
        read_volume(dicom_folder([30.0, 33.0, 36.0], series="1.2.3", PixelSpacing=[1.0, 1.0]))


@pytest.mark.parametrize("odd", [{"pixels": np.zeros((16, 16))}, {"PixelSpacing": [1.0, 1.0]}])
def test_one_odd_image_is_left_out_by_name(dicom_folder, odd) -> None:
    dicom_folder(series="1.2.3")
    volume = read_volume(dicom_folder([30.0], series="1.2.3", **odd))
    assert volume.image.GetSize()[2] == 10
    assert any("left out: IM0010 (the " in warning for warning in volume.warnings)


def test_a_localizer_in_the_series_is_passed_over(dicom_folder) -> None:
    dicom_folder(series="1.2.3")
    folder = dicom_folder(
        [500.0], series="1.2.3", orientation=(1, 0, 0, 0, 0, -1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    assert read_volume(folder).image.GetSize()[2] == 10


def test_several_ct_series_are_listed_and_one_can_be_chosen(dicom_folder) -> None:
    dicom_folder(SeriesNumber=4, SeriesDescription="Portal venous")
    folder = dicom_folder(heights(12), SeriesNumber=7, SeriesDescription="Arterial")
    with pytest.raises(
        BadInput, match=r'2 CT series: 4 "Portal venous" \(10 images\); 7 "Arterial" \(12 images\)'
    ) as e:
        read_volume(folder)
    assert "--series" in e.value.hint
    assert read_volume(folder, series="7").image.GetSize()[2] == 12
    by_uid = {s.number: s.uid for s in list_dicom_series(folder)}
    assert read_volume(folder, series=by_uid[4]).name == "Portal venous"
    with pytest.raises(BadInput, match="holds no series 9"):
        read_volume(folder, series="9")


def test_series_that_share_a_number_are_told_apart_by_uid(dicom_folder) -> None:
    dicom_folder(series="1.2.3")
    folder = dicom_folder(series="1.2.4")
    with pytest.raises(BadInput, match=r"UID 1\.2\.3.*UID 1\.2\.4") as refused:
        read_volume(folder, series="1")
    assert "by its UID" in refused.value.hint
    assert read_volume(folder, series="1.2.4").image.GetSize()[2] == 10


def test_series_of_one_name_are_told_apart_by_what_differs(dicom_folder) -> None:
    """As an export may give the phases and planes of one protocol: only the UID chooses, so what is which is said."""
    same = {"SeriesDate": "20210304", "ProtocolName": "Liver", "ConvolutionKernel": "B30f"}
    dicom_folder(series="1.2.3", SeriesTime="102231.5", **same)
    dicom_folder(series="1.2.4", SeriesTime="102301", SliceThickness=2.5, **same)
    folder = dicom_folder(
        series="1.2.5", SeriesTime="102231", orientation=(1, 0, 0, 0, 0, -1), **{**same, "ProtocolName": "odd\x00"}
    )
    with pytest.raises(BadInput) as refused:
        read_volume(folder)
    assert refused.value.message.partition(": ")[2] == (
        '1 "Abdomen" (10 images; 10:22:31, protocol Liver, no slice thickness, axial) UID 1.2.3; '
        '1 "Abdomen" (10 images; 10:23:01, protocol Liver, slice thickness 2.5 mm, axial) UID 1.2.4; '
        '1 "Abdomen" (10 images; 10:22:31, protocol odd, no slice thickness, coronal) UID 1.2.5.'
    )


def test_other_objects_and_short_series_do_not_stand_in_the_way(dicom_folder) -> None:
    dicom_folder()
    dicom_folder(heights(3), SeriesNumber=2, SeriesDescription="Monitoring")
    dicom_folder(
        [0.0], SeriesNumber=3, Modality="RTSTRUCT", PixelData=None, Rows=None, Columns=None, ImagePositionPatient=None
    )
    folder = dicom_folder(heights(12), SeriesNumber=4, Modality="PT")
    (folder / "readme.txt").write_text("no image" * 50)
    (folder / "empty").write_bytes(b"")
    assert read_volume(folder).image.GetSize()[2] == 10
    counts = {s.number: (s.modality, s.image_count) for s in list_dicom_series(folder)}
    assert counts == {1: ("CT", 10), 2: ("CT", 3), 3: ("RTSTRUCT", 0), 4: ("PT", 12)}
    with pytest.raises(BadInput, match="not a CT volume"):
        read_volume(folder, series="4")
    with pytest.raises(BadInput, match="only 3 images"):
        read_volume(folder, series="2")


def test_folders_without_a_ct_are_refused(tmp_path, dicom_folder) -> None:
    with pytest.raises(BadInput, match="no DICOM images") as error:
        read_volume(tmp_path)
    assert error.value.hint == "Give a DICOM folder or an image file."
    for names, hint in (
        (["ct.nii.gz", "notes.txt"], "Give the image file in it: ct.nii.gz."),
        (["b.nrrd", "a.MHA", "d.nii"], "Give one of the image files in it: a.MHA, b.nrrd, ct.nii.gz and 1 more."),
    ):
        for name in names:
            (tmp_path / name).write_bytes(b"no image")
        with pytest.raises(BadInput, match="no DICOM images") as error:
            read_volume(tmp_path)
        assert error.value.hint == hint
    folder = dicom_folder(Modality="MR")
    with pytest.raises(BadInput, match="no CT slices .*it holds MR"):
        read_volume(folder)


def test_too_few_slices_are_refused(dicom_folder) -> None:
    with pytest.raises(BadInput, match="8 or more slices; the longest is"):
        read_volume(dicom_folder(heights(5)))


def test_missing_spacing_is_refused_by_name(dicom_folder) -> None:
    with pytest.raises(BadInput, match="PixelSpacing"):
        read_volume(dicom_folder(PixelSpacing=None))


def test_a_truncated_slice_is_refused(dicom_folder) -> None:
    folder = dicom_folder()
    cut = folder / "IM0004"
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"misses 1 slice .* left out: IM0004 \(it is incomplete"):
        read_volume(folder)


def test_slices_in_subfolders_are_found(dicom_folder) -> None:
    folder = dicom_folder()
    (folder / "more").mkdir()
    for name in ("IM0001", "IM0006"):
        (folder / name).rename(folder / "more" / name)
    assert read_volume(folder).image.GetSize()[2] == 10


def test_compressed_slices_are_read(dicom_folder) -> None:
    folder = dicom_folder()
    expected = sitk.GetArrayFromImage(read_volume(folder).image)
    for path in folder.iterdir():
        header = dcmread(path)
        header.compress(RLELossless)
        # compress() makes a new SOP instance only on request: the image is the same.
        header.save_as(path)
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(folder).image), expected)


def test_a_single_slice_asks_for_its_folder(dicom_folder) -> None:
    folder = dicom_folder()
    with pytest.raises(BadInput, match="single slice") as refused:
        read_volume(folder / "IM0000")
    assert str(folder) in refused.value.hint


def test_an_enhanced_ct_is_read_with_its_frames_sorted(multiframe_ct) -> None:
    order = [9, 3, 0, 1, 2, 4, 5, 6, 7, 8]
    path = multiframe_ct([3.0 * k for k in order])
    for image in (read_volume(path).image, read_volume(path.parent).image):
        assert image.GetSize() == (16, 12, 10)
        assert image.GetSpacing() == pytest.approx((1.5, 2, 3))
        assert image.GetOrigin() == pytest.approx((-20, -30, 0))
        values = sitk.GetArrayFromImage(image)[:, 0, 0]
        assert values.tolist() == [100 * order.index(k) - 1024 for k in range(10)]


def test_an_enhanced_ct_with_a_fractional_slope(multiframe_ct) -> None:
    values = sitk.GetArrayFromImage(read_volume(multiframe_ct(heights(), slope=0.5)).image)
    assert values[1, 0, 0] == 50 - 1024


def test_an_enhanced_ct_with_a_gap_or_without_places_is_refused(multiframe_ct) -> None:
    with pytest.raises(BadInput, match="misses 1 slice "):
        read_volume(multiframe_ct([h for h in heights() if h != 9]))
    with pytest.raises(BadInput, match="where each frame lies"):
        read_volume(multiframe_ct(heights(), with_places=False))


def test_values_in_another_unit_are_doubted(dicom_folder) -> None:
    assert any("in MGML" in warning for warning in read_volume(dicom_folder(RescaleType="MGML")).warnings)


def test_real_series(shared_data) -> None:
    volume = read_volume(shared_data / "dicom" / "cptac_c3l00189")
    converted = sitk.ReadImage(str(shared_data / "ct" / "cptac_c3l00189" / "ct.nii.gz"))
    assert volume.name == "LUNG BASES 5MM"
    assert volume.warnings == ()
    for own, other in (
        (volume.image.GetOrigin(), converted.GetOrigin()),
        (volume.image.GetSpacing(), converted.GetSpacing()),
        (volume.image.GetDirection(), converted.GetDirection()),
    ):
        assert own == pytest.approx(other, abs=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(converted))


def test_a_real_folder_with_two_series(shared_data) -> None:
    folder = shared_data / "dicom" / "acrin_flt_001"
    with pytest.raises(BadInput, match="2 CT series") as refused:
        read_volume(folder)
    series = list_dicom_series(folder)
    assert all(s.uid in refused.value.message for s in series)
    assert [s.image_count for s in series] == [24, 24]
    for entry in series:
        assert read_volume(folder, entry.uid).image.GetSize() == (512, 512, 24)
