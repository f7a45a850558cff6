"""What corrections add to a result: the corrected probability and the strokes, as volumes linked from the segmentation.

The network's own probability is never changed. Both nodes are made when they are first needed, lie on a box of the CT's
voxels that may be larger than the network's, and stay with the scene when it is saved.
"""

from __future__ import annotations

import json
from collections.abc import Generator

import numpy as np
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

from ..in_parts import done_at_once
from . import provenance
from .fields import (
    Box,
    CroppedField,
    add_field_of_result,
    first_voxel,
    image_of_field,
    joined_box,
    place_of_field,
    read_field,
)
from .geometry import ct_grid, note_place
from .results import CORRECTED_REFERENCE, STROKES_REFERENCE, ResultNodes, file_in_folder_of
from .volumes import set_array, set_scalars

CORRECTED = "corrected_probability"
STROKES = "strokes"
# On the corrected probability: where it differs from the network's.
CHANGED = "changed"
# Of a field, so many are copied in one part: some 10 ms.
VOXELS_PER_PART = 8_000_000


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


def write_corrected(
    nodes: ResultNodes,
    changed: CroppedField | None,
    ready: tuple[Box, vtkUnsignedCharArray] | None = None,
    is_as_written: bool = True,
) -> None:
    """Store the corrected probability, from which the segment is made from now on: the network's, and what was changed.

    A field may be as large as the CT, and corrections small: only what is changed, or was by the last one, is touched.

    Parameters
    ----------
    changed : the corrected probability where it differs from the network's; None where it does not.
    ready : a box and what `copy_in_parts` made on it, for a first correction; made here where it is missing, or of
        another box.
    is_as_written : False where network or stored field may have been edited since: all of it is made anew.
    """
    network, node = read_field(nodes.probability, nodes.volume), nodes.corrected
    box = network.box if changed is None else joined_box(network.box, changed.box)
    start = first_voxel(box)
    last = None if node is None or not is_as_written else _last_change(node, nodes, box)
    if last is None:
        scalars = ready[1] if ready is not None and ready[0] == box else done_at_once(copy_in_parts(network, box))
        name = f"{nodes.probability.GetName()}, corrected"
        node = node or _add(nodes, start, CORRECTED_REFERENCE, CORRECTED, name)
        shape = tuple(part.stop - part.start for part in box)
        set_scalars(node, scalars, shape, place_of_field(start, ct_grid(nodes)))
    values = slicer.util.arrayFromVolume(node)
    if last:
        values[_within(last, box)] = network.on(last)
    if changed is not None:
        values[_within(changed.box, box)] = changed.values
    ends = [] if changed is None else [[part.start, part.stop] for part in changed.box]
    provenance.write(node, CHANGED, json.dumps(ends))
    _place(nodes, node, start)
    slicer.util.arrayFromVolumeModified(node)


def copy_in_parts(network: CroppedField, box: Box) -> Generator[None, None, vtkUnsignedCharArray]:
    """Return a copy of a field on a box of the CT, made in parts; yield after each."""
    size = [part.stop - part.start for part in box]
    scalars = vtkUnsignedCharArray()
    scalars.SetNumberOfTuples(int(np.prod(size)))
    values = vtk_to_numpy(scalars).reshape(size)
    step = max(1, VOXELS_PER_PART // max(1, size[1] * size[2]))
    for first in range(0, size[0], step):
        last = min(first + step, size[0])
        values[first:last] = network.on((slice(box[0].start + first, box[0].start + last), *box[1:]))
        yield
    return scalars


def _last_change(node: slicer.vtkMRMLScalarVolumeNode, nodes: ResultNodes, box: Box) -> Box | tuple[()] | None:
    """Return where a stored field on this box differs from the network's: nowhere is ().

    None where all of it has to be made anew: it lies on another box, or an earlier version wrote it.
    """
    kept = provenance.read(node, CHANGED)
    if kept is None or node.GetImageData() is None or read_field(node, nodes.volume).box != box:
        return None
    ends = json.loads(kept)
    if not ends:
        return ()
    k, j, i = (slice(*each) for each in ends)
    return k, j, i


def _within(part: Box, box: Box) -> Box:
    """Return a box of the CT counted from the first voxel of another one."""
    k, j, i = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(part, box, strict=True))
    return k, j, i


def _store(
    nodes: ResultNodes,
    field: CroppedField,
    node: slicer.vtkMRMLScalarVolumeNode | None,
    reference: str,
    role: str,
    name: str,
) -> None:
    node = node or _add(nodes, field.start, reference, role, name)
    set_array(node, np.ascontiguousarray(field.values), place_of_field(field.start, ct_grid(nodes)))
    _place(nodes, node, field.start)


def _add(
    nodes: ResultNodes, start: tuple[int, int, int], reference: str, role: str, name: str
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a node, of one voxel yet."""
    corner = CroppedField(start, np.zeros((1, 1, 1), np.uint8))
    node = add_field_of_result(nodes, image_of_field(corner, ct_grid(nodes)), name, ct_grid(nodes))
    provenance.stamp(node, role, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(reference, node.GetID())
    file_in_folder_of(nodes.segmentation, node)
    return node


def _place(nodes: ResultNodes, node: slicer.vtkMRMLScalarVolumeNode, start: tuple[int, int, int]) -> None:
    """Put a node's voxels, of which the first is `start` (k, j, i) of the CT, where the result is now."""
    grid = ct_grid(nodes)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(place_of_field(start, grid)))
    node.SetAndObserveTransformNodeID(nodes.probability.GetTransformNodeID())
    note_place(node, nodes.volume, grid)
