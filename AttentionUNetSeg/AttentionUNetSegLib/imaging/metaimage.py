"""MetaImage headers (.mha, .mhd): where the voxels are, what they are, where they lie.

Source: ITK's MetaIO documentation, https://itk.org/Wiki/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .geometry import Geometry, grid_of_steps
from .image_header import ImageHeader, unsaid_geometry
from .nrrd import UNITS_IN_MM
from .plain_name import printable_name
from .voxel_data import VoxelData, beside

_KINDS = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_LONGEST_HEADER = 2**20
_KNOWN = {
    "ObjectType", "ObjectSubType", "NDims", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "Comment",
    "CompressedData", "CompressedDataSize", "CompressionLevel", "TransformMatrix", "Rotation", "Orientation", "Offset",
    "Position", "Origin", "CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", "ElementSize", "DimSize",
    "ElementType", "HeaderSize", "ElementNumberOfChannels", "ElementDataFile", "DistanceUnits",
}  # fmt: skip


def is_metaimage(path: Path, start: bytes) -> bool:
    """Tell from its ending or its first bytes whether a file is a MetaImage."""
    return path.name.lower().endswith((".mha", ".mhd")) or (b"NDims" in start and b"ElementType" in start)


def metaimage(path: Path, self_contained: bool) -> ImageHeader:
    """Return what a MetaImage file (or the header of a detached one) holds.

    Raises
    ------
    BadInput
        A field that is missing or makes no sense, or voxels in a file that is missing or not allowed.
    """
    name = printable_name(path)
    fields, lines, end = _read_fields(path, name)
    try:
        rank = int(fields["NDims"])
        size = tuple(int(n) for n in fields["DimSize"].split())
        kind = _KINDS[fields["ElementType"].upper().removesuffix("_ARRAY")]
        header_size = int(fields.get("HeaderSize", 0))
        channels = int(fields.get("ElementNumberOfChannels", 1))
    except (KeyError, ValueError) as error:
        if "NDims" not in fields:
            raise BadInput(
                f"{name} is no image that can be read, or it is damaged.", "Give a NIfTI, NRRD or MHA file."
            ) from None
        raise BadInput(
            f"{name} cannot be read: DimSize, ElementType or another number is missing in its header, or is none that "
            f"MetaImage knows ({str(error)[:60]}).",
            "Export it again.",
        ) from None
    if rank != len(size) or any(n < 1 for n in size):
        raise BadInput(
            f"{name} is damaged: its header says {rank} for NDims and {fields['DimSize'][:60]} for DimSize.",
            "Export it again.",
        )
    named = _data_files(fields["ElementDataFile"], lines, size, name)
    is_big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    is_text = not _is_true(fields.get("BinaryData", "True"))
    is_packed = _is_true(fields.get("CompressedData", "False"))
    files = tuple(beside(path, each, self_contained) for each in named) or (path,)
    data = VoxelData(
        files=files,
        kind=np.dtype((">" if is_big else "<") + kind),
        size=size,
        offset=-1 if header_size == -1 else (max(0, header_size) if named else end),
        packing="text" if is_text else "gzip" if is_packed else "",
        components=channels,
    )
    if rank < 3:
        return ImageHeader(data, Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0), tuple(np.eye(3).ravel())))
    grid, warnings = _grid(fields, rank, size, name)
    further = {key: value for key, value in fields.items() if key not in _KNOWN}
    if any(
        further.get(key, "1" if "Slope" in key else "0") not in ("1", "0") for key in further if "ToIntensity" in key
    ):
        raise BadInput(
            f"{name} gives another scale for its values (ElementToIntensityFunction), which programs take differently.",
            "Export it again with HU as its values.",
        )
    return ImageHeader(data, grid, fields=further, warnings=tuple(warnings))


def _read_fields(path: Path, name: str) -> tuple[dict[str, str], list[str], int]:
    """Return the fields up to ElementDataFile, the lines after it where it is a list, and where the header ends."""
    fields: dict[str, str] = {}
    with open(path, "rb") as file:
        while line := file.readline(2**16):
            text = line.decode("utf-8", "replace")
            key, equals, value = text.partition("=")
            if not equals and text.strip():
                break
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                end = file.tell()
                lines = []
                if value.split()[:1] == ["LIST"]:
                    lines = file.read(_LONGEST_HEADER).decode("utf-8", "replace").splitlines()
                return fields, lines, end
            if file.tell() > _LONGEST_HEADER:
                break
    raise BadInput(
        f"{name} is no image that can be read, or it is damaged: its header does not say where its voxels are.",
        "Copy or export it again.",
    )


def _data_files(value: str, lines: list[str], size: tuple[int, ...], name: str) -> list[str]:
    """Return the names of the data files; none where the voxels follow the header."""
    if value.upper() in ("LOCAL", "LOCAL_FILE"):
        return []
    words = value.split()
    if words[:1] == ["LIST"]:
        return [line.strip() for line in lines if line.strip()][: max(size)]
    if len(words) == 4 and re.fullmatch(r"[^%]*%0?\d{0,2}d[^%]*", words[0]):
        try:
            first, last, step = (int(word) for word in words[1:])
            return [words[0] % number for number in range(first, last + 1, step)][: max(size)]
        except ValueError:
            raise BadInput(f"{name} is damaged: its data files are not understood.", "Export it again.") from None
    return [value]


def _grid(fields: dict[str, str], rank: int, size: tuple[int, ...], name: str) -> tuple[Geometry, list[str]]:
    def numbers(keys: tuple[str, ...], count: int) -> np.ndarray | None:
        key = next((each for each in keys if each in fields), None)
        if key is None:
            return None
        try:
            values = np.array([float(part) for part in fields[key].split()])
        except ValueError:
            values = np.zeros(0)
        if len(values) != count:
            raise BadInput(f"{name} is damaged: {key} is {fields[key][:60]}.", "Export it again.")
        return values

    spacing = numbers(("ElementSpacing", "ElementSize"), rank)
    matrix = numbers(("TransformMatrix", "Rotation", "Orientation"), rank * rank)
    origin = numbers(("Offset", "Position", "Origin"), rank)
    has_spacing = spacing is not None
    unplaced = spacing is None and matrix is None and origin is None
    spacing = np.ones(rank) if spacing is None else spacing
    if np.any(spacing < 0):
        raise BadInput(
            f"{name} has a negative spacing ({fields.get('ElementSpacing', '')}): whether that axis is mirrored cannot "
            "be known.",
            "Export it again, or write the spacing without the minus where the axes run as TransformMatrix says.",
        )
    unit = fields.get("DistanceUnits", "mm").lower()
    if unit not in UNITS_IN_MM and unit != "?":
        raise BadInput(f"{name} gives its geometry in a unit that is no length: {unit}.", "Export it in mm.")
    to_mm = UNITS_IN_MM.get(unit, 1.0)
    # A row of TransformMatrix is the direction of one axis.
    axes = np.eye(rank) if matrix is None else matrix.reshape(rank, rank).T
    steps = (axes * spacing)[:3, :3] * to_mm
    place = (np.zeros(rank) if origin is None else origin)[:3] * to_mm
    grid, warnings = grid_of_steps(steps, place, size[:3], name)
    # What programs write that know of no geometry.
    unplaced |= grid.origin == (0, 0, 0) and grid.spacing == (1, 1, 1) and np.array_equal(grid.axes, np.eye(3))
    return grid, [*warnings, *unsaid_geometry(name, not unplaced, has_spacing)]


def _is_true(value: str) -> bool:
    return value.strip().lower() in ("true", "1", "yes", "t")
