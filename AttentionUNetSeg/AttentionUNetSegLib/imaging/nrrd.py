"""NRRD headers: where the voxels are, what they are, where they lie.

Source: "Definition of NRRD File Format", http://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .geometry import Geometry, grid_of_steps
from .image_header import ImageHeader, unsaid_geometry
from .plain_name import printable_name
from .voxel_data import VoxelData, beside

MAGIC = b"NRRD000"
_LONGEST_HEADER = 2**24
_KINDS = {
    "i1": "signed char,int8,int8_t", "u1": "uchar,unsigned char,uint8,uint8_t",
    "i2": "short,short int,signed short,signed short int,int16,int16_t",
    "u2": "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    "i4": "int,signed int,int32,int32_t", "u4": "uint,unsigned int,uint32,uint32_t",
    "i8": "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t",
    "u8": "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t", "f4": "float", "f8": "double",
}  # fmt: skip
_TYPES = {name: kind for kind, names in _KINDS.items() for name in names.split(",")}
_PACKINGS = {
    "raw": "", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2",
    "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
}  # fmt: skip
# The signs that turn a space's axes to left, posterior, superior.
_SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
UNITS_IN_MM = {
    "": 1.0, "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "millimetres": 1.0,
    "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0, "m": 1000.0, "meter": 1000.0, "meters": 1000.0,
    "metre": 1000.0, "um": 0.001, "µm": 0.001, "μm": 0.001, "micron": 0.001, "microns": 0.001, "micrometer": 0.001,
    "micrometers": 0.001,
    "nm": 1e-6, "in": 25.4, "inch": 25.4,
}  # fmt: skip


def nrrd_image(path: Path, self_contained: bool) -> ImageHeader:
    """Return what an NRRD file (or the header of a detached one) holds.

    Raises
    ------
    BadInput
        A field that is missing or makes no sense, or voxels in a file that is missing or not allowed.
    """
    name = printable_name(path)
    fields, pairs, named, end = _read_fields(path, name)
    try:
        size = tuple(int(n) for n in fields["sizes"].split())
        kind = _TYPES[" ".join(fields["type"].lower().split())]
        packing = _PACKINGS[fields.get("encoding", "raw").lower()]
        line_skip, byte_skip = (
            int(fields.get(each, fields.get(each.replace(" ", ""), "0"))) for each in ("line skip", "byte skip")
        )
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{name} cannot be read: sizes, type or encoding are missing in its header, or are none that NRRD knows "
            f"({str(error)[:60]}).",
            "Export it again.",
        ) from None
    if fields.get("dimension", str(len(size))) != str(len(size)) or any(n < 1 for n in size):
        raise BadInput(
            f"{name} is damaged: its header says {fields.get('dimension', 'nothing')[:20]} for its dimension and "
            f"{fields['sizes'][:60]} for its sizes.",
            "Export it again.",
        )
    if line_skip:
        raise BadInput(f"{name} has lines to skip before its voxels, which is not read here.", "Export it again.")
    files = tuple(beside(path, each, self_contained) for each in named) or (path,)
    spatial, grid, warnings = _grid(fields, size, name)
    others = [n for axis, n in enumerate(size) if axis not in spatial and n > 1]
    first_other = bool(others) and 0 not in spatial
    data = VoxelData(
        files=files,
        kind=np.dtype((">" if fields.get("endian", "little").lower() == "big" else "<") + kind),
        size=tuple(size[axis] for axis in spatial) + tuple(n for n in others if not first_other),
        offset=-1 if byte_skip == -1 and not packing else (0 if named else end) + (0 if packing else max(0, byte_skip)),
        skip=max(0, byte_skip) if packing else 0,
        packing=packing,
        components=int(np.prod(others)) if first_other else 1,
    )
    return ImageHeader(data, grid, fields=pairs, warnings=tuple(warnings))


def _read_fields(path: Path, name: str) -> tuple[dict[str, str], dict[str, str], list[str], int]:
    """Return fields, key/value pairs, the names of data files, and where the header ends."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    named: list[str] = []
    with open(path, "rb") as file:
        file.readline(64)
        while line := file.readline(2**20):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if named and named[0] == "LIST":
                named.append(text.strip())
                continue
            if not text:
                break
            if file.tell() > _LONGEST_HEADER:
                raise BadInput(f"{name} is damaged: its header does not end.", "Export it again.")
            if text.startswith("#"):
                continue
            if ":=" in text and (": " not in text or text.index(":=") < text.index(": ")):
                key, _, value = text.partition(":=")
                pairs[key] = value
                continue
            key, colon, value = text.partition(":")
            if colon:
                fields[key.strip().lower()] = value.strip()
            if key.strip().lower() in ("data file", "datafile"):
                named = _data_files(value.strip(), name)
        return fields, pairs, [each for each in named if each and each != "LIST"], file.tell()


def _data_files(value: str, name: str) -> list[str]:
    """Return the names of the data files: one, a numbered pattern, or "LIST" where they follow line by line."""
    words = value.split()
    if words and words[0] == "LIST":
        return ["LIST"]
    if len(words) in (4, 5) and "%" in words[0] and re.fullmatch(r"[^%]*%0?\d{0,2}d[^%]*", words[0]):
        try:
            first, last, step = (int(word) for word in words[1:4])
            numbers = range(first, last + (1 if step > 0 else -1), step)
        except ValueError:
            raise BadInput(f"{name} is damaged: its data files are not understood.", "Export it again.") from None
        if len(numbers) > 10_000:
            raise BadInput(f"{name} names {len(numbers)} data files.", "Export it as one file.")
        return [words[0] % number for number in numbers]
    return [value]


def _grid(fields: dict[str, str], size: tuple[int, ...], name: str) -> tuple[list[int], Geometry, list[str]]:
    """Return which axes are spatial, the grid of the first three of them, and warnings."""
    given = fields.get("space directions")
    vectors = [_vector(each) for each in re.findall(r"none|\([^)]*\)", given)] if given else []
    if vectors and len(vectors) != len(size):
        raise BadInput(f"{name} is damaged: its space directions do not fit its sizes.", "Export it again.")
    kinds = fields.get("kinds", "").lower().split()
    spatial = [axis for axis in range(len(size)) if not vectors or vectors[axis] is not None]
    if not vectors and len(kinds) == len(size):
        spatial = [axis for axis in spatial if kinds[axis] in ("domain", "space", "???", "none")] or spatial
    while len(spatial) > 3 and size[spatial[-1]] == 1:
        spatial.pop()
    if len(spatial) != 3:
        return spatial, Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0), tuple(np.eye(3).ravel())), []
    space = fields.get("space", "").lower().removesuffix("-time").removesuffix("t")
    signs = np.array(_SPACES.get(space, (1, 1, 1)), dtype=float)
    warnings = unsaid_geometry(name, space in _SPACES, bool(vectors) or "spacings" in fields)
    steps, origin = _steps(fields, vectors, spatial, size, name)
    units = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))[:3]
    try:
        to_mm = np.array([UNITS_IN_MM[unit.strip().lower()] for unit in units] or [1.0] * 3)
    except KeyError as error:
        raise BadInput(f"{name} gives its geometry in a unit that is no length: {error}.", "Export it in mm.") from None
    to_mm = np.resize(to_mm, 3)
    scale = (signs * to_mm)[:, None]
    grid, doubts = grid_of_steps(steps * scale, origin * signs * to_mm, tuple(size[axis] for axis in spatial), name)
    return spatial, grid, warnings + doubts


def _steps(
    fields: dict[str, str], vectors: list[Any], spatial: list[int], size: tuple[int, ...], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps along the axes (columns) and the first voxel's place, in the units of the file."""
    try:
        if vectors:
            steps = np.array([vectors[axis][:3] for axis in spatial], dtype=float).T
            origin = _numbers(fields.get("space origin", "(0,0,0)"))[:3]
        else:
            spacings = [float(each) for each in fields.get("spacings", "").split()]
            if spacings and len(spacings) != len(size):
                raise ValueError("spacings")
            chosen = np.array([spacings[axis] for axis in spatial] if spacings else [1.0] * 3)
            if np.any(chosen < 0):
                raise BadInput(
                    f"{name} has a negative spacing: whether its axis is mirrored cannot be known.", "Export it again."
                )
            steps = np.diag(chosen)
            origin = _numbers(fields.get("space origin", "(0,0,0)"))[:3]
        if steps.shape != (3, 3) or len(origin) != 3:
            raise ValueError("space directions")
    except (ValueError, TypeError):
        raise BadInput(f"{name} is damaged: its geometry is not understood.", "Export it again.") from None
    return steps, np.array(origin, dtype=float)


def _vector(text: str) -> list[float] | None:
    return None if text == "none" else _numbers(text)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.strip("() ").split(",")]
