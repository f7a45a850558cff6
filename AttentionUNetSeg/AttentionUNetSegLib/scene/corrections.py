"""What corrections add to a result: the corrected probability and the strokes, as volumes linked from the segmentation.

The network's own probability is never changed. Both nodes are made when they are first needed, lie on a box of the CT's
voxels that may be larger than the network's, and stay with the scene when it is saved.
"""

from __future__ import annotations

import numpy as np
import slicer

from . import provenance
from .fields import CroppedField, add_field_of_result, image_of_field, read_field
from .geometry import ct_grid, note_place
from .results import CORRECTED_REFERENCE, STROKES_REFERENCE, ResultNodes, file_in_folder_of
from .volumes import set_voxels

CORRECTED = "corrected_probability"
STROKES = "strokes"


def read_strokes(nodes: ResultNodes) -> CroppedField | None:
    """Return where somebody painted: 1 certain background, 2 certain foreground; None where nobody ever did."""
    node = nodes.strokes
    return None if node is None else read_field(node, nodes.volume)


def write_strokes(nodes: ResultNodes, strokes: CroppedField | None) -> None:
    """Store the strokes in the scene; None takes all of them back."""
    node = nodes.strokes
    if strokes is None or not strokes.values.any():
        if node is not None:
            nodes.scene.RemoveNode(node)
        return
    _store(nodes, strokes, node, STROKES_REFERENCE, STROKES, f"{nodes.volume.GetName()} strokes")


def write_corrected(nodes: ResultNodes, corrected: CroppedField) -> None:
    """Store the corrected probability, from which the segment is made from now on."""
    name = f"{nodes.probability.GetName()}, corrected"
    _store(nodes, corrected, nodes.corrected, CORRECTED_REFERENCE, CORRECTED, name)


def _store(
    nodes: ResultNodes,
    field: CroppedField,
    node: slicer.vtkMRMLScalarVolumeNode | None,
    reference: str,
    role: str,
    name: str,
) -> None:
    grid = ct_grid(nodes)
    image = image_of_field(CroppedField(field.start, np.ascontiguousarray(field.values)), grid)
    if node is not None:
        set_voxels(node, image)
        node.SetAndObserveTransformNodeID(nodes.probability.GetTransformNodeID())
        note_place(node, nodes.volume, grid)
        return
    node = add_field_of_result(nodes, image, name, grid)
    provenance.stamp(node, role, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(reference, node.GetID())
    file_in_folder_of(nodes.segmentation, node)
