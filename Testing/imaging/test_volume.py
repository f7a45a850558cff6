"""Files: every format and failure, names, the phantom mark, whole files or none."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput, CannotWrite
from AttentionUNetSegLib.imaging import PHANTOM_KEY, read_volume, write_image


def ct(kind=np.int16) -> sitk.Image:
    array = np.random.default_rng(0).choice([-1000, -100, 40, 80, 700], (30, 28, 32)).astype(kind)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((3.0, 3.25, 2.75))
    image.SetOrigin((-101.5, 33.25, 812.125))
    c, s = np.cos(0.3), np.sin(0.3)
    image.SetDirection((0, 0, -1, c, -s, 0, s, c, 0))
    return image


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_a_written_volume_is_read_with_the_same_place_and_values(tmp_path: Path, ending: str, kind) -> None:
    image = ct(kind)
    path = tmp_path / f"case 1.v2{ending}"
    write_image(image, path)
    volume = read_volume(path)
    assert volume.name == "case 1.v2"
    assert volume.warnings == ()
    assert not volume.is_phantom
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(image))
    for index in ((0, 0, 0), (31, 27, 29), (31, 0, 0), (0, 0, 29)):
        expected = image.TransformIndexToPhysicalPoint(index)
        assert volume.image.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-3)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_the_phantom_mark_survives(tmp_path: Path, ending: str) -> None:
    image = ct()
    image.SetMetaData(PHANTOM_KEY, "1")
    write_image(image, tmp_path / f"p{ending}")
    again = read_volume(tmp_path / f"p{ending}")
    assert again.is_phantom
    write_image(again.image, tmp_path / f"again{ending}")
    assert read_volume(tmp_path / f"again{ending}").is_phantom


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "volume.nrrd"
    write_image(ct(), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(CannotWrite, match="No space left"):
        write_image(ct(np.float32), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["volume.nrrd"]


def test_unknown_endings_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its ending is none of"):
        write_image(ct(), tmp_path / "volume.xyz")
    with pytest.raises(BadInput, match="there is no folder"):
        write_image(ct(), tmp_path / "missing" / "volume.nrrd")


def test_uncompressed_is_larger(tmp_path: Path) -> None:
    write_image(ct(), tmp_path / "a.nrrd", compress=False)
    write_image(ct(), tmp_path / "b.nrrd")
    assert (tmp_path / "a.nrrd").stat().st_size > 2 * (tmp_path / "b.nrrd").stat().st_size


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no file or folder .*nothing\.nii"):
        read_volume(tmp_path / "nothing.nii")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.txt", "a"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000)])
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=f"^{name} "):
        read_volume(tmp_path / name)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        archive.writestr("ct.nii.gz", b"...")
    with pytest.raises(BadInput, match=r"^case\.zip is an archive") as error:
        read_volume(tmp_path / "case.zip")
    assert error.value.hint == "Unpack it, and give the image file or DICOM folder in it."


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_half_a_file_is_refused_in_silence(
    tmp_path: Path, name: str, compress: bool, capfd: pytest.CaptureFixture
) -> None:
    """ITK alone reads half a NIfTI file without a word and makes up the rest."""
    write_image(ct(np.float32), tmp_path / name, compress)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(BadInput, match=f"{name} "):
        read_volume(tmp_path / name)
    assert capfd.readouterr().out == ""


def test_colour_and_time_series_are_refused_by_name(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([20, 20, 20], sitk.sitkVectorUInt8, 3), str(tmp_path / "rgb.nrrd"))
    with pytest.raises(BadInput, match="3 values per voxel"):
        read_volume(tmp_path / "rgb.nrrd")
    sitk.WriteImage(sitk.Image([20, 20, 20, 2], sitk.sitkInt16), str(tmp_path / "two.nii.gz"))
    with pytest.raises(BadInput, match="4D with 2 volumes"):
        read_volume(tmp_path / "two.nii.gz")
    sitk.WriteImage(sitk.Image([20, 20], sitk.sitkUInt8), str(tmp_path / "slice.png"))
    with pytest.raises(BadInput, match="2D, not 3D"):
        read_volume(tmp_path / "slice.png")


@pytest.mark.parametrize("name", ["one.nii.gz", "one.nrrd", "one.mha"])
def test_one_time_point_is_a_volume(tmp_path: Path, name: str) -> None:
    flat = ct()
    flat.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(sitk.JoinSeries(flat), str(tmp_path / name))
    image = read_volume(tmp_path / name).image
    assert image.GetSize() == flat.GetSize()
    assert image.GetOrigin() == pytest.approx(flat.GetOrigin())
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(flat))


def nifti(
    path: Path,
    qform: int = 0,
    sform: int = 0,
    rows: np.ndarray | None = None,
    pixdim: tuple[float, float, float] = (2.0, 2.0, 3.0),
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    handedness: float = 1.0,
) -> Path:
    """Write a NIfTI-1 file byte by byte, so that its header may say what SimpleITK would never write."""
    voxels = sitk.GetArrayFromImage(ct())
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<4f", header, 76, handedness, *pixdim)
    struct.pack_into("<2f", header, 108, 352.0, 1.0)
    struct.pack_into("<hh", header, 252, qform, sform)
    struct.pack_into("<3f", header, 268, *offset)
    struct.pack_into("<12f", header, 280, *(np.zeros(12) if rows is None else np.asarray(rows, float).ravel()))
    header[344:348] = b"n+1\0"
    path.write_bytes(gzip.compress(bytes(header) + voxels.tobytes()))
    return path


STRAIGHT = np.array([[2.0, 0, 0, 10], [0, 2.0, 0, 20], [0, 0, 3.0, 30]])


@pytest.mark.parametrize("handedness", [1.0, -1.0])
def test_a_nifti_with_a_quaternion_only(tmp_path: Path, handedness: float) -> None:
    path = nifti(tmp_path / "q.nii.gz", qform=1, offset=(10, 20, 30), handedness=handedness)
    volume = read_volume(path)
    assert volume.warnings == ()
    # RAS in the file, LPS here.
    assert volume.image.TransformIndexToPhysicalPoint((1, 1, 1)) == pytest.approx((-12, -22, 30 + 3 * handedness))


def test_a_nifti_with_a_matrix_only(tmp_path: Path) -> None:
    volume = read_volume(nifti(tmp_path / "s.nii.gz", sform=1, rows=STRAIGHT))
    assert volume.warnings == ()
    assert volume.image.TransformIndexToPhysicalPoint((1, 1, 1)) == pytest.approx((-12, -22, 33))


def test_a_nifti_without_orientation_is_doubted(tmp_path: Path) -> None:
    warnings = read_volume(nifti(tmp_path / "none.nii.gz")).warnings
    assert any("no orientation" in warning for warning in warnings)


def test_a_sheared_nifti_is_refused(tmp_path: Path) -> None:
    sheared = STRAIGHT + [[0, 0, 0, 0], [0, 0, 0.6, 0], [0, 0, 0, 0]]
    with pytest.raises(BadInput, match="sheared"):
        read_volume(nifti(tmp_path / "s.nii.gz", sform=1, rows=sheared))
    # ITK alone would quietly take the straight qform here.
    with pytest.raises(BadInput, match="sheared"):
        read_volume(nifti(tmp_path / "both.nii.gz", qform=1, sform=1, rows=sheared, offset=(10, 20, 30)))


def test_two_orientations_that_differ_are_doubted_with_the_distance(tmp_path: Path) -> None:
    warnings = read_volume(
        nifti(tmp_path / "two.nii.gz", qform=1, sform=2, rows=STRAIGHT, offset=(10, 27, 30))
    ).warnings
    assert len(warnings) == 1
    assert "qform and sform place it up to 7.0 mm apart" in warnings[0]


@pytest.mark.parametrize("size", [0.0, np.nan])
def test_a_nifti_without_voxel_size_is_refused(tmp_path: Path, size: float) -> None:
    with pytest.raises(BadInput, match="voxel size"):
        read_volume(nifti(tmp_path / "p.nii.gz", qform=1, pixdim=(size, 2.0, 3.0)))


def test_a_pair_of_header_and_voxels(tmp_path: Path) -> None:
    sitk.WriteImage(ct(), str(tmp_path / "pair.hdr"))
    assert read_volume(tmp_path / "pair.hdr").warnings == ()
    voxels = tmp_path / "pair.img"
    voxels.write_bytes(voxels.read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"incomplete: it holds 9 % of its voxels \(5000 of \d+ bytes\)"):
        read_volume(tmp_path / "pair.hdr")


def test_a_gzip_of_several_members_is_complete(tmp_path: Path) -> None:
    path = nifti(tmp_path / "members.nii.gz", qform=1)
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:3000]) + gzip.compress(whole[3000:]))
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(path).image), sitk.GetArrayFromImage(ct()))


def test_an_nrrd_in_ras_is_turned_to_lps(tmp_path: Path) -> None:
    write_image(ct(), tmp_path / "a.nrrd", compress=False)
    content = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(content.replace(b"left-posterior-superior", b"right-anterior-superior"))
    found = read_volume(tmp_path / "a.nrrd").image
    index = (5, 6, 7)
    x, y, z = ct().TransformIndexToPhysicalPoint(index)
    assert found.TransformIndexToPhysicalPoint(index) == pytest.approx((-x, -y, z), abs=1e-3)


def test_an_nrrd_without_space_is_doubted(tmp_path: Path) -> None:
    write_image(ct(), tmp_path / "a.nrrd", compress=False)
    header, _, voxels = (tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    kept = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    (tmp_path / "a.nrrd").write_bytes(b"\n".join([*kept, b"spacings: 1.5 1.25 3"]) + b"\n\n" + voxels)
    (sentence,) = (warning for warning in read_volume(tmp_path / "a.nrrd").warnings if "no orientation" in warning)
    assert "spacing" not in sentence


def test_a_sheared_nrrd_is_refused(tmp_path: Path) -> None:
    image = ct()
    image.SetDirection((1, 0, 0, 0, 1, 0.2, 0, 0, 1))
    write_image(image, tmp_path / "a.nrrd")
    with pytest.raises(BadInput, match="perpendicular"):
        read_volume(tmp_path / "a.nrrd")


def test_series_of_a_file_is_refused(tmp_path: Path) -> None:
    write_image(ct(), tmp_path / "a.nrrd")
    with pytest.raises(BadInput, match="in a DICOM folder only"):
        read_volume(tmp_path / "a.nrrd", series="2")


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture, dicom_folder) -> None:
    read_volume(nifti(tmp_path / "two.nii.gz", qform=1, sform=2, rows=STRAIGHT, offset=(10, 27, 30)))
    read_volume(dicom_folder())
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    "case",
    ["crlm_1006", "cptac_c3l00189", "pancreas_cb_001", "totalsegmentator_example", "acrin_nsclc_042", "acrin_flt_001"],
)
def test_real_scans_pass_without_a_doubt(shared_data: Path, case: str) -> None:
    volume = read_volume(shared_data / "ct" / case / "ct.nii.gz")
    assert volume.name == "ct"
    assert volume.warnings == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii", ".nii.gz"])
@pytest.mark.parametrize("limit", [100, 1000, 60_000])
def test_a_disk_that_fills_leaves_no_file(tmp_path, ending, limit):
    """In a process of its own, because a limit on the size of files cannot be raised again."""
    script = f"""
import resource, signal, sys
import numpy as np, SimpleITK as sitk
from AttentionUNetSegLib.errors import CannotWrite
from AttentionUNetSegLib.imaging import write_image
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
values = np.random.default_rng(0).integers(0, 255, (30, 64, 64), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write_image(sitk.GetImageFromArray(values), sys.argv[1])
except CannotWrite as error:
    print(error.message)
"""
    path = tmp_path / f"volume{ending}"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "could not be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_slices_whose_distance_no_file_gives_are_told(tmp_path: Path) -> None:
    """Neither a TIFF nor these headers say how far apart slices lie: 1 mm instead of 3 is a third of every volume."""
    sitk.WriteImage(sitk.Cast(ct(), sitk.sitkInt16), str(tmp_path / "a.tif"))
    sitk.WriteImage(ct(), str(tmp_path / "a.mhd"))
    lines = (tmp_path / "a.mhd").read_text().splitlines(keepends=True)
    (tmp_path / "a.mhd").write_text("".join(line for line in lines if not line.startswith("ElementSpacing")))
    write_image(ct(), tmp_path / "a.nrrd", compress=False)
    header, _, voxels = (tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    kept = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    (tmp_path / "a.nrrd").write_bytes(b"\n".join(kept) + b"\n\n" + voxels)
    for name in ("a.tif", "a.mhd", "a.nrrd"):
        volume = read_volume(tmp_path / name)
        assert volume.image.GetSpacing()[2] == 1
        assert any("no spacing" in warning and "volume hangs on that" in warning for warning in volume.warnings), name
    sitk.WriteImage(ct(), str(tmp_path / "whole.mhd"))
    assert read_volume(tmp_path / "whole.mhd").warnings == ()
