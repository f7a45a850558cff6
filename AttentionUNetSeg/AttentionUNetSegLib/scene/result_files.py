"""The files of a job folder, read in parts as what volume nodes will hold: checked against the CT, cut to a region."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

from ..contracts import PROBABILITY_FILE
from ..errors import BadInput, InternalError
from ..imaging.nrrd import nrrd_image
from ..imaging.voxel_data import fill_in_parts
from .geometry import ras_of_geometry, voxel_offset
from .volumes import Voxels, voxels_of_array


@dataclass(frozen=True)
class ResultVoxels:
    """The voxels of a result.

    start : index (k, j, i) of the probability's first voxel on the CT's grid.
    attention : finest gate first.
    """

    start: tuple[int, int, int]
    probability: Voxels
    attention: list[Voxels]
    spread: Voxels | None


def read_in_parts(
    folder: Path,
    files: Mapping[str, Any] | None,
    name: str,
    ct_grid: np.ndarray,
    box: list[tuple[int, int]] | None,
) -> Generator[None, None, ResultVoxels]:
    """Read the files; yield after each part of some milliseconds.

    Parameters
    ----------
    files : {probability, attention[], spread}; None: those that are there, without a spread.
    name : of the CT, for people.
    ct_grid : IJK to RAS (4x4) of the CT.
    box : voxels of the CT outside of which nothing of probability and spread is taken over.

    Raises
    ------
    InternalError : a file is missing, unreadable or does not lie on the CT's voxels.
    """
    if files is None:
        gates = sorted(folder.glob("attention_*.nrrd"), key=lambda path: int(path.stem.split("_")[-1]))
        files = {"probability": PROBABILITY_FILE, "attention": [path.name for path in gates]}
    probability = yield from _read_file(folder / files["probability"])
    whole, grid = probability.shape, probability.ijk_to_ras
    offset = voxel_offset(grid, ct_grid)
    if offset is None:
        raise InternalError(f"The probability in {folder} does not lie on the voxels of {name}.")
    attention = []
    for each in files.get("attention", []):
        attention.append((yield from _read_file(folder / each)))
    spread = None
    if files.get("spread"):
        spread = yield from _read_file(folder / files["spread"])
        if spread.shape != whole or voxel_offset(spread.ijk_to_ras, grid) != (0, 0, 0):
            raise InternalError(f"The spread in {folder} does not lie on the voxels of its probability.")
    if box is not None:
        probability = _cut(probability, offset, box)
        spread = None if spread is None else _cut(spread, offset, box)
        yield
    i, j, k = voxel_offset(probability.ijk_to_ras, ct_grid) or offset
    return ResultVoxels((k, j, i), probability, attention, spread)


def _cut(field: Voxels, offset: tuple[int, int, int], box: list[tuple[int, int]]) -> Voxels:
    """Return the part of the field within the box; one voxel of 0 where they have nothing in common."""
    size = field.shape[::-1]
    first = [max(low - start, 0) for (low, _), start in zip(box, offset, strict=True)]
    end = [min(high - start, n) for (_, high), start, n in zip(box, offset, size, strict=True)]
    if any(a >= b for a, b in zip(first, end, strict=True)):
        return voxels_of_array(np.zeros((1, 1, 1), np.uint8), field.ijk_to_ras)
    k, j, i = (slice(a, b) for a, b in zip(first[::-1], end[::-1], strict=True))
    place = field.ijk_to_ras.copy()
    place[:3, 3] += place[:3, :3] @ np.array(first, dtype=float)
    return voxels_of_array(field.values[k, j, i], place)


def _read_file(path: Path) -> Generator[None, None, Voxels]:
    scalars = vtkUnsignedCharArray()
    try:
        header = nrrd_image(path, self_contained=True)
        data = header.data
        if data.kind != np.uint8 or len(data.size) != 3 or data.components != 1:
            raise InternalError(f"The result file {path} does not hold a volume of values 0 to 255.")
        scalars.SetNumberOfTuples(int(np.prod(data.size)))
        yield from fill_in_parts(vtk_to_numpy(scalars), path, data, path.name)
    except (BadInput, OSError) as error:
        raise InternalError(f"The result file {path} is missing or damaged.", "Segment the CT again.") from error
    yield
    return Voxels(scalars, data.size[::-1], ras_of_geometry(header.grid))
