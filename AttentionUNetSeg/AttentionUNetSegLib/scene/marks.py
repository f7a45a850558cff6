"""Strokes, lassos and boxes that teach, as the scene keeps them: on the segmentation, in voxels of the CT.

Counted in the CT's voxels they stay where they are whatever is moved or hardened. A scene of an earlier version has
none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..contracts import Position
from ..correction import Seed, box_seed, lasso_seed, painted_seed, stroke_seed
from ..errors import BadInput
from . import provenance
from .clicks import placed
from .geometry import ct_grid
from .results import ResultNodes

MARKS = "marks"
STROKE, PAINTED, LASSO, BOX = "stroke", "painted", "lasso", "box"


@dataclass(frozen=True)
class Mark:
    """One stroke, lasso or box.

    Attributes
    ----------
    order : counts up over clicks and marks of a result.
    kind : `STROKE` (a line through the points), `PAINTED` (voxels of a brush), `LASSO` (a closed line) or `BOX` (two
        corners).
    positive : True adds tissue, False removes it.
    points : (k, j, i) each, continuous indices of the CT's voxels.
    radius_mm : of a stroke.
    """

    order: int
    kind: str
    positive: bool
    points: tuple[tuple[float, float, float], ...]
    radius_mm: float = 0.0

    def seed(self, ct: np.ndarray, spacing: tuple[float, float, float]) -> Seed:
        """Return what it is on the voxel grid of the CT (HU, KJI); raises BadInput where it lies outside of it."""
        points = np.array(self.points, dtype=float)
        if self.kind == STROKE:
            return stroke_seed(self.order, points, self.positive, spacing, ct.shape, self.radius_mm)
        if self.kind == PAINTED:
            return painted_seed(self.order, np.rint(points).astype(int), self.positive, spacing)
        make = lasso_seed if self.kind == LASSO else box_seed
        return make(self.order, ct, points, self.positive, spacing)


def indices_of(nodes: ResultNodes, positions_ras_world: Sequence[Position]) -> np.ndarray:
    """Return continuous voxel indices (n, 3; k, j, i) of the CT of world RAS positions in mm."""
    if not len(positions_ras_world):
        raise BadInput("There are no points.")
    ras = np.array([placed(nodes, position) for position in positions_ras_world])
    ijk = np.linalg.solve(ct_grid(nodes), np.column_stack([ras, np.ones(len(ras))]).T)[:3].T
    return ijk[:, ::-1]


def read_marks(nodes: ResultNodes) -> tuple[Mark, ...]:
    """Return the marks of a result, in the order in which they were made."""
    return marks_of(json.loads(provenance.read(nodes.segmentation, MARKS) or "[]"))


def write_marks(nodes: ResultNodes, marks: Sequence[Mark]) -> None:
    """Keep the marks of a result."""
    if marks or provenance.read(nodes.segmentation, MARKS) is not None:
        provenance.write(nodes.segmentation, MARKS, json.dumps(listed(marks), separators=(",", ":")))


def listed(marks: Sequence[Mark]) -> list[list[Any]]:
    """Return marks as JSON has them; to a hundredth of a voxel."""
    return [[mark.order, mark.kind, mark.positive, np.round(mark.points, 2).tolist(), mark.radius_mm] for mark in marks]


def marks_of(kept: list[list[Any]]) -> tuple[Mark, ...]:
    """Return marks from what `listed` made of them."""
    return tuple(
        Mark(int(order), str(kind), bool(positive), tuple(_point(*each) for each in points), float(radius))
        for order, kind, positive, points, radius in kept
    )


def _point(k: float, j: float, i: float) -> tuple[float, float, float]:
    return float(k), float(j), float(i)


def spacing_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float, float]:
    """Return the CT's voxel size in mm along K, J, I."""
    return tuple(volume_node.GetSpacing()[::-1])
