"""Where a refinement by the network counts, and how it joins what clicks and strokes do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..correction import Seed
    from ..scene import CroppedField, PlacedClick, StoredRefinement

Box = tuple[slice, slice, slice]


def fitting(
    refinement: StoredRefinement | None, clicks: Sequence[PlacedClick], reach_mm: float
) -> StoredRefinement | None:
    """Return the refinement where it counts for these clicks: all that it was made for are among them."""
    return refinement if refinement is not None and refinement.fits(clicks, reach_mm) else None


def with_refinement(
    corrected: np.ndarray,
    network: CroppedField,
    refinement: StoredRefinement,
    box: Box,
    seeds: Iterable[Seed],
    strokes: CroppedField | None,
) -> np.ndarray:
    """Return the corrected probability (uint8, on a box of the CT) with the refinement added.

    Clicked and painted voxels stay as clicks and strokes made them.

    Parameters
    ----------
    network : the network's own probability.
    seeds : the clicks, on the CT's voxels.
    """
    from ..correction import add_refinement

    certain = np.zeros(corrected.shape, bool) if strokes is None else strokes.on(box) != 0
    for seed in seeds:
        certain[tuple(n - part.start for n, part in zip(seed.voxel, box, strict=True))] = True
    return add_refinement(corrected, network.on(box), refinement.probability.on(box), certain)
