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
    walls: np.ndarray | None = None,
) -> np.ndarray:
    """Return the corrected probability (uint8, on a box of the CT) with the refinement added.

    Clicked and painted voxels stay as clicks and strokes made them, and walls as they are.

    Parameters
    ----------
    network : the network's own probability.
    seeds : the clicks and marks, on the CT's voxels.
    walls : bool, on the box; where nothing is added.
    """
    from ..correction import add_refinement

    certain = np.zeros(corrected.shape, bool) if strokes is None else strokes.on(box) != 0
    for seed in seeds:
        certain[tuple((seed.voxels - [part.start for part in box]).T)] = True
    if walls is not None:
        certain |= walls
    return add_refinement(corrected, network.on(box), refinement.probability.on(box), certain)
