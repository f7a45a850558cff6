"""What ITK passes over in silence in a NIfTI file: missing voxels, missing geometry, two orientations that disagree.

Source: the NIfTI-1 and NIfTI-2 headers, nifti1.h and nifti2.h (https://nifti.nimh.nih.gov), orientation methods 1 to 3.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .check import LARGEST_SHEAR
from .geometry import Geometry

LARGEST_DISAGREEMENT_MM = 0.5
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class NiftiHeader:
    """The part of a NIfTI header that says how many bytes follow and where the voxels lie (RAS, mm)."""

    dim: tuple[int, ...]
    bitpix: int
    pixdim: tuple[float, ...]
    vox_offset: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    srow: tuple[float, ...]

    @property
    def bytes_needed(self) -> int:
        """Length of the uncompressed file (or of the .img file) that holds all voxels."""
        used = self.dim[1 : 1 + self.dim[0]]
        return self.vox_offset + int(np.prod([max(1, n) for n in used], dtype=np.int64)) * self.bitpix // 8


def check_nifti(path: Path, grid: Geometry) -> list[str]:
    """Return warnings about a NIfTI file.

    Parameters
    ----------
    path : the file.
    grid : the geometry that ITK made of it.

    Raises
    ------
    BadInput : voxels are missing, a voxel size is zero, or an orientation is sheared that ITK passed over.
    """
    header = read_nifti_header(path)
    if header is None:
        return [f"{path.name} holds no orientation (it is an Analyze file): left and right may be swapped."]
    _refuse_missing_voxels(path, header)
    return _orientation_warnings(header, grid)


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """Return the header of a NIfTI-1 or NIfTI-2 file, compressed or not; None for another kind of file."""
    start = _first_bytes(_header_file(path), 540)
    for order in "<>":
        size = struct.unpack_from(order + "i", start)[0] if len(start) >= 348 else 0
        if size == 348 and start[344:347] in (b"n+1", b"ni1"):
            return NiftiHeader(
                dim=struct.unpack_from(order + "8h", start, 40),
                bitpix=struct.unpack_from(order + "h", start, 72)[0],
                pixdim=struct.unpack_from(order + "8f", start, 76),
                vox_offset=int(struct.unpack_from(order + "f", start, 108)[0]),
                qform_code=struct.unpack_from(order + "h", start, 252)[0],
                sform_code=struct.unpack_from(order + "h", start, 254)[0],
                quaternion=struct.unpack_from(order + "6f", start, 256),
                srow=struct.unpack_from(order + "12f", start, 280),
            )
        if size == 540 and start[4:7] in (b"n+2", b"ni2"):
            return NiftiHeader(
                dim=struct.unpack_from(order + "8q", start, 16),
                bitpix=struct.unpack_from(order + "h", start, 14)[0],
                pixdim=struct.unpack_from(order + "8d", start, 104),
                vox_offset=struct.unpack_from(order + "q", start, 168)[0],
                qform_code=struct.unpack_from(order + "i", start, 344)[0],
                sform_code=struct.unpack_from(order + "i", start, 348)[0],
                quaternion=struct.unpack_from(order + "6d", start, 352),
                srow=struct.unpack_from(order + "12d", start, 400),
            )
    return None


def _refuse_missing_voxels(path: Path, header: NiftiHeader) -> None:
    """Refuse an incomplete file: ITK fills what is missing with zeros or chance."""
    voxels = _voxel_file(path)
    held = voxels.stat().st_size
    if _is_compressed(voxels):
        # gzip ends with the uncompressed length; only where that does not fit is the file read through.
        with open(voxels, "rb") as file:
            file.seek(-4, 2)
            (length,) = struct.unpack("<I", file.read(4))
        if length == header.bytes_needed % 2**32:
            return
        held = _uncompressed_length(voxels)
    if held < header.bytes_needed:
        raise BadInput(
            f"{path.name} is incomplete: it ends after {held} of {header.bytes_needed} bytes.",
            "Copy or export it again.",
        )


def _uncompressed_length(path: Path) -> int:
    length = 0
    try:
        with gzip.open(path) as file:
            while part := file.read(2**22):
                length += len(part)
    except (EOFError, OSError, zlib.error):
        pass
    return length


def _orientation_warnings(header: NiftiHeader, grid: Geometry) -> list[str]:
    spacing = np.abs(header.pixdim[1:4])
    if not np.all(np.isfinite(spacing)) or np.any(spacing == 0):
        raise BadInput("The NIfTI file holds no voxel size (pixdim is zero or not a number).", "Export it again.")
    if header.qform_code <= 0 and header.sform_code <= 0:
        return ["The NIfTI file holds no orientation (qform and sform codes are 0): left and right may be swapped."]
    warnings = []
    for name, other, code, affine in (
        ("sform", "qform", header.sform_code, np.reshape(header.srow, (3, 4))),
        ("qform", "sform", header.qform_code, _qform(header, spacing)),
    ):
        distance = _largest_distance(affine, grid) if code > 0 else 0.0
        if distance <= LARGEST_DISAGREEMENT_MM:
            continue
        if _is_sheared(affine):
            raise BadInput(
                f"The NIfTI file's {name} is sheared (a gantry tilt?) and {distance:.1f} mm away from the {other}.",
                "Resample it to a grid with perpendicular axes first.",
            )
        warnings.append(
            f"The NIfTI file's qform and sform place it up to {distance:.1f} mm apart; the {other} was used, "
            "as ITK and 3D Slicer do."
        )
    if len(warnings) > 1 or (warnings and min(header.qform_code, header.sform_code) <= 0):
        raise BadInput(
            "The NIfTI file's orientation was not understood: qform and sform contradict.", "Export it again."
        )
    return warnings


def _qform(header: NiftiHeader, spacing: np.ndarray) -> np.ndarray:
    """Return the 3x4 affine (IJK to RAS) of method 2: unit quaternion, voxel sizes, and the third axis' sign (qfac)."""
    b, c, d = header.quaternion[:3]
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if header.pixdim[0] < 0 else 1.0
    return np.column_stack([rotation * spacing * [1, 1, handedness], header.quaternion[3:]])


def _largest_distance(affine: np.ndarray, grid: Geometry) -> float:
    """Return how far (mm) a RAS affine places a corner of the grid from where the grid itself has it."""
    corners = grid.corners()
    lps = (grid.index(corners) @ affine[:, :3].T + affine[:, 3]) * [-1, -1, 1]
    return float(np.linalg.norm(lps - corners, axis=1).max())


def _is_sheared(affine: np.ndarray) -> bool:
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    if np.any(lengths == 0):
        return True
    axes = affine[:, :3] / lengths
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > LARGEST_SHEAR)


def _header_file(path: Path) -> Path:
    return _of_pair(path, ".img", ".hdr")


def _voxel_file(path: Path) -> Path:
    return _of_pair(path, ".hdr", ".img")


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


def _first_bytes(path: Path, count: int) -> bytes:
    with gzip.open(path) if _is_compressed(path) else open(path, "rb") as file:
        return file.read(count)
