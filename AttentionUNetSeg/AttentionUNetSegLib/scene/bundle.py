"""A scene's bundle (.mrb): MRML writes what it holds, and threads compress the large volumes of it.

MRML compresses in one thread, three seconds for a large CT, in which Python stands still. Here it writes large volumes
as they are; compressing them, and putting everything into one file, needs no scene and can go on beside other work.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import slicer

from .volumes import voxels_of_node

LARGE_BYTES = 16_000_000
# Each is compressed by itself; more would save less than a thousandth of the file.
_BYTES_AT_ONCE = 4_000_000
_MOST_THREADS = 8
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # RFC 1952: deflated, without name and time, from any system
_LAST_BLOCK = b"\x03\x00"  # RFC 1951: an empty block that is the last


def write_folder(scene: slicer.vtkMRMLScene, stored: list[slicer.vtkMRMLStorableNode], folder: Path) -> list[Path]:
    """Write a scene with the files of its `stored` nodes into a new folder; return those that are to be compressed.

    The folder's name becomes that of the scene's file. The nodes' storage nodes name plain files, see `saving`.

    Raises
    ------
    OSError : MRML could not write it.
    """
    folder.mkdir()
    with _uncompressed(stored) as large:
        if not scene.SaveSceneToSlicerDataBundleDirectory(str(folder)):
            raise OSError(f"MRML could not write the scene into {folder}")
    scene_file = folder / f"{folder.name}.mrml"
    text = scene_file.read_text(encoding="utf-8", errors="surrogateescape")
    for node in large:  # whoever saves the opened scene again compresses it again
        storage = re.escape(node.GetStorageNode().GetID())
        text, changes = re.subn(rf'(<\w+\s+id="{storage}"[^>]*\suseCompression=)"0"', r'\1"1"', text)
        if changes != 1:
            raise OSError(f"the scene does not say how {node.GetName()} is stored")
    scene_file.write_text(text, encoding="utf-8", errors="surrogateescape")
    return [folder / "Data" / node.GetStorageNode().GetFileName() for node in large]


def compress_and_pack(folder: Path, to_compress: list[Path], path: Path) -> None:
    """Compress what `write_folder` left as it was, and put the folder into one .mrb file. Needs no scene.

    Raises
    ------
    OSError : a file cannot be written.
    """
    for file in to_compress:
        compress_nrrd(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            member = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}")
            member.file_size = file.stat().st_size
            with open(file, "rb") as source, bundle.open(member, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def compress_nrrd(path: Path) -> None:
    """Compress a NRRD with raw encoding in its place (gzip, the fastest level), with as many threads as processors.

    Raises
    ------
    OSError : it cannot be written, or is no such file.
    """
    beside = path.with_suffix(".compressed")
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        header, found, _ = content[:100_000].partition(b"\n\n")
        if not found or b"\nencoding: raw\n" not in header:
            raise OSError(f"{path.name} is no NRRD with raw encoding")
        with memoryview(content)[len(header) + len(found) :] as voxels, open(beside, "wb") as file:
            file.write(header.replace(b"\nencoding: raw\n", b"\nencoding: gzip\n") + found)
            for part in _gzip_parts(voxels):
                file.write(part)
    os.replace(beside, path)


def _gzip_parts(voxels: memoryview) -> Iterator[bytes]:
    """One gzip stream, piece by piece."""
    starts, checksum = range(0, len(voxels), _BYTES_AT_ONCE), 0
    yield _GZIP_HEADER
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as threads:
        deflated = threads.map(lambda start: _deflated(voxels[start : start + _BYTES_AT_ONCE]), starts)
        for start, part in zip(starts, deflated, strict=True):
            checksum = zlib.crc32(voxels[start : start + _BYTES_AT_ONCE], checksum)
            yield part
    yield _LAST_BLOCK + checksum.to_bytes(4, "little") + (len(voxels) % 2**32).to_bytes(4, "little")


def _deflated(part: memoryview) -> bytes:
    """Deflate a part on its own, to a whole number of bytes: such parts may follow each other (RFC 1951, 3.2.4)."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(part) + deflate.flush(zlib.Z_SYNC_FLUSH)


@contextmanager
def _uncompressed(stored: list[slicer.vtkMRMLStorableNode]) -> Iterator[list[slicer.vtkMRMLStorableNode]]:
    """Yield those nodes that are large volumes; MRML writes them as they are meanwhile."""
    large = [node for node in stored if _is_large(node)]
    for node in large:
        node.GetStorageNode().UseCompressionOff()
    try:
        yield large
    finally:
        for node in large:
            node.GetStorageNode().UseCompressionOn()


def _is_large(node: slicer.vtkMRMLStorableNode) -> bool:
    storage = node.GetStorageNode()
    return bool(
        node.IsA("vtkMRMLScalarVolumeNode")
        and storage.IsA("vtkMRMLVolumeArchetypeStorageNode")
        and storage.GetUseCompression()
        and storage.GetFileName().endswith(".nrrd")
        and node.GetImageData().GetNumberOfScalarComponents() == 1
        and voxels_of_node(node).nbytes >= LARGE_BYTES
    )
