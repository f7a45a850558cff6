"""DICOM files as bytes: which file is one, its header, its stored pixel values.

Native pixels are taken from the file as they stand. Every compressed transfer syntax is decoded by GDCM, which
SimpleITK (and with it 3D Slicer) holds, but never from the file itself: each frame is put into a file of its own that
says nothing of rescaling or of MONOCHROME1, so that nothing can be applied to its values twice or unasked.
Source: DICOM PS3.5, sections 8 and A.4 (encoding of pixel data), A.5 (deflated transfer syntax).
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..temporary_folder import prefix_of

# Imported where a DICOM file is read: it costs a fifth of a second, in every process, whatever the CT is.
if TYPE_CHECKING:
    import pydicom

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
EXPLICIT = "1.2.840.10008.1.2.1"
NATIVE = ("1.2.840.10008.1.2", EXPLICIT, BIG_ENDIAN, DEFLATED)
_PLAIN_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture: a picture and nothing else
_HEADER_BYTES = 2**24
_MOST_PIXELS = 2**26
# Deflated files that unpack to more, and to so many times their length, hold next to nothing but one value.
_HARMLESS_BYTES, _LARGEST_RATIO = 2**28, 400


def is_dicom_file(path: Path) -> bool:
    """Tell from its first bytes whether a regular file is DICOM (with or without the 128 byte preamble)."""
    return _is_dicom(_start(path))


def open_header(path: Path, tags: Sequence[str], most: int = _HEADER_BYTES) -> pydicom.Dataset | None:
    """Return these tags of a file; None where it is no DICOM file. Raises whatever pydicom raises on a damaged one.

    `most` : of a deflated file no more bytes than these are unpacked.
    """
    start = _start(path)
    if not _is_dicom(start):
        return None
    import pydicom

    with _source(path, start, most) as file:
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(tags), force=True)


def stored_frames(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield frames of a file as they are stored, (rows, columns), integers, before any rescaling.

    Frames of one bit a pixel (a binary DICOM SEG) come as 0 and 1.

    Parameters
    ----------
    wanted : Sequence[int]
        Their numbers, from 0, ascending.

    Raises
    ------
    ValueError
        With the reason why the pixels cannot be read, as a part of a sentence.
    """
    try:
        yield from _frames(path, wanted)
    except ValueError:
        raise
    except Exception as error:  # pydicom raises anything on damaged files
        raise ValueError(f"it is damaged ({type(error).__name__})") from error


def _start(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            return b""
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _is_dicom(start: bytes) -> bool:
    # Without preamble, a data set begins with an element of group 0002 or 0008, a low element number.
    return start[128:132] == b"DICM" or (
        start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) >= 132
    )


def _source(path: Path, start: bytes, most: int) -> io.IOBase:
    """Open a file; a deflated one as if it were not, and never more than `most` bytes of it."""
    if DEFLATED.encode() not in start:
        return open(path, "rb")
    end = _end_of_meta(start)
    with open(path, "rb") as file:
        file.seek(end)
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), most)
    plain = EXPLICIT.encode().ljust(len(DEFLATED), b"\0")
    return io.BytesIO(start[:end].replace(DEFLATED.encode(), plain) + unpacked)


def _end_of_meta(start: bytes) -> int:
    """Where group 2 ends: its first element, (0002,0000) UL, holds the length of what follows it."""
    if start[132:138] != b"\x02\x00\x00\x00UL":
        raise ValueError("it is deflated, and its file meta information has no length")
    return 144 + int.from_bytes(start[140:144], "little")


def _frames(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    import pydicom

    start = _start(path)
    most = _promised_bytes(path) + _HEADER_BYTES if DEFLATED.encode() in start else 0
    with _source(path, start, most) as file:
        dataset = pydicom.dcmread(file, force=True)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise ValueError("it is a colour image")
    if not 0 < rows * columns <= _MOST_PIXELS:
        raise ValueError(f"it has {rows} x {columns} pixels")
    if "PixelData" not in dataset:
        raise ValueError("it is incomplete: it holds no pixels")
    syntax = str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID") or "")
    if syntax in NATIVE or not syntax:
        yield from _native(dataset, rows, columns, wanted, ">" if syntax == BIG_ENDIAN else "<")
    else:
        yield from _compressed(dataset, rows, columns, wanted, syntax)


def _promised_bytes(path: Path) -> int:
    header = open_header(path, ["Rows", "Columns", "NumberOfFrames", "BitsAllocated"])
    if header is None:
        raise ValueError("it is no DICOM file")
    size = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
    promised = -(-size * int(header.BitsAllocated) // 8)
    if promised > max(_HARMLESS_BYTES, _LARGEST_RATIO * path.stat().st_size):
        raise ValueError(f"it would unpack to {promised / 1e9:.1f} GB, which is no CT")
    return promised


def _native(
    dataset: pydicom.Dataset, rows: int, columns: int, wanted: Sequence[int], order: str
) -> Iterator[np.ndarray]:
    allocated = int(dataset.BitsAllocated)
    if allocated == 1:
        yield from _single_bits(dataset.PixelData, rows, columns, wanted)
        return
    if allocated not in (8, 16, 32):
        raise ValueError(f"its pixels have {allocated} bits")
    held = len(dataset.PixelData)
    pixels = np.frombuffer(dataset.PixelData, f"{order}u{allocated // 8}", held * 8 // allocated)
    size = rows * columns
    for frame in wanted:
        if len(pixels) < (frame + 1) * size:
            promised = (wanted[-1] + 1) * size * allocated // 8
            raise ValueError(f"it is incomplete: it holds {held} of {promised} bytes of pixels")
        yield _numbers(pixels[frame * size : (frame + 1) * size].reshape(rows, columns), dataset)


def _single_bits(packed: bytes, rows: int, columns: int, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield frames of one bit a pixel, the lowest bit first; a frame may begin within a byte (PS3.5, 8.1.1)."""
    size = rows * columns
    for frame in wanted:
        first, last = frame * size, (frame + 1) * size
        if len(packed) * 8 < last:
            raise ValueError(f"it is incomplete: it holds {len(packed)} of {-(-(wanted[-1] + 1) * size // 8)} bytes")
        held = np.frombuffer(packed, np.uint8, -(-last // 8) - first // 8, first // 8)
        yield np.unpackbits(held, bitorder="little")[first % 8 :][:size].reshape(rows, columns)


def _numbers(pixels: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Return the values of unsigned cells: BitsStored bits below HighBit, with sign where they have one."""
    allocated = pixels.dtype.itemsize * 8
    stored = int(dataset.get("BitsStored") or allocated)
    unused = allocated - 1 - int(dataset.get("HighBit") or stored - 1)
    if not (0 < stored <= allocated and 0 <= unused <= allocated - stored):
        raise ValueError(f"BitsStored is {stored}, HighBit {dataset.get('HighBit')}")
    kind = "i" if int(dataset.get("PixelRepresentation") or 0) else "u"
    native = pixels.astype(pixels.dtype.newbyteorder("="))
    # Up to the sign bit and back: what lies above or below the stored bits (overlays) falls out, the sign is kept.
    lifted = (native << np.array(unused, native.dtype)).view(f"{kind}{allocated // 8}")
    return np.asarray(lifted >> np.array(allocated - stored, lifted.dtype))


def _compressed(
    dataset: pydicom.Dataset, rows: int, columns: int, wanted: Sequence[int], syntax: str
) -> Iterator[np.ndarray]:
    count = int(dataset.get("NumberOfFrames") or 1)
    held = 0
    with tempfile.TemporaryDirectory(prefix=prefix_of("frame")) as folder:
        for number, encoded in enumerate(_encoded_frames(dataset.PixelData, count)):
            held += 1
            if number in wanted:
                yield _decoded(encoded, dataset, rows, columns, syntax, Path(folder) / "frame.dcm")
            if number == wanted[-1]:
                return
    raise ValueError(f"it is incomplete: it holds {held} of {count} frames")


def _encoded_frames(pixel_data: bytes, count: int) -> Iterator[bytes]:
    from pydicom import encaps

    if hasattr(encaps, "generate_frames"):  # pydicom 3
        return encaps.generate_frames(pixel_data, number_of_frames=count)
    frames: Iterator[bytes] = encaps.generate_pixel_data_frame(pixel_data, count)
    return frames


def _decoded(encoded: bytes, dataset: pydicom.Dataset, rows: int, columns: int, syntax: str, path: Path) -> np.ndarray:
    import pydicom
    from pydicom import encaps

    plain = pydicom.Dataset()
    plain.SOPClassUID, plain.SOPInstanceUID = _PLAIN_CLASS, "2.25.1"
    plain.Modality = "OT"
    plain.SamplesPerPixel, plain.PhotometricInterpretation = 1, "MONOCHROME2"
    plain.Rows, plain.Columns = rows, columns
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(plain, keyword, int(dataset[keyword].value))
    plain.PixelData = encaps.encapsulate([encoded])
    plain["PixelData"].VR = "OB"
    plain["PixelData"].is_undefined_length = True
    plain.file_meta = pydicom.dataset.FileMetaDataset()
    plain.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(_PLAIN_CLASS)
    plain.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("2.25.1")
    plain.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    plain.file_meta.ImplementationClassUID = pydicom.uid.UID("2.25.2")
    # pydicom 3 and 2 name it differently.
    file_format = {"enforce_file_format": True} if hasattr(pydicom, "examples") else {"write_like_original": False}
    pydicom.dcmwrite(path, plain, **file_format)
    values = _by_gdcm(path)
    if values is None:
        values = _by_pydicom(plain, syntax)
    if values.size != rows * columns:
        raise ValueError(f"its pixels are {values.shape[-1]} x {values.shape[-2]}, not {columns} x {rows}")
    return values.reshape(rows, columns)


def _by_gdcm(path: Path) -> np.ndarray | None:
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    except RuntimeError:
        return None
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _by_pydicom(plain: pydicom.Dataset, syntax: str) -> np.ndarray:
    """Decode what GDCM does not know (High-Throughput JPEG 2000), where a plugin of pydicom is installed for it."""
    try:
        return plain.pixel_array
    except Exception as error:  # depends on the plugin
        from pydicom.uid import UID

        name = UID(syntax).name
        raise ValueError(f"its pixels are damaged, or compressed in a way that cannot be read here ({name})") from error
