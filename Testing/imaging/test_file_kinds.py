"""Image files as other tools write them: the true values and places, or a true refusal; never one without a word."""

from __future__ import annotations

import bz2
import gzip
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume

SIZE, SPACING, ORIGIN = (14, 12, 10), (1.5, 2.0, 3.0), (-20.0, -30.0, -100.0)


def truth() -> np.ndarray:
    """HU (slices, rows, columns): air around, tissue inside."""
    hu = np.full(SIZE[::-1], -1000, dtype=np.int16)
    hu[:, 2:-2, 2:-2] = np.random.default_rng(0).integers(-100, 200, (10, 8, 10))
    return hu


def image(values: np.ndarray | None = None) -> sitk.Image:
    made = sitk.GetImageFromArray(truth() if values is None else values)
    made.SetSpacing(SPACING)
    made.SetOrigin(ORIGIN)
    return made


def nrrd(path: Path, data: bytes | None = None, **fields: str) -> Path:
    header = {
        "type": "short", "dimension": "3", "sizes": "14 12 10", "endian": "little", "encoding": "raw",
        "space": "left-posterior-superior", "space directions": "(1.5,0,0) (0,2,0) (0,0,3)",
        "space origin": "(-20,-30,-100)",
    }  # fmt: skip
    header.update({key.replace("_", " "): value for key, value in fields.items()})
    lines = "\n".join(f"{key}: {value}" for key, value in header.items() if value)
    content = truth().astype("<i2").tobytes() if data is None else data
    path.write_bytes(f"NRRD0005\n# made\n{lines}\n\n".encode() + content)
    return path


def mha(path: Path, data: bytes | None = None, **fields: str) -> Path:
    header = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "-20 -30 -100", "ElementSpacing": "1.5 2 3",
        "DimSize": "14 12 10", "ElementType": "MET_SHORT",
    }  # fmt: skip
    header.update(fields)
    header["ElementDataFile"] = header.pop("ElementDataFile", "LOCAL")
    lines = "".join(f"{key} = {value}\n" for key, value in header.items() if value)
    path.write_bytes(lines.encode() + (truth().astype("<i2").tobytes() if data is None else data))
    return path


def nifti(path: Path, version: int = 1, order: str = "<", unit: int = 2, scale: float = 1.0, **more) -> Path:
    """A NIfTI file byte by byte; the affine is that of the truth, in the unit's own numbers."""
    kind, code = more.get("kind", ("i2", 4))
    values = more.get("values", truth()).astype(order + kind)
    rows = (
        np.array([[-1.5, 0, 0, 20.0], [0, -2, 0, 30], [0, 0, 3, -100]]) * scale if "rows" not in more else more["rows"]
    )
    pixdim = np.linalg.norm(rows[:, :3], axis=0)
    if version == 1:
        header = bytearray(352)
        struct.pack_into(order + "i", header, 0, 348)
        struct.pack_into(order + "8h", header, 40, 3, *SIZE, 1, 1, 1, 1)
        struct.pack_into(order + "hh", header, 70, code, values.itemsize * 8)
        struct.pack_into(order + "8f", header, 76, 1, *pixdim, 0, 0, 0, 0)
        struct.pack_into(order + "3f", header, 108, more.get("offset", 352), *more.get("slope", (1, 0)))
        header[123] = unit
        struct.pack_into(order + "hh", header, 252, 0, 1)
        struct.pack_into(order + "12f", header, 280, *rows.ravel())
        header[344:348] = b"n+1\0"
    else:
        header = bytearray(544)
        struct.pack_into(order + "i", header, 0, 540)
        header[4:12] = b"n+2\0\r\n\x1a\n"
        struct.pack_into(order + "hh", header, 12, code, values.itemsize * 8)
        struct.pack_into(order + "8q", header, 16, 3, *SIZE, 1, 1, 1, 1)
        struct.pack_into(order + "8d", header, 104, 1, *pixdim, 0, 0, 0, 0)
        struct.pack_into(order + "q2d", header, 168, more.get("offset", 544), *more.get("slope", (1, 0)))
        struct.pack_into(order + "ii", header, 344, 0, 1)
        struct.pack_into(order + "12d", header, 400, *rows.ravel())
        struct.pack_into(order + "i", header, 500, unit)
    content = bytes(header) + values.tobytes()
    path.write_bytes(gzip.compress(content) if more.get("packed", path.suffix == ".gz") else content)
    return path


def pair(folder: Path) -> Path:
    sitk.WriteImage(image(), str(folder / "pair.hdr"))
    return folder / "pair.hdr"


def detached(folder: Path, named: str = "voxels.raw") -> Path:
    (folder / "voxels.raw").write_bytes(truth().astype("<i2").tobytes())
    return nrrd(folder / "a.nhdr", b"", data_file=named)


def in_slices(folder: Path) -> Path:
    for k, values in enumerate(truth()):
        (folder / f"s{k:02d}.raw").write_bytes(values.astype("<i2").tobytes())
    return mha(folder / "a.mhd", b"", ElementDataFile="s%02d.raw 0 9 1")


def listed(folder: Path) -> Path:
    in_slices(folder)
    lines = "\n".join(f"s{k:02d}.raw" for k in range(10))
    return mha(folder / "a.mhd", lines.encode(), ElementDataFile="LIST")


def awkward_name(folder: Path, name: bytes) -> Path:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    os.rename(mha(folder / "plain.mha"), path)
    return path


PACKED = truth().astype("<i2").tobytes()
READ = {
    "NIfTI": lambda folder: nifti(folder / "a.nii"),
    "NIfTI, gzip": lambda folder: nifti(folder / "a.nii.gz"),
    "NIfTI, big-endian": lambda folder: nifti(folder / "a.nii", order=">"),
    "NIfTI-2": lambda folder: nifti(folder / "a.nii", version=2),
    "NIfTI-2, gzip, big-endian": lambda folder: nifti(folder / "a.nii.gz", version=2, order=">"),
    "NIfTI, gzip without .gz": lambda folder: nifti(folder / "a.nii", packed=True),
    "NIfTI, .gz without gzip": lambda folder: nifti(folder / "a.nii.gz", packed=False),
    "NIfTI, offset 0": lambda folder: nifti(folder / "a.nii.gz", offset=0),
    "NIfTI-2, offset 0": lambda folder: nifti(folder / "a.nii", version=2, offset=0),
    "NIfTI, metres": lambda folder: nifti(folder / "a.nii", unit=1, scale=1e-3),
    "NIfTI, microns": lambda folder: nifti(folder / "a.nii", unit=3, scale=1e3),
    "NIfTI-2, metres": lambda folder: nifti(folder / "a.nii", version=2, unit=1, scale=1e-3),
    "NIfTI, no unit": lambda folder: nifti(folder / "a.nii", unit=0),
    "NIfTI, float64": lambda folder: nifti(folder / "a.nii", kind=("f8", 64)),
    "NIfTI, unsigned with intercept": lambda folder: nifti(
        folder / "a.nii", kind=("u2", 512), values=truth() + 1024, slope=(1, -1024)
    ),
    "NIfTI, slope NaN": lambda folder: nifti(folder / "a.nii", slope=(np.nan, 0)),
    "NIfTI, pair": pair,
    "NRRD": lambda folder: nrrd(folder / "a.nrrd"),
    "NRRD, cm": lambda folder: nrrd(
        folder / "a.nrrd",
        space_directions="(.15,0,0) (0,.2,0) (0,0,.3)",
        space_origin="(-2,-3,-10)",
        space_units='"cm" "cm" "cm"',
    ),
    "NRRD, um": lambda folder: nrrd(
        folder / "a.nrrd",
        space_directions="(1500,0,0) (0,2000,0) (0,0,3000)",
        space_origin="(-20000,-30000,-100000)",
        space_units='"um" "um" "um"',
    ),
    "NRRD, RAS": lambda folder: nrrd(
        folder / "a.nrrd", space="RAS", space_directions="(-1.5,0,0) (0,-2,0) (0,0,3)", space_origin="(20,30,-100)"
    ),
    "NRRD, LAS": lambda folder: nrrd(
        folder / "a.nrrd",
        space="left-anterior-superior",
        space_directions="(1.5,0,0) (0,-2,0) (0,0,3)",
        space_origin="(-20,30,-100)",
    ),
    "NRRD, gzip": lambda folder: nrrd(folder / "a.nrrd", gzip.compress(PACKED), encoding="gzip"),
    "NRRD, bzip2": lambda folder: nrrd(folder / "a.nrrd", bz2.compress(PACKED), encoding="bzip2"),
    "NRRD, text": lambda folder: nrrd(
        folder / "a.nrrd", " ".join(map(str, truth().ravel())).encode(), encoding="ascii", endian=""
    ),
    "NRRD, big-endian": lambda folder: nrrd(folder / "a.nrrd", truth().astype(">i2").tobytes(), endian="big"),
    "NRRD, under another ending": lambda folder: nrrd(folder / "a.img"),
    "NRRD, detached": detached,
    "MHA": lambda folder: mha(folder / "a.mha"),
    "MHA, packed": lambda folder: mha(
        folder / "a.mha",
        zlib.compress(PACKED),
        CompressedData="True",
        CompressedDataSize=str(len(zlib.compress(PACKED))),
    ),
    "MHA, big-endian": lambda folder: mha(
        folder / "a.mha", truth().astype(">i2").tobytes(), BinaryDataByteOrderMSB="True"
    ),
    "MHA, cm": lambda folder: mha(folder / "a.mha", ElementSpacing=".15 .2 .3", Offset="-2 -3 -10", DistanceUnits="cm"),
    "MHD, one file for each slice": in_slices,
    "MHD, list of files": listed,
    "GIPL": lambda folder: (sitk.WriteImage(image(), str(folder / "a.gipl")), folder / "a.gipl")[1],
    "a name in Latin-1": lambda folder: awkward_name(folder, b"M\xfcller.mha"),
    "a name in Chinese": lambda folder: awkward_name(folder, "胰腺.mha".encode()),
}


@pytest.mark.parametrize("kind", READ)
def test_read_with_the_true_values_and_places(tmp_path, kind) -> None:
    if os.name == "nt" and kind == "a name in Latin-1":
        pytest.skip("Windows has no such names")
    volume = read_volume(READ[kind](tmp_path))
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), truth())
    assert volume.image.GetSpacing() == pytest.approx(SPACING, rel=1e-5)
    for index in ((0, 0, 0), (13, 0, 0), (0, 11, 9)):
        expected = image().TransformIndexToPhysicalPoint(index)
        assert volume.image.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-3)
    # The field of view is 30 mm high, and GIPL says nothing of directions.
    assert all("mm high" in each or kind == "GIPL" for each in volume.warnings)


def rounded(folder: Path, degrees: float = 0.0) -> Path:
    a, b = np.radians(7), np.radians(3)
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = turn @ np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    turn[:, 1] += np.radians(degrees) * turn[:, 0]
    return nifti(folder / "a.nii", rows=np.column_stack([np.round(turn, 3) * SPACING, ORIGIN]))


def test_a_rounded_orientation_is_mended_with_a_warning(tmp_path) -> None:
    path = rounded(tmp_path)
    volume = read_volume(path)
    assert any("off perpendicular" in each for each in volume.warnings)
    axes = np.reshape(volume.image.GetDirection(), (3, 3))
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    stored = np.reshape(struct.unpack_from("<12f", path.read_bytes(), 280), (3, 4)) * [[-1], [-1], [1]]
    for index in ((0, 0, 0), (13, 11, 9), (13, 0, 9)):
        assert volume.image.TransformIndexToPhysicalPoint(index) == pytest.approx(
            stored[:, :3] @ index + stored[:, 3], abs=0.02
        )
    with pytest.raises(BadInput, match="sheared orientation"):
        read_volume(rounded(tmp_path, degrees=0.8))


@pytest.mark.parametrize("kind", ["nii", "nrrd", "mha"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_without_a_number(tmp_path, kind, value) -> None:
    """ITK takes them for 0 HU in NIfTI: water around the patient."""
    values = truth().astype(np.float32)
    values[:, :, 0] = values[:, 0] = value  # outside a patient who fills the middle

    def write(values: np.ndarray) -> Path:
        data = values.astype("<f4")
        if kind == "nii":
            return nifti(tmp_path / "a.nii", kind=("f4", 16), values=data)
        if kind == "nrrd":
            return nrrd(tmp_path / "a.nrrd", data.tobytes(), type="float")
        return mha(tmp_path / "a.mha", data.tobytes(), ElementType="MET_FLOAT")

    volume = read_volume(write(values))
    assert any("outside the patient" in each and "taken as air" in each for each in volume.warnings)
    found = sitk.GetArrayFromImage(volume.image)
    assert np.all(found[:, 0] == -1024)
    assert np.array_equal(found[:, 1:, 1:], truth()[:, 1:, 1:])
    for place in (np.s_[5, 6, 6], np.s_[4]):
        inside = truth().astype(np.float32)
        inside[place] = value
        with pytest.raises(BadInput, match="NaN or infinite values inside the patient"):
            read_volume(write(inside))
    with pytest.raises(BadInput, match="no number at all"):
        read_volume(write(np.full_like(values, value)))


def cut(path: Path, share: float = 0.5) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def bomb(folder: Path) -> Path:
    path = nifti(folder / "a.nii.gz")
    header = bytearray(gzip.decompress(path.read_bytes())[:352])
    struct.pack_into("<3h", header, 42, 1000, 1000, 1000)
    path.write_bytes(gzip.compress(bytes(header) + b"\0" * 2**22))
    return path


def huge(folder: Path) -> Path:
    return nrrd(folder / "a.nrrd", sizes="100000 100000 100000")


def linked_away(folder: Path) -> Path:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(PACKED)
    (folder / "voxels.raw").symlink_to(elsewhere / "secret")
    return nrrd(folder / "a.nhdr", b"", data_file="voxels.raw")


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "voxels.raw")
    return mha(folder / "a.mhd", b"", ElementDataFile="voxels.raw")


REFUSED = {
    "MHA, negative spacing": (lambda folder: mha(folder / "a.mha", ElementSpacing="1.5 -2 3"), "negative spacing"),
    "MHA, half": (lambda folder: cut(mha(folder / "a.mha")), r"is incomplete: it holds 4\d % of its voxels"),
    "NRRD, half": (lambda folder: cut(nrrd(folder / "a.nrrd")), r"is incomplete: it holds 4\d % of its voxels"),
    "NIfTI, half": (lambda folder: cut(nifti(folder / "a.nii")), r"is incomplete: it holds 4\d % of its voxels"),
    "NIfTI, half of gzip": (lambda folder: cut(nifti(folder / "a.nii.gz")), r"is incomplete: it holds \d+ % of its"),
    "NRRD, half of gzip": (
        lambda folder: cut(nrrd(folder / "a.nrrd", gzip.compress(PACKED), encoding="gzip"), 0.6),
        r"is incomplete: it holds \d+ % of its voxels",
    ),
    "NRRD, unit of time": (lambda folder: nrrd(folder / "a.nrrd", space_units='"s" "s" "s"'), "unit that is no length"),
    "NRRD in cm, not said": (
        lambda folder: nrrd(folder / "a.nrrd", space_directions="(.01,0,0) (0,.02,0) (0,0,.03)"), "another unit",
    ),
    "NRRD in um, not said": (
        lambda folder: nrrd(folder / "a.nrrd", space_directions="(1500,0,0) (0,2000,0) (0,0,3000)"), "another unit",
    ),
    "NIfTI, a unit that is none": (lambda folder: nifti(folder / "a.nii", unit=5), "unit that NIfTI does not know"),
    "voxels elsewhere": (lambda folder: detached(folder, "/etc/passwd"), "only a plain name in the same folder"),
    "voxels above": (lambda folder: detached(folder, "../voxels.raw"), "only a plain name in the same folder"),
    "voxels in a device": (
        lambda folder: mha(folder / "a.mha", b"", ElementDataFile="/dev/zero"), "only a plain name in the same folder",
    ),
    "voxels by a pattern elsewhere": (
        lambda folder: mha(folder / "a.mha", b"", ElementDataFile="/etc/s%02d.raw 0 9 1"), "only a plain name",
    ),
    "voxels by a list elsewhere": (
        lambda folder: nrrd(folder / "a.nhdr", b"").write_bytes(
            (folder / "a.nhdr").read_bytes().rstrip() + b"\ndata file: LIST\n/etc/passwd\n/etc/group\n"
        ) and folder / "a.nhdr", "only a plain name",
    ),
    "voxels behind a link": (linked_away, "a link to another folder"),
    "voxels that are missing": (lambda folder: detached(folder, "none.raw"), "and that is missing"),
    "voxels in a pipe": (pipe, "no regular file"),
    "a bomb": (bomb, "would unpack to 2.0 GB: that is no CT"),
    "100000 voxels along each axis": (huge, "larger than any CT"),
    "NIfTI, a damaged gzip": (
        lambda folder: (nifti(folder / "a.nii.gz"), (folder / "a.nii.gz").write_bytes(
            (folder / "a.nii.gz").read_bytes()[:-8] + b"\0" * 8), folder / "a.nii.gz")[2], "is damaged",
    ),
    "a pipe": (lambda folder: os.mkfifo(folder / "p.nii") or folder / "p.nii", "no regular file"),
}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_the_reason(tmp_path, kind) -> None:
    make, words = REFUSED[kind]
    with pytest.raises(BadInput, match=words) as refused:
        read_volume(make(tmp_path))
    assert "0x" not in str(refused.value)
    assert "RuntimeError" not in str(refused.value)


@pytest.mark.parametrize("make", [detached, in_slices, listed, pair])
def test_what_somebody_sent_holds_its_own_voxels(tmp_path, make) -> None:
    path = make(tmp_path)
    with pytest.raises(BadInput, match="holds no voxels of its own"):
        read_volume(path, self_contained=True)
    sitk.WriteImage(image(), str(tmp_path / "a.gipl"))
    with pytest.raises(BadInput, match="no NIfTI, NRRD or MHA file"):
        read_volume(tmp_path / "a.gipl", self_contained=True)
    assert read_volume(mha(tmp_path / "a.mha"), self_contained=True).name == "a"


def test_more_voxels_than_the_header_tells_of(tmp_path) -> None:
    volume = read_volume(nrrd(tmp_path / "a.nrrd", PACKED + b"\0" * 1000))
    assert any("more than the voxels" in each for each in volume.warnings)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_stream_that_does_not_end_costs_no_memory(tmp_path) -> None:
    """A header that promises 3 kB, and 200 MB behind it; the reader may take 100 MB more than it has."""
    path = nifti(tmp_path / "a.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(200_000_000), 1))
    script = """
import resource, sys
from AttentionUNetSegLib.imaging import read_volume
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 100_000_000,) * 2)
print(read_volume(sys.argv[1]).warnings)
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "more than the voxels" in done.stdout
