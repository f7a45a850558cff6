"""Measuring in a process of its own: what it gets lies in a folder, what it found comes back as JSON.

    write_masks(masks, ct, folder)
    python -m AttentionUNetSegLib.measure FOLDER

For a caller whose event loop may not stand still: Slicer's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import Geometry, image_on_grid
from .measure import Masks

_FILE, _HU_FILE = "masks.npz", "hu.npy"
# Of the CT, so many voxels are written in one part: some 10 ms.
_VOXELS_PER_PART = 4_000_000


def write_masks(masks: Masks, ct: sitk.Image, folder: str | os.PathLike[str]) -> None:
    """Write what `measure_masks` takes."""
    for _part in write_masks_in_parts(masks, sitk.GetArrayViewFromImage(ct), ct.GetOrigin(), folder):
        pass


def write_masks_in_parts(
    masks: Masks, hu: np.ndarray, origin_of_ct: tuple[float, ...], folder: str | os.PathLike[str]
) -> Iterator[None]:
    """Do as `write_masks`, and yield after each part, so that an event loop can go on; `hu` may be part of an array."""
    packed = []
    for mask in (masks.middle, *masks.others):
        packed.append(np.packbits(mask))
        yield
    np.savez(
        os.path.join(folder, _FILE),
        masks=np.stack(packed),
        shape=masks.middle.shape,
        spacing=masks.grid.spacing,
        origin=masks.grid.origin,
        origin_of_ct=origin_of_ct,
        direction=masks.grid.direction,
        threshold=np.nan if masks.threshold is None else masks.threshold,
        levels=masks.range_of_thresholds or (),
    )
    slices = max(1, _VOXELS_PER_PART // max(1, hu[0].size))
    with open(os.path.join(folder, _HU_FILE), "wb") as file:
        form = {"descr": np.lib.format.dtype_to_descr(hu.dtype), "fortran_order": False, "shape": hu.shape}
        np.lib.format.write_array_header_1_0(file, form)
        for first in range(0, len(hu), slices):
            yield
            file.write(hu[first : first + slices].tobytes())


def read_masks(folder: str | os.PathLike[str]) -> tuple[Masks, sitk.Image]:
    """Return what `write_masks` wrote; raises BadInput where there is nothing."""
    try:
        with np.load(os.path.join(folder, _FILE), allow_pickle=False) as found:
            kept = dict(found)
        kept["hu"] = np.load(os.path.join(folder, _HU_FILE), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"There is nothing to measure in {os.fspath(folder)}.") from error
    shape = tuple(int(n) for n in kept["shape"])
    unpacked = np.unpackbits(kept["masks"], axis=1, count=int(np.prod(shape))).astype(bool)
    middle, *others = unpacked.reshape(-1, *shape)
    (si, sj, sk), *origins = (map(float, kept[key]) for key in ("spacing", "origin", "origin_of_ct"))
    direction = tuple(map(float, kept["direction"]))
    grid, whole = (
        Geometry(array.shape[::-1], (si, sj, sk), (x, y, z), direction)
        for array, (x, y, z) in zip((middle, kept["hu"]), origins, strict=True)
    )
    threshold = float(kept["threshold"])
    low, high = map(float, kept["levels"]) if len(kept["levels"]) else (None, None)
    levels = None if low is None or high is None else (low, high)
    masks = Masks(middle, tuple(others), grid, None if np.isnan(threshold) else threshold, levels)
    return masks, image_on_grid(kept["hu"], whole)
