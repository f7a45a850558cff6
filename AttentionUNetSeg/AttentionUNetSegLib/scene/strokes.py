"""What people paint and erase in a result's segment, by any tool: found by comparing it with what was last written."""

from __future__ import annotations

import numpy as np
import slicer

from ..correction import BACKGROUND, FOREGROUND
from . import provenance
from .corrections import read_strokes
from .fields import CroppedField, digest, joined_box
from .geometry import offset_on_ct, voxel_offset
from .results import ResultNodes
from .segment import (
    DIGEST,
    grid_of_labelmap,
    resampled_on_ct,
    segment_grid,
    segment_id_of,
    segment_voxels,
    voxels_of_labelmap,
)
from .threshold import mask_of_field, settings_of


def new_strokes(nodes: ResultNodes) -> CroppedField | None:
    """Return all strokes, those stored and those made since the segment was last written; None without new ones.

    A voxel painted since then is certain foreground, an erased one certain background; both replace what was stored.

    Raises
    ------
    BadInput : the segment or a node of the result is no longer what it was.
    """
    if offset_on_ct(nodes.field, nodes.volume) is None:
        return None  # the CT was resampled: nobody can tell what was painted, and the threshold goes on working
    segment = segment_on_ct(nodes)
    if digest(segment) == provenance.read(nodes.segmentation, DIGEST):
        return None
    written = mask_of_field(nodes, *settings_of(nodes))
    box = joined_box(segment.box, written.box)
    now, before = segment.on(box) != 0, written.on(box) != 0
    changed = now != before
    if not changed.any():
        return None
    stored = read_strokes(nodes)
    if stored is not None:
        box = joined_box(box, stored.box)
        now, changed = segment.on(box) != 0, (segment.on(box) != 0) != (written.on(box) != 0)
    strokes = np.zeros(now.shape, np.uint8) if stored is None else stored.on(box)
    strokes[changed] = np.where(now[changed], FOREGROUND, BACKGROUND)
    return CroppedField.of(box, strokes).tight()


def segment_on_ct(nodes: ResultNodes) -> CroppedField:
    """Return the segment as it is now, 0 or 1 on the CT's voxels; on another grid it is resampled (nearest voxel)."""
    labelmap, found = segment_voxels(nodes)
    if found is None:
        return CroppedField((0, 0, 0), np.zeros((1, 1, 1), np.uint8))
    grid = segment_grid(nodes)
    offset = voxel_offset(grid_of_labelmap(labelmap), grid)
    if offset is None:
        alone = slicer.vtkOrientedImageData()  # other segments may lie in the same labelmap
        nodes.segmentation.GetBinaryLabelmapRepresentation(segment_id_of(nodes), alone)
        found, offset = voxels_of_labelmap(resampled_on_ct(nodes, alone, grid)), (0, 0, 0)
    return _inside_ct(found.moved(offset), nodes)


def _inside_ct(field: CroppedField, nodes: ResultNodes) -> CroppedField:
    """Cut off what was painted beyond the CT: there is no probability there."""
    size = nodes.volume.GetImageData().GetDimensions()[::-1]
    k, j, i = (
        slice(min(max(part.start, 0), n - 1), max(1, min(part.stop, n)))
        for part, n in zip(field.box, size, strict=True)
    )
    return field if (k, j, i) == field.box else field.cut((k, j, i))
