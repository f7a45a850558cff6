"""What clicks and strokes are on the voxel grid, and what becomes of clicks that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Values of the uint8 stroke masks; 0 is "nobody painted here".
BACKGROUND, FOREGROUND = 1, 2

Triple = tuple[int, int, int]
# A limit that is none.
FREE = 2**30


@dataclass(frozen=True, order=True)
class Seed:
    """One thing that a person said on the voxel grid: a click, or a stroke that teaches, from all of its voxels.

    order : of two on the same voxel the one with the higher number counts.
    voxel : index (k, j, i) on the grid of the arrays it is used with; of a stroke the first.
    positive : True adds tissue, False removes it.
    more : the other voxels of a stroke, int32 (k, j, i) one after the other, as bytes; see `Seed.of`.
    limit : first and last voxel (k, j, i) of a box that it acts in; empty: no limit.
    """

    order: int
    voxel: Triple
    positive: bool
    more: bytes = b""
    limit: tuple[Triple, ...] = ()

    @classmethod
    def of(cls, order: int, voxels: np.ndarray, positive: bool, limit: tuple[Triple, ...] = ()) -> Seed:
        """Return the seed of one or more voxels, (n, 3) indices (k, j, i)."""
        k, j, i = (int(n) for n in voxels[0])
        rest = np.ascontiguousarray(voxels[1:], np.int32)
        return cls(order, (k, j, i), positive, rest.tobytes(), limit)

    @cached_property
    def voxels(self) -> np.ndarray:
        """All voxels, (n, 3) indices (k, j, i)."""
        return np.concatenate([[self.voxel], np.frombuffer(self.more, np.int32).reshape(-1, 3)]).astype(int)

    @property
    def is_whole(self) -> bool:
        """Whether its voxels are all that it means, or nearly: those of a box, which somebody drew around it."""
        return bool(self.limit) and max(abs(n) for n in (*self.limit[0], *self.limit[1])) < FREE

    @property
    def place(self) -> tuple[object, ...]:
        """What two seeds that lie on the same voxels have in common."""
        return self.voxel, self.more, self.limit


def latest_per_place(seeds: Iterable[Seed]) -> tuple[tuple[Seed, ...], tuple[str, ...]]:
    """Return one seed per place, the latest, sorted by `order`; and a sentence for every contradiction.

    The sequence in which the seeds are given does not matter.
    """
    latest: dict[tuple[object, ...], Seed] = {}
    warnings = []
    for seed in sorted(seeds):
        earlier = latest.get(seed.place)
        if earlier is not None and earlier.positive != seed.positive:
            kinds = ("Remove", "Add")
            warnings.append(
                f"{kinds[seed.positive]} click {seed.order} lies on the voxel of {kinds[earlier.positive]} click "
                f"{earlier.order}: the later one counts."
            )
        latest[seed.place] = seed
    return tuple(sorted(latest.values())), tuple(warnings)
