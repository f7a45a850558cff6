"""Segments that clicks and strokes do not enter: vessels or duodenum beside the gland, in the result's own node.

Which ones is kept on the segmentation. What they hold is read anew for every change, so they may be edited.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk

from ..errors import BadInput
from ..imaging import StoredSegment
from . import provenance
from .fields import Box, CroppedField, tight_box
from .geometry import ct_grid, set_image_geometry, voxel_offset
from .results import ResultNodes
from .segment import grid_of_labelmap, resampled_on_ct, segment_grid, segment_id_of, voxels_of_labelmap

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


def add_wall(nodes: ResultNodes, stored: StoredSegment) -> str:
    """Add a segment from elsewhere to the result's node, on the CT's voxels (nearest), as a wall; return its ID.

    Raises
    ------
    BadInput : it has nothing in common with the CT. Nothing has changed then.
    """
    matrix = ct_grid(nodes)
    like_ct = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    set_image_geometry(like_ct, matrix)
    on_ct = sitk.Resample(
        stored.image, nodes.volume.GetImageData().GetDimensions(), sitk.Transform(), sitk.sitkNearestNeighbor,
        like_ct.GetOrigin(), like_ct.GetSpacing(), like_ct.GetDirection(), 0.0, sitk.sitkUInt8,
    )  # fmt: skip
    values = sitk.GetArrayViewFromImage(on_ct)
    box = tight_box(values)
    if box is None:
        raise BadInput(f"{stored.name} has nothing in common with {nodes.volume.GetName()}.")
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*[bound for part in box[::-1] for bound in (part.start, part.stop - 1)])
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(segment_grid(nodes)))
    labelmap.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values[box]).ravel(), deep=True))
    name = nodes.segmentation.GetSegmentation().AddEmptySegment("", stored.name)
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap, nodes.segmentation, name, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
    )
    write_walls(nodes, [*read_walls(nodes), name])
    return name


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
        walls.append(voxels_of_labelmap(labelmap).moved(offset))
    return walls


def mask_of_walls(walls: Sequence[CroppedField], box: Box) -> np.ndarray | None:
    """Return where walls are on a box of the CT, bool; None without any."""
    if not walls:
        return None
    return np.any([wall.on(box) != 0 for wall in walls], axis=0)


def state_of_walls(walls: Sequence[CroppedField]) -> tuple[object, ...]:
    """Return what changes when the voxels of any wall do."""
    return tuple((wall.start, wall.values.shape, zlib.crc32(wall.values.tobytes())) for wall in walls)
