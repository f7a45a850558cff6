"""How a result's volumes lie on the voxels of its CT: noted when they are made, so that moving nodes changes nothing.

A result lives in the frame of its probability volume. Clicks, strokes and threshold count in the CT's voxels, which
stay the same whether somebody puts the CT, or the result, under a transform or hardens one. Where things are in the
world is asked only where a person points at a place, and by `place_check`.
"""

from __future__ import annotations

import json

import numpy as np
import slicer

from ..errors import BadInput
from . import provenance
from .geometry import ijk_to_ras_of_node, voxel_offset
from .results import ResultNodes

ON_CT = "on_ct"


def note_place(
    node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode, grid: np.ndarray | None = None
) -> None:
    """Note on a volume how its voxels lie on the CT's: call it where both are known to lie together.

    `grid` is the CT's IJK to RAS matrix in the volume's own frame; default: the CT's own.
    """
    grid = ijk_to_ras_of_node(volume_node) if grid is None else grid
    between = np.linalg.solve(grid, ijk_to_ras_of_node(node))
    kept = {"matrix": between.ravel().tolist(), "sizes": [_size_of(node), _size_of(volume_node)]}
    provenance.write(node, ON_CT, json.dumps(kept))


def on_ct(node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray | None:
    """Return the 4x4 matrix from the volume's voxel index (i, j, k, 1) to the CT's; None where nobody can tell.

    What was noted counts as long as both have as many voxels as then. Otherwise, and in scenes of earlier versions,
    their geometries tell, where they share their voxels.
    """
    kept = json.loads(provenance.read(node, ON_CT) or "null")
    if kept and kept["sizes"] == [_size_of(node), _size_of(volume_node)]:
        return np.array(kept["matrix"]).reshape(4, 4)
    own, grid = ijk_to_ras_of_node(node), ijk_to_ras_of_node(volume_node)
    return None if voxel_offset(own, grid) is None else np.linalg.solve(grid, own)


def ct_grid(nodes: ResultNodes) -> np.ndarray:
    """Return the CT's IJK to RAS matrix in the frame of the result, where the CT was when the result was made.

    Raises
    ------
    BadInput : the probability no longer lies on the CT's voxels: one of them was resampled or cropped.
    """
    between = on_ct(nodes.probability, nodes.volume)
    if between is None:
        raise BadInput(
            f"{nodes.probability.GetName()} and {nodes.volume.GetName()} no longer lie on the same voxels: one of them "
            "was resampled or cropped.",
            "Segment the CT again.",
        )
    return ijk_to_ras_of_node(nodes.probability) @ np.linalg.inv(between)


def offset_on_ct(
    node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode
) -> tuple[int, int, int] | None:
    """Return which voxel (i, j, k) of the CT the volume's first is; None where they do not share their voxels."""
    between = on_ct(node, volume_node)
    return None if between is None else voxel_offset(between, np.eye(4))


def _size_of(node: slicer.vtkMRMLScalarVolumeNode) -> list[int]:
    data = node.GetImageData()
    return list(data.GetDimensions()) if data is not None else [0, 0, 0]
