"""A NRRD written straight from an array: a large CT goes to the background process without a copy in memory.

It can be written slab by slab, for an application whose event loop may not stand still meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..whole_file import whole_file
from .geometry import Geometry

# A few milliseconds' work: 16 MB.
_BYTES_AT_ONCE = 16_000_000


def write_raw_nrrd(
    voxels: np.ndarray, grid: Geometry, path: str | os.PathLike[str], meta_data: Mapping[str, str] | None = None
) -> None:
    """Write a 3D array (KJI) of numbers, not compressed, whole or not at all.

    Format: https://teem.sourceforge.net/nrrd/format.html, version 4 of the header.

    Parameters
    ----------
    voxels : np.ndarray
        3D, KJI.
    grid : Geometry
        Where they lie (LPS, mm).
    path : str | os.PathLike[str]
        The file to write.
    meta_data : Mapping[str, str] | None
        Further keys and values of the header.

    Raises
    ------
    InternalError
        The file cannot be written.
    """
    for _slab in raw_nrrd_slabs(voxels, grid, path, meta_data):
        pass


def raw_nrrd_slabs(
    voxels: np.ndarray, grid: Geometry, path: str | os.PathLike[str], meta_data: Mapping[str, str] | None = None
) -> Iterator[float]:
    """Do as `write_raw_nrrd`, and yield the fraction that is written after each slab of some slices.

    The file is there when the iterator has ended; of one that is closed earlier nothing is left.

    Parameters
    ----------
    voxels : np.ndarray
        As in `write_raw_nrrd`.
    grid : Geometry
        As in `write_raw_nrrd`.
    path : str | os.PathLike[str]
        As in `write_raw_nrrd`.
    meta_data : Mapping[str, str] | None
        As in `write_raw_nrrd`.
    """
    kind = {"i": "int", "u": "uint", "f": "float"}[voxels.dtype.kind] + str(8 * voxels.dtype.itemsize)
    kind = {"float32": "float", "float64": "double"}.get(kind, kind)
    steps = grid.index_to_physical.T
    header = [
        "NRRD0004",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in voxels.shape[::-1]),
        "space directions: " + " ".join(_vector(step) for step in steps),
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: raw",
        f"space origin: {_vector(grid.origin)}",
        *(f"{key}:={value}" for key, value in (meta_data or {}).items()),
    ]
    with whole_file(path) as beside, open(beside, "wb") as file:
        file.write(("\n".join(header) + "\n\n").encode("utf-8"))
        slices = max(1, _BYTES_AT_ONCE // max(1, voxels[:1].nbytes))
        for first in range(0, len(voxels), slices):
            file.write(memoryview(np.ascontiguousarray(voxels[first : first + slices]).data).cast("B"))
            yield min(1.0, (first + slices) / len(voxels))


def _vector(values: Iterable[float]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"
