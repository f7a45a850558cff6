"""Head, body and tail as a label map: what `gland_parts` divides, to be looked at."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..imaging import Geometry, bounding_box, image_on_grid
from .centre_line import CentreLine, nearest_stations

# The labels of the parts, in this order from 1 on.
PARTS = ("head", "body", "tail")


def part_map(mask: sitk.Image, line: CentreLine) -> sitk.Image:
    """Return the parts of a mask: uint8 on its voxels, 1 head, 2 body, 3 tail, 0 outside.

    Every voxel of the mask belongs to the part in which the nearest point of the centre line lies; where the parts are
    divided, and by which definition, says `gland_parts`. The volumes that are measured are those of the largest
    connected part, shared out over the whole: islands are drawn here, and do not count there for where they lie.

    Parameters
    ----------
    mask : what is not 0 is inside; any box of the voxels that were measured.
    line : of that mask, from `Measurements.centre_line`.
    """
    inside = sitk.GetArrayViewFromImage(mask) != 0
    parts = np.zeros(inside.shape, np.uint8)
    box = bounding_box(inside)
    if box is not None:
        first = np.array([side.start for side in box])
        indices = (np.argwhere(inside[box]) + first)[:, ::-1]
        along = line.distance_mm[nearest_stations(Geometry.of(mask).physical(indices), line.points_lps)]
        parts[inside] = 1 + (along >= line.neck_mm).astype(np.uint8) + (along >= line.tail_mm)
    return image_on_grid(parts, mask)
