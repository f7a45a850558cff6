"""What the network said after it was adapted to clicks, in the scene: its probability, and its attention in place.

The attention volumes of a result hold what counts now. Before they are changed for the first time, the network's own
are kept in volumes beside them, so that the change can be taken back, also after saving and loading. A scene without
these nodes is one in which nothing was refined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import InternalError
from ..imaging import write_image
from . import provenance
from .clicks import PlacedClick
from .cropped_field import Box, CroppedField, image_of_field, read_field, read_values
from .ct_voxels import ct_grid, note_place
from .fields import add_field_of_result
from .filing import file_in_folder_of
from .geometry import ijk_to_ras_of_image, voxel_offset
from .results import NETWORK_ATTENTION_REFERENCE, REFINED_REFERENCE, ResultNodes, volumes_by_gate
from .volumes import image_of_node, set_voxels

REFINED = "refined_probability"
MADE_FOR = "refined_for"


@dataclass(frozen=True)
class StoredRefinement:
    """The fields of the adapted network.

    Attributes
    ----------
    probability : on the CT's voxels.
    attention : uint8 KJI by the gate's number, on the voxels of the result's attention volumes.
    clicks, reach_mm : what the network was adapted to.
    """

    probability: CroppedField
    attention: Mapping[int, np.ndarray]
    clicks: tuple[PlacedClick, ...]
    reach_mm: float

    def fits(self, clicks: Sequence[PlacedClick], reach_mm: float) -> bool:
        """Whether it still counts: all clicks that it was made for are there. Others may have come since."""
        return reach_mm == self.reach_mm and all(any(own.is_same(other) for other in clicks) for own in self.clicks)

    def is_for(self, clicks: Sequence[PlacedClick], reach_mm: float) -> bool:
        """Whether it was made for exactly these clicks."""
        return len(clicks) == len(self.clicks) and self.fits(clicks, reach_mm)


def read_refinement(nodes: ResultNodes) -> StoredRefinement | None:
    """Return the refinement that the scene holds; None where there is none."""
    node = nodes.refined
    made_for = None if node is None else provenance.read(node, MADE_FOR)
    if made_for is None:
        return None
    fields = json.loads(made_for)
    clicks = tuple(PlacedClick(order, tuple(ras), positive) for order, ras, positive in fields["clicks"])
    field = read_field(node, nodes.volume)
    return StoredRefinement(
        CroppedField(field.start, field.values.copy()),
        {level: read_values(node).copy() for level, node in nodes.gates.items()},
        clicks,
        float(fields["reach_mm"]),
    )


def write_refinement(nodes: ResultNodes, refinement: StoredRefinement | None) -> None:
    """Store a refinement, or take it back (None): then the attention is the network's own again."""
    kept = volumes_by_gate(nodes.segmentation, NETWORK_ATTENTION_REFERENCE)
    if refinement is None:
        for level, node in kept.items():
            if level in nodes.gates:
                _set_values(nodes.gates[level], read_values(node))
            nodes.scene.RemoveNode(node)
        if nodes.refined is not None:
            nodes.scene.RemoveNode(nodes.refined)
        return
    for level, node in nodes.gates.items():
        if level not in kept:
            _keep_attention(nodes, node, level)
        if level in refinement.attention:
            _set_values(node, refinement.attention[level])
    grid = ct_grid(nodes)
    image = image_of_field(refinement.probability, grid)
    node = nodes.refined
    if node is None:
        node = add_field_of_result(nodes, image, f"{nodes.probability.GetName()}, refined", grid)
        provenance.stamp(node, REFINED, {"result": nodes.result_id})
        nodes.segmentation.SetNodeReferenceID(REFINED_REFERENCE, node.GetID())
        file_in_folder_of(nodes.segmentation, node)
    else:
        set_voxels(node, image)
        note_place(node, nodes.volume, grid)
    clicks = [(click.order, click.ras, click.positive) for click in refinement.clicks]
    provenance.write(node, MADE_FOR, json.dumps({"clicks": clicks, "reach_mm": refinement.reach_mm}))


def network_attention(nodes: ResultNodes) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
    """Return the volumes that hold the network's own attention by the gate's number, finest first."""
    return {**nodes.gates, **volumes_by_gate(nodes.segmentation, NETWORK_ATTENTION_REFERENCE)}


def export_for_refinement(nodes: ResultNodes, box: Box, folder: Path) -> list[str]:
    """Write the CT within a box (`input.nrrd`), the network's own probability and attention; return the latter's names.

    The names are those of all gates up to the coarsest that is left: the worker knows a gate by its place in the list.
    Geometry in the result's frame, as the clicks have it; parent transforms are left out.
    """
    ct = slicer.util.arrayFromVolume(nodes.volume)[box]
    start = tuple(part.start for part in box)
    part = image_of_field(CroppedField(start, np.ascontiguousarray(ct)), ct_grid(nodes))
    # Not compressed: that takes longer than everything else here, and the front end waits for it.
    write_image(part, folder / "input.nrrd", compress=False)
    write_image(image_of_node(nodes.probability), folder / "probability.nrrd", compress=False)
    names = []
    own = network_attention(nodes)
    for level in range(1, max(own, default=0) + 1):
        names.append(f"attention_{level}.nrrd")
        # For a gate whose volume was deleted any other stands in; nobody reads what the worker makes of it.
        write_image(image_of_node(own.get(level, own[max(own)])), folder / names[-1], compress=False)
    return names


def import_refinement(
    nodes: ResultNodes,
    folder: Path,
    probability: str,
    attention: Sequence[str],
    clicks: Sequence[PlacedClick],
    reach_mm: float,
) -> StoredRefinement:
    """Read what the worker wrote; raises InternalError where that is not on the voxels of the result."""
    image = _read(folder / probability)
    offset = voxel_offset(ijk_to_ras_of_image(image), ct_grid(nodes))
    gates = nodes.gates
    maps = {
        level: sitk.GetArrayFromImage(_read(folder / name))
        for level, name in enumerate(attention, start=1)
        if level in gates
    }
    fit = [level in maps and maps[level].shape == read_values(node).shape for level, node in gates.items()]
    if offset is None or not all(fit):
        raise InternalError(f"The refined fields in {folder} do not lie on the voxels of the result.")
    return StoredRefinement(CroppedField(offset[::-1], sitk.GetArrayFromImage(image)), maps, tuple(clicks), reach_mm)


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path), sitk.sitkUInt8)
    except RuntimeError as error:
        raise InternalError(f"The result file {path} is missing or damaged.") from error


def _set_values(node: slicer.vtkMRMLScalarVolumeNode, values: np.ndarray) -> None:
    array = slicer.util.arrayFromVolume(node)
    if not np.array_equal(array, values):
        array[...] = values
        slicer.util.arrayFromVolumeModified(node)


def _keep_attention(nodes: ResultNodes, node: slicer.vtkMRMLScalarVolumeNode, level: int) -> None:
    kept = add_field_of_result(nodes, image_of_node(node), f"{node.GetName()}, not refined", ct_grid(nodes))
    provenance.stamp(kept, f"network_{provenance.attention_role(level)}", {"result": nodes.result_id})
    nodes.segmentation.AddNodeReferenceID(NETWORK_ATTENTION_REFERENCE, kept.GetID())
    file_in_folder_of(nodes.segmentation, kept)
