"""Clicks of one kind beside each other: one claims the whole error, the others mean what it has left over.

Who comes first is decided by the tissue, not by time: the click with the most room around it. So the result does not
depend on the sequence of the clicks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .block_grid import BlockGrid, Triple
from .influence import Influence, reach_beside
from .seeds import Seed

# A click has claimed what lies within so many of its own reaches: there it outweighs a certain network by far.
CLAIMED = 1.6
VOXELS_LOOKED_AT = 8


def with_own_reaches(
    seeds: tuple[Seed, ...], influences: list[Influence], reach_mm: float, spacing: tuple[float, float, float]
) -> list[Influence]:
    """Return the influences with shorter reaches for the clicks that lie beside the claim of another one."""
    settled: dict[int, Influence] = {}
    for n in sorted(range(len(seeds)), key=lambda n: (-influences[n].room, seeds[n].place)):
        own_mm = influences[n].own_reach * reach_mm
        for m, other in settled.items():
            if seeds[m].positive == seeds[n].positive:
                own_mm = min(own_mm, reach_beside(_furthest_gap_mm(seeds[n], other, spacing), seeds[n]))
        settled[n] = replace(influences[n], own_reach=own_mm / reach_mm)
    return [settled[n] for n in range(len(seeds))]


def _furthest_gap_mm(seed: Seed, claimant: Influence, spacing: tuple[float, float, float]) -> float:
    """Return the largest distance of a seed's voxels, of a stroke some of them, from another one's claim."""
    some = seed.voxels[:: max(1, len(seed.voxels) // VOXELS_LOOKED_AT)]
    return max(_gap_mm(tuple(voxel), claimant, spacing) for voxel in some.tolist())


def _gap_mm(voxel: Triple, claimant: Influence, spacing: tuple[float, float, float]) -> float:
    """Return the distance of a voxel from a click's claim, 0 within it, infinity where it claims next to nothing."""
    grid = BlockGrid(claimant.blocks, spacing)
    claimed = claimant.distance < CLAIMED * claimant.own_reach
    place = np.array(grid.block_of(voxel))
    if np.all(place >= 0) and np.all(place < claimed.shape) and claimed[tuple(place)]:
        return 0.0
    return float(grid.distance_mm(voxel)[claimed].min(initial=np.inf))
