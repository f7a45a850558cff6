"""Measuring in a process of its own: what it gets lies in a folder, what it found comes back as JSON.

    write_masks(masks, ct, folder)
    python -m AttentionUNetSegLib.measure FOLDER

For a caller whose event loop may not stand still: Slicer's.
"""

from __future__ import annotations

import os

import numpy as np
import SimpleITK as sitk

from ..errors import BadInput
from ..imaging import Geometry, image_on_grid
from .measure import Masks

_FILE = "masks.npz"


def write_masks(masks: Masks, ct: sitk.Image, folder: str | os.PathLike[str]) -> None:
    """Write what `measure_masks` takes."""
    np.savez(
        os.path.join(folder, _FILE),
        masks=np.stack([masks.middle, *masks.others]),
        hu=sitk.GetArrayViewFromImage(ct),
        spacing=masks.grid.spacing,
        origin=masks.grid.origin,
        origin_of_ct=ct.GetOrigin(),
        direction=masks.grid.direction,
        threshold=np.nan if masks.threshold is None else masks.threshold,
        levels=masks.range_of_thresholds or (),
    )


def read_masks(folder: str | os.PathLike[str]) -> tuple[Masks, sitk.Image]:
    """Return what `write_masks` wrote; raises BadInput where there is nothing."""
    try:
        with np.load(os.path.join(folder, _FILE), allow_pickle=False) as found:
            kept = dict(found)
    except (OSError, ValueError) as error:
        raise BadInput(f"There is nothing to measure in {os.fspath(folder)}.") from error
    middle, *others = kept["masks"]
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
