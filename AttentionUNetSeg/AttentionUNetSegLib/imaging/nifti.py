"""NIfTI-1, NIfTI-2 and Analyze headers: where the voxels are, what they mean, where they lie.

Source: the NIfTI-1 and NIfTI-2 headers, nifti1.h and nifti2.h (https://nifti.nimh.nih.gov), orientation methods 1 to 3.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .geometry import (
    LARGEST_MENDED_SHEAR_DEGREES,
    UNNOTICED_SHEAR_DEGREES,
    Geometry,
    grid_of_steps,
    shear_degrees,
)
from .image_header import ImageHeader
from .plain_name import printable_name
from .voxel_data import VoxelData, beside

LARGEST_DISAGREEMENT_MM = 0.5
GZIP_MAGIC = b"\x1f\x8b"
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_KINDS = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_COMPONENTS = {128: 3, 2304: 4, 32: 2, 1792: 2}  # RGB, RGBA, complex
_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: unknown, metre, millimetre, micron
_SCANNER = 1
# Where the voxels of a single file begin at the earliest; some programs write 0 and mean this.
_LEAST_OFFSETS = {b"n+1": 352, b"n+2": 544}


@dataclass(frozen=True)
class NiftiHeader:
    """The part of a NIfTI header that says how many bytes follow and where the voxels lie (RAS, mm)."""

    order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: int
    slope: float
    intercept: float
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    srow: tuple[float, ...]
    units: int
    description: str
    is_analyze: bool = False


def nifti_image(path: Path, self_contained: bool) -> ImageHeader | None:
    """Return what a NIfTI or Analyze file holds; None for another kind of file.

    Raises
    ------
    BadInput
        A type, unit or geometry that is none, or voxels in a file that is missing or not allowed.
    """
    header_file = _of_pair(path, ".img", ".hdr")
    header = read_nifti_header(header_file)
    if header is None:
        return None
    name = printable_name(path)
    voxel_file = _of_pair(header_file, ".hdr", ".img")
    if voxel_file != header_file:
        voxel_file = beside(header_file, voxel_file.name, self_contained)
    rank = header.dim[0]
    if not 1 <= rank <= 7 or any(n < 0 for n in header.dim[1 : rank + 1]):
        sizes = ", ".join(map(str, header.dim))
        raise BadInput(f"{name} is damaged: the sizes in its header (dim) are {sizes}.", "Export it again.")
    size = tuple(max(1, n) for n in header.dim[1 : min(rank, 4) + 1])
    vectors = math.prod(max(1, n) for n in header.dim[5 : rank + 1])
    if header.datatype not in _KINDS and header.datatype not in _COMPONENTS:
        raise BadInput(
            f"{name} holds values of a type that is not read here (NIfTI data type {header.datatype}).",
            "Export it again with whole numbers of 16 bits.",
        )
    components = vectors * _COMPONENTS.get(header.datatype, 1)
    if header.datatype in (32, 1792):
        raise BadInput(f"{name} holds complex numbers, not Hounsfield units.", "Give a CT volume.")
    data = VoxelData(
        files=(voxel_file,),
        kind=np.dtype(header.order + _KINDS.get(header.datatype, "u1")),
        size=size,
        skip=max(0, header.vox_offset),
        packing="gzip" if _is_compressed(voxel_file) else "",
        components=components,
    )
    if len(size) < 3 or components > 1:
        return ImageHeader(data, Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0), tuple(np.eye(3).ravel())))
    grid, warnings = _grid(header, size[:3], name)
    # By the standard a slope of 0 means that nothing is to be scaled; some write NaN for it.
    is_scaled = math.isfinite(header.slope) and header.slope != 0 and math.isfinite(header.intercept)
    scale = (header.slope, header.intercept) if is_scaled else (1.0, 0.0)
    return ImageHeader(data, grid, scale, {"descrip": header.description}, tuple(warnings))


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """Return the header of a NIfTI-1, NIfTI-2 or Analyze file, compressed or not; None for another kind of file."""
    start = first_bytes(path, 540)
    if len(start) < 348:
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", start)[0]
        if size == 348:
            return _nifti_1(start, order)
        if size == 540 and len(start) == 540 and start[4:7] in (b"n+2", b"ni2"):
            return _nifti_2(start, order)
    return None


def _nifti_1(start: bytes, order: str) -> NiftiHeader | None:
    def read(form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + form, start, at)

    header = NiftiHeader(
        order=order,
        dim=read("8h", 40),
        datatype=read("h", 70)[0],
        pixdim=read("8f", 76),
        vox_offset=max(_whole(read("f", 108)[0]), _LEAST_OFFSETS.get(start[344:347], 0)),
        slope=read("f", 112)[0],
        intercept=read("f", 116)[0],
        qform_code=read("h", 252)[0],
        sform_code=read("h", 254)[0],
        quaternion=read("6f", 256),
        srow=read("12f", 280),
        units=start[123] & 7,
        description=_text(start[148:228]),
    )
    if start[344:347] in (b"n+1", b"ni1"):
        return header
    if not 0 < header.dim[0] <= 7:
        return None
    # Analyze 7.5 has the same sizes and types in the same places, and no orientation.
    return replace(header, slope=1.0, intercept=0.0, qform_code=0, sform_code=0, units=0, is_analyze=True)


def _nifti_2(start: bytes, order: str) -> NiftiHeader:
    def read(form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + form, start, at)

    return NiftiHeader(
        order=order,
        dim=read("8q", 16),
        datatype=read("h", 12)[0],
        pixdim=read("8d", 104),
        vox_offset=max(read("q", 168)[0], _LEAST_OFFSETS.get(start[4:7], 0)),
        slope=read("d", 176)[0],
        intercept=read("d", 184)[0],
        qform_code=read("i", 344)[0],
        sform_code=read("i", 348)[0],
        quaternion=read("6d", 352),
        srow=read("12d", 400),
        units=read("i", 500)[0] & 7,
        description=_text(start[240:320]),
    )


def _grid(header: NiftiHeader, size: tuple[int, ...], name: str) -> tuple[Geometry, list[str]]:
    """Return the grid in LPS and mm, by the one of the two orientations that ITK and 3D Slicer take."""
    spacing = np.abs(header.pixdim[1:4]).astype(float)
    if not np.all(np.isfinite(spacing)) or np.any(spacing == 0):
        raise BadInput("The NIfTI file holds no voxel size (pixdim is zero or not a number).", "Export it again.")
    if header.units not in _MM:
        raise BadInput(
            f"{name} gives its voxel size in a unit that NIfTI does not know (code {header.units}).", "Export it again."
        )
    to_mm = _MM[header.units]
    if header.qform_code <= 0 and header.sform_code <= 0:
        kind = " (it is an Analyze file)" if header.is_analyze else " (qform and sform codes are 0)"
        grid, _ = grid_of_steps(np.diag(spacing * to_mm), np.zeros(3), size, name)
        return grid, [f"The NIfTI file holds no orientation{kind}: left and right may be swapped."]
    forms = {
        "sform": (header.sform_code, np.reshape(header.srow, (3, 4)).astype(float)),
        "qform": (header.qform_code, _qform(header, spacing)),
    }
    used = "sform" if header.sform_code == _SCANNER or header.qform_code <= 0 else "qform"
    warnings = []
    if min(header.qform_code, header.sform_code) > 0:
        distance = _largest_distance(forms["sform"][1], forms["qform"][1], size) * to_mm
        shear = shear_degrees(forms["sform"][1][:, :3])
        if distance <= LARGEST_DISAGREEMENT_MM:
            used = "qform" if shear > UNNOTICED_SHEAR_DEGREES else used
        elif shear > LARGEST_MENDED_SHEAR_DEGREES:
            raise BadInput(
                f"The NIfTI file's sform is sheared (a gantry tilt?) and {distance:.1f} mm away from the qform.",
                "Resample it to a grid with perpendicular axes first.",
            )
        else:
            warnings.append(
                f"The NIfTI file's qform and sform place it up to {distance:.1f} mm apart; the {used} was used, "
                "as ITK and 3D Slicer do."
            )
    affine = forms[used][1] * to_mm * RAS_TO_LPS[:, None]
    grid, doubts = grid_of_steps(affine[:, :3], affine[:, 3], size, f"{name} (its NIfTI {used})")
    return grid, warnings + doubts


def _qform(header: NiftiHeader, spacing: np.ndarray) -> np.ndarray:
    """Return the 3x4 affine (IJK to RAS) of method 2: unit quaternion, voxel sizes, and the third axis' sign (qfac)."""
    b, c, d = header.quaternion[:3]
    square = 1.0 - (b * b + c * c + d * d)
    if square < 1e-7:  # a half turn, with rounded numbers
        b, c, d = np.array([b, c, d]) / math.sqrt(max(1e-30, b * b + c * c + d * d))
        square = 0.0
    a = math.sqrt(square)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if header.pixdim[0] < 0 else 1.0
    return np.column_stack([rotation * spacing * [1, 1, handedness], header.quaternion[3:]])


def _largest_distance(one: np.ndarray, other: np.ndarray, size: tuple[int, ...]) -> float:
    """Return how far apart two affines place a corner of the image."""
    unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    corners = unit * np.asarray(size) - 0.5
    apart = corners @ (one - other)[:, :3].T + (one - other)[:, 3]
    return float(np.linalg.norm(apart, axis=1).max())


def _of_pair(path: Path, ending: str, wanted: str) -> Path:
    """Return the other file of a .hdr/.img pair (either may be compressed), or the path itself."""
    for compression in ("", ".gz"):
        if path.name.lower().endswith(ending + compression):
            stem = path.name[: -len(ending + compression)]
            candidates = [path.with_name(stem + wanted + end) for end in ("", ".gz")]
            return next((candidate for candidate in candidates if candidate.exists()), path)
    return path


def _is_compressed(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == GZIP_MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, or of what is packed in it; fewer where there are not so many."""
    with open(path, "rb") as file:
        start = file.read(4096 + count)
    if start[:2] == GZIP_MAGIC:
        try:
            start = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, count)
        except zlib.error:
            return b""
    return start[:count]


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) else 0
