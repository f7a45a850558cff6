"""What a click is on the voxel grid, and what becomes of clicks that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Values of the uint8 stroke masks; 0 is "nobody painted here".
BACKGROUND, FOREGROUND = 1, 2


@dataclass(frozen=True, order=True)
class Seed:
    """One click on the voxel grid.

    order : of two clicks on the same voxel the one with the higher number counts.
    voxel : index (k, j, i) on the grid of the arrays it is used with.
    positive : True adds tissue, False removes it.
    """

    order: int
    voxel: tuple[int, int, int]
    positive: bool


def settle(seeds: Iterable[Seed]) -> tuple[tuple[Seed, ...], tuple[str, ...]]:
    """Return one seed per voxel, the latest, sorted by `order`; and a sentence for every contradiction.

    The sequence in which the seeds are given does not matter.
    """
    latest: dict[tuple[int, int, int], Seed] = {}
    warnings = []
    for seed in sorted(seeds):
        earlier = latest.get(seed.voxel)
        if earlier is not None and earlier.positive != seed.positive:
            kinds = ("Remove", "Add")
            warnings.append(
                f"{kinds[seed.positive]} click {seed.order} lies on the voxel of {kinds[earlier.positive]} click "
                f"{earlier.order}: the later one counts."
            )
        latest[seed.voxel] = seed
    return tuple(sorted(latest.values())), tuple(warnings)
