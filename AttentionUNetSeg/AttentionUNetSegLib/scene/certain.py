"""What a person said for certain of single voxels: where they clicked, what a mark means, what they painted.

Smoothing and "keep only the largest part" do not take it away.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import slicer

from ..correction import BACKGROUND, FOREGROUND
from ..errors import BadInput
from .clicks import read_clicks, voxel_of
from .corrections import read_strokes
from .fields import Box, CroppedField, first_voxel, joined_box
from .marks import Mark, read_marks, spacing_of
from .results import ResultNodes
from .volumes import state_of_voxels
from .walls import mask_of_walls, walls_on_ct

# What a lasso means takes longer to find than a threshold may take to follow the mouse.
_MARKS_KEPT = 200
_voxels_of_marks: dict[tuple[object, Mark], np.ndarray] = {}


def certain_voxels(nodes: ResultNodes) -> CroppedField | None:
    """Return what is certain on the CT's voxels, `correction.FOREGROUND` or `correction.BACKGROUND`; None: nothing is.

    Of clicks and marks on one voxel the later counts, and within walls none of them; what was painted by hand counts
    more.
    """
    said = [(mark.order, _voxels_of(nodes, mark), mark.positive) for mark in read_marks(nodes)]
    for click in read_clicks(nodes):
        with suppress(BadInput):  # a point that somebody dragged out of the CT says nothing about it
            said.append((click.order, np.array([voxel_of(nodes, click)]), click.positive))
    strokes = read_strokes(nodes)
    boxes = [_box_of(voxels) for _order, voxels, _positive in said]
    boxes += [] if strokes is None else [strokes.box]
    if not boxes:
        return None
    box = joined_box(*boxes)
    certain = np.zeros([part.stop - part.start for part in box], np.uint8)
    for _order, voxels, positive in sorted(said, key=lambda each: each[0]):
        certain[tuple((voxels - first_voxel(box)).T)] = FOREGROUND if positive else BACKGROUND
    walls = mask_of_walls(walls_on_ct(nodes), box) if said else None
    if walls is not None:
        certain[walls] = 0
    if strokes is not None:
        painted = strokes.on(box)
        certain[painted != 0] = painted[painted != 0]
    return CroppedField.of(box, certain)


def _box_of(voxels: np.ndarray) -> Box:
    k, j, i = map(slice, voxels.min(axis=0).tolist(), (voxels.max(axis=0) + 1).tolist())
    return k, j, i


def _voxels_of(nodes: ResultNodes, mark: Mark) -> np.ndarray:
    """Return the voxels (n, 3; k, j, i) that a mark means."""
    key = (state_of_voxels(nodes.volume), mark)
    if key not in _voxels_of_marks:
        while len(_voxels_of_marks) >= _MARKS_KEPT:
            del _voxels_of_marks[next(iter(_voxels_of_marks))]
        ct = slicer.util.arrayFromVolume(nodes.volume)
        _voxels_of_marks[key] = mark.seed(ct, spacing_of(nodes.volume)).voxels
    return _voxels_of_marks[key]
