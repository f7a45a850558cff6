"""The voxels of an image file: as many as its header promises, never more, and every one of them as it stands.

ITK alone fills missing voxels by chance, takes NaN in NIfTI for 0, unpacks whatever a packed stream holds, and opens
whatever file a header names.
"""

from __future__ import annotations

import bz2
import math
import os
import stat
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import BadInput
from ..in_parts import done_at_once
from .plain_name import printable_name

# More than 2048 slices of 1024 x 1024.
MOST_VOXELS = 2**31
# A stream that unpacks to more than this, and to so many times its length, holds next to nothing but one value.
_HARMLESS_BYTES, _LARGEST_RATIO = 2**28, 400
_CHUNK = 2**16
# So much is unpacked within some 10 ms.
_BYTES_PER_PART = 4_000_000


@dataclass(frozen=True)
class VoxelData:
    """Where the voxels of an image are, and what they are.

    Attributes
    ----------
    files : tuple[Path, ...]
        The files that hold them, one after the other.
    kind : np.dtype
        numpy type with byte order.
    size : tuple[int, ...]
        Voxels along I, J, K (and further axes).
    offset : int
        Bytes of each file before its packed or plain stream; -1: the voxels end the file.
    skip : int
        Bytes of the (unpacked) stream before the voxels.
    packing : str
        "", "gzip" (or zlib), "bzip2", "text" (numbers) or "hex".
    components : int
        Values per voxel.
    """

    files: tuple[Path, ...]
    kind: np.dtype
    size: tuple[int, ...]
    offset: int = 0
    skip: int = 0
    packing: str = ""
    components: int = 1

    @property
    def promised(self) -> int:
        """Bytes of all values."""
        return math.prod(self.size) * self.components * self.kind.itemsize


def read_voxels(data: VoxelData, name: str) -> tuple[np.ndarray, list[str]]:
    """Return the voxels in this machine's byte order, and warnings.

    The array's axes are K, J, I and, where a voxel has several values, these.

    Parameters
    ----------
    data : VoxelData
        Of a 3D image; further axes have one place each.
    name : str
        The image's, for sentences.

    Raises
    ------
    BadInput
        Larger than any CT, incomplete, or damaged.
    """
    if math.prod(data.size) * data.components > MOST_VOXELS:
        size = " x ".join(map(str, data.size[:3]))
        raise BadInput(
            f"{name} is larger than any CT: its header says {size} voxels.",
            "Crop or downsample it, or export it again.",
        )
    if len(data.files) > 1 and data.size[2] % len(data.files):
        raise BadInput(f"{name} names {len(data.files)} files for {data.size[2]} slices.", "Export it as one file.")
    held = sum(file.stat().st_size for file in data.files)
    if data.packing and data.promised > max(_HARMLESS_BYTES, _LARGEST_RATIO * held):
        raise BadInput(
            f"{name} has {held / 1e6:.1f} MB and would unpack to {data.promised / 1e9:.1f} GB: that is no CT.",
            "Export it again.",
        )
    more, count = False, math.prod(data.size) * data.components
    try:
        if data.packing in ("text", "hex"):
            voxels = _written_out(data, name, count)
        else:
            voxels = np.empty(count, data.kind)
            parts = np.array_split(voxels, len(data.files))
            for part, file in zip(parts, data.files, strict=True):
                more |= done_at_once(fill_in_parts(part, file, data, name))
        shape = (*data.size[:3][::-1], *([data.components] if data.components > 1 else []))
        voxels = voxels.astype(data.kind.newbyteorder("="), copy=False).reshape(shape)
    except MemoryError:
        raise BadInput(
            f"{name} does not fit into memory ({data.promised / 1e9:.1f} GB).", "Crop or downsample it first."
        ) from None
    return voxels, [
        f"{name} holds more than the voxels that its header tells of; the rest was left out."
    ] if more else []


def rescaled(voxels: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return slope * voxels + intercept; whole numbers stay whole, in the narrowest type that holds them."""
    if slope == 1 and intercept == 0:
        return voxels
    if voxels.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        ends = [int(end) * int(slope) + int(intercept) for end in (voxels.min(), voxels.max())]
        for kind in (np.int16, np.int32, np.int64):
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return np.asarray((voxels.astype(np.int64) * int(slope) + int(intercept)).astype(kind))
    is_narrow = voxels.dtype.itemsize <= 2 or voxels.dtype == np.float32
    return np.asarray((voxels * np.float64(slope) + intercept).astype(np.float32 if is_narrow else np.float64))


def require_regular_file(path: Path) -> None:
    """Raise BadInput for what is no regular file: reading a pipe or a device may never end."""
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        raise BadInput(f"{printable_name(path)} cannot be read ({error.strerror}).") from None
    if not is_regular:
        raise BadInput(
            f"{printable_name(path)} is no regular file, but a folder, pipe or device.", "Give an image file."
        )


def beside(header: Path, named: str, self_contained: bool) -> Path:
    """Return the file that a header names for its voxels: only a plain name in the same folder is followed.

    Parameters
    ----------
    self_contained : bool
        Whether the voxels must be in the header's own file (an upload).

    Raises
    ------
    BadInput
        A path, a file elsewhere (also through a link), no regular file, or any other file at all.
    """
    name = printable_name(header)
    shown = "".join(letter for letter in named if letter.isprintable())[:80]
    if self_contained:
        raise BadInput(
            f'{name} holds no voxels of its own: it refers to another file, "{shown}".', "Give a file that holds them."
        )
    path = header.parent / named
    if named in ("", ".", "..") or any(sign in named for sign in "/\\:\0"):
        raise BadInput(
            f'{name} refers to the file "{shown}" for its voxels: only a plain name in the same folder is followed.',
            "Put both files into one folder, and write the plain name into the header.",
        )
    if not path.exists():
        raise BadInput(f'{name} refers to the file "{shown}" for its voxels, and that is missing.', "Put it beside it.")
    require_regular_file(path)
    if path.resolve().parent not in (header.resolve().parent, header.parent.resolve()):
        raise BadInput(
            f'{name} refers to the file "{shown}", a link to another folder.', "Put both files into one folder."
        )
    return path


def fill_in_parts(voxels: np.ndarray, path: Path, data: VoxelData, name: str) -> Generator[None, None, bool]:
    """Fill an array from one of the files, in parts; yield after each, and return whether the file holds more.

    Parameters
    ----------
    voxels : np.ndarray
        Contiguous, of the data's kind.
    path : Path
        Of `data.files`, and neither text nor hex.
    data : VoxelData
        What the header says.
    name : str
        The image's, for sentences.

    Raises
    ------
    BadInput
        Incomplete, or damaged.
    """
    target = memoryview(voxels.data).cast("B")
    start = data.offset
    size = path.stat().st_size
    if start < 0:
        start = max(0, size - len(target))
    filled, to_skip, part_end = 0, data.skip, _BYTES_PER_PART
    try:
        with open(path, "rb") as file:
            file.seek(start)
            for chunk in _chunks(file, data.packing):
                if to_skip:
                    skipped = min(to_skip, len(chunk))
                    chunk, to_skip = chunk[skipped:], to_skip - skipped
                if filled == len(target) and chunk:
                    return True
                taken = min(len(chunk), len(target) - filled)
                target[filled : filled + taken] = chunk[:taken]
                filled += taken
                if taken < len(chunk):
                    return True
                if filled >= part_end:
                    part_end += _BYTES_PER_PART
                    yield
    except (zlib.error, OSError, ValueError) as error:
        reason = str(error).split(":")[-1].strip() or type(error).__name__
        raise BadInput(
            f"{name} is damaged: its packed voxels cannot be unpacked ({reason}).", "Copy or export it again."
        ) from None
    if filled < len(target):
        raise BadInput(
            f"{name} is incomplete: it holds {_share(filled, len(target))} of its voxels "
            f"({filled} of {len(target)} bytes).",
            "Copy or export it again.",
        )
    return False


def _share(filled: int, promised: int) -> str:
    return f"{100 * filled / promised:.0f} %" if filled else "nothing"


def _chunks(file: BinaryIO, packing: str) -> Iterator[bytes]:
    """Yield what a stream holds, unpacked, in pieces of bounded length; ends early where the stream does."""
    if not packing:
        while chunk := file.read(_CHUNK * 16):
            yield chunk
        return
    left = b""
    while left or (left := file.read(_CHUNK)):
        gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        bzip2 = bz2.BZ2Decompressor()
        unpacker = gzip if packing == "gzip" else bzip2
        first = True
        while not unpacker.eof:
            chunk = unpacker.decompress(left, _CHUNK * 64)
            left = gzip.unconsumed_tail if unpacker is gzip else b""
            yield chunk
            if not chunk and not left and (unpacker is gzip or bzip2.eof or bzip2.needs_input):
                left = file.read(_CHUNK)
                if not left and not unpacker.eof:
                    return
            first = False
        left = unpacker.unused_data
        if not first and left and not left.strip(b"\0"):
            left = b""  # padding after the stream


def _written_out(data: VoxelData, name: str, count: int) -> np.ndarray:
    """Read voxels that are written as numbers, or as two hexadecimal digits for each byte."""
    with open(data.files[0], "rb") as file:
        file.seek(data.offset)
        content = file.read()
    try:
        if data.packing == "hex":
            held = bytes.fromhex(content.decode("ascii"))
            voxels = np.frombuffer(held[: data.promised], data.kind)
        else:
            voxels = np.array(content.replace(b",", b" ").split()[:count], dtype=np.float64)
    except ValueError:
        raise BadInput(f"{name} is damaged: its voxels are no numbers.", "Export it again.") from None
    if len(voxels) < count:
        raise BadInput(f"{name} is incomplete: it holds {len(voxels)} of {count} voxels.", "Copy or export it again.")
    return voxels.astype(data.kind) if data.packing == "text" else voxels
