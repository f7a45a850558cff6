"""Segments that clicks and strokes do not enter: vessels or duodenum beside the gland, in the result's own node.

Which ones is kept on the segmentation. What they hold is read anew for every change, so they may be edited.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

import numpy as np
import slicer

from ..errors import BadInput
from . import provenance
from .cropped_field import Box, CroppedField
from .geometry import voxel_offset
from .results import ResultNodes
from .segment import segment_id_of
from .segment_grid import grid_of_labelmap, segment_grid, voxels_of_labelmap
from .strokes import resampled_on_ct

WALLS = "walls"


def read_walls(nodes: ResultNodes) -> tuple[str, ...]:
    """Return the IDs of the segments that are walls and still there."""
    segmentation = nodes.segmentation.GetSegmentation()
    kept = json.loads(provenance.read(nodes.segmentation, WALLS) or "[]")
    return tuple(name for name in kept if segmentation.GetSegment(name) is not None)


def write_walls(nodes: ResultNodes, segment_ids: Sequence[str]) -> None:
    """Choose the segments that are walls.

    Raises
    ------
    BadInput : there is no such segment, or it is the result's own. Nothing has changed then.
    """
    segmentation = nodes.segmentation.GetSegmentation()
    for name in segment_ids:
        if segmentation.GetSegment(name) is None:
            raise BadInput(f"There is no segment {name} in {nodes.segmentation.GetName()}.")
        if name == segment_id_of(nodes):
            raise BadInput("The segment that is corrected cannot be closed to its own corrections.")
    provenance.write(nodes.segmentation, WALLS, json.dumps(list(segment_ids)))


def walls_on_ct(nodes: ResultNodes) -> list[CroppedField]:
    """Return what the walls hold, 0 or 1 on the CT's voxels; on another grid they are resampled (nearest voxel)."""
    walls = []
    grid = segment_grid(nodes)
    for name in read_walls(nodes):
        labelmap = slicer.vtkOrientedImageData()
        nodes.segmentation.GetBinaryLabelmapRepresentation(name, labelmap)
        scalars = labelmap.GetPointData().GetScalars()
        if scalars is None or not scalars.GetNumberOfTuples():
            continue
        offset = voxel_offset(grid_of_labelmap(labelmap), grid)
        if offset is None:
            labelmap, offset = resampled_on_ct(nodes, labelmap, grid), (0, 0, 0)
        found = voxels_of_labelmap(labelmap)
        start = tuple(first + shift for first, shift in zip(found.start, offset[::-1], strict=True))
        walls.append(CroppedField(start, found.values))
    return walls


def mask_of_walls(walls: Sequence[CroppedField], box: Box) -> np.ndarray | None:
    """Return where walls are on a box of the CT, bool; None without any."""
    if not walls:
        return None
    return np.any([wall.on(box) != 0 for wall in walls], axis=0)


def state_of_walls(walls: Sequence[CroppedField]) -> tuple[object, ...]:
    """Return what changes when the voxels of any wall do."""
    return tuple((wall.start, wall.values.shape, zlib.crc32(wall.values.tobytes())) for wall in walls)
