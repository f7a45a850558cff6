"""What one correction changed in the segment: for the person who made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..scene import CroppedField, ResultNodes


@dataclass(frozen=True)
class Change:
    """How much a correction changed.

    Attributes
    ----------
    volume_ml : of the segment, after it.
    added_ml, removed_ml : what came and what went; both, where a click adds here and lets go there.
    furthest_mm : from the click to the furthest voxel that changed; None where no single click was made or moved.
    """

    volume_ml: float
    added_ml: float
    removed_ml: float
    furthest_mm: float | None = None

    @property
    def text(self) -> str:
        """In a few words: "+3.2 mL, up to 12 mm from the click"."""
        signed = (("+", self.added_ml), ("−", self.removed_ml))
        parts = [f"{sign}{volume:.1f} mL" for sign, volume in signed if volume >= 0.05]
        if not parts:
            return "changed nothing" if not (self.added_ml or self.removed_ml) else "changed less than 0.1 mL"
        far = "" if self.furthest_mm is None else f", up to {self.furthest_mm:.0f} mm from the click"
        return " ".join(parts) + far


def change_between(
    nodes: ResultNodes, before: CroppedField, after: CroppedField, click: tuple[int, int, int] | None
) -> Change:
    """Return what differs between two states (0 or 1) of the segment on the CT; `click` is a voxel (k, j, i)."""
    from ..scene import joined_box
    from ..scene.geometry import voxel_volume_ml
    from ..scene.segment import segment_grid

    box = joined_box(before.box, after.box)
    now = after.on(box)
    grid = segment_grid(nodes)
    voxel = voxel_volume_ml(grid)
    changed = np.argwhere(before.on(box) != now)
    added = np.count_nonzero(now[tuple(changed.T)])
    furthest = None
    if click is not None and len(changed):
        steps = (changed + [part.start for part in box] - np.array(click))[:, ::-1]
        furthest = float(np.linalg.norm(steps @ grid[:3, :3].T, axis=1).max())
    return Change(
        volume_ml=float(np.count_nonzero(after.values)) * voxel,
        added_ml=float(added) * voxel,
        removed_ml=float(len(changed) - added) * voxel,
        furthest_mm=furthest,
    )
