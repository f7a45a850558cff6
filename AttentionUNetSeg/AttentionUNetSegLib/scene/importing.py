"""A job folder's files become nodes: segmentation, probability and attention, placed, coloured, linked and filed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import slicer

from ..errors import InternalError
from . import provenance
from .fields import add_field
from .filing import file_in_folder
from .geometry import ijk_to_ras_of_image, ijk_to_ras_of_node, voxel_offset
from .label import Label, add_segment
from .results import ResultNodes, link
from .threshold import check_threshold, recompute_segment


def import_result(
    scene: slicer.vtkMRMLScene,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    result: Any,
    folder: Path | str,
    keep_largest: bool = False,
    box: list[tuple[int, int]] | None = None,
) -> ResultNodes:
    """Make the nodes of one result. Every call makes new nodes; earlier results are left as they are.

    Parameters
    ----------
    volume_node : the CT that was segmented. All new nodes go under its parent transform, and into one folder
        beside it.
    result : the worker's result, as its message (a dataclass) or as a mapping of the same fields: threshold,
        model {id, name, version, sha256}, device, timings, warnings and, where given, files {probability,
        attention[]} (default: probability.nrrd, attention_1.nrrd, ...) and labels (as in model.json; default:
        the pancreas).
    folder : the job folder. `probability` is uint8 0..255 on the CT's voxels, cropped; attention is uint8 on
        any grid.
    keep_largest : as in `set_threshold`.
    box : voxels of the CT (see `region`) outside of which nothing is taken over from the probability.

    Raises
    ------
    InternalError : a file is missing, unreadable or does not lie on the CT's voxels. The scene is then as
        before.
    BadInput : the threshold is out of range; likewise.
    """
    result = asdict(result) if is_dataclass(result) else result
    check_threshold(result["threshold"])
    probability, attention = _read_files(Path(folder), result.get("files"))
    offset = voxel_offset(ijk_to_ras_of_image(probability), ijk_to_ras_of_node(volume_node))
    if offset is None:
        raise InternalError(
            f"The probability in {folder} does not lie on the voxels of {volume_node.GetName()}."
        )
    if box is not None:
        probability = _cut(probability, offset, box)
    fields = provenance.record(result, uuid.uuid4().hex)
    scene.SaveStateForUndo()
    name = volume_node.GetName()
    probability_node = add_field(scene, probability, f"{name} probability", volume_node)
    provenance.stamp(probability_node, provenance.PROBABILITY, fields)
    attention_nodes = []
    for level, image in enumerate(attention, start=1):
        attention_nodes.append(add_field(scene, image, f"{name} attention {level}", volume_node))
        provenance.stamp(attention_nodes[-1], provenance.attention_role(level), fields)
    segmentation = _add_segmentation(scene, volume_node, result, fields)
    folder_item = file_in_folder(scene, volume_node, [segmentation, probability_node, *attention_nodes])
    nodes = ResultNodes(volume_node, segmentation, probability_node, attention_nodes, folder_item)
    link(nodes)
    recompute_segment(nodes, result["threshold"], keep_largest)
    return nodes


def _cut(probability: sitk.Image, offset: tuple[int, int, int], box: list[tuple[int, int]]) -> sitk.Image:
    """Return the part of the probability within the box; one voxel of 0 where they have nothing in common."""
    size = probability.GetSize()
    first = [max(low - start, 0) for (low, _), start in zip(box, offset, strict=True)]
    end = [min(high - start, n) for (_, high), start, n in zip(box, offset, size, strict=True)]
    if all(a < b for a, b in zip(first, end, strict=True)):
        return probability[tuple(slice(a, b) for a, b in zip(first, end, strict=True))]
    return probability[:1, :1, :1] * 0


def _read_files(folder: Path, files: Mapping[str, Any] | None) -> tuple[sitk.Image, list[sitk.Image]]:
    if files is None:
        attention = sorted(folder.glob("attention_*.nrrd"), key=lambda path: int(path.stem.split("_")[-1]))
        paths = [folder / "probability.nrrd", *attention]
    else:
        paths = [folder / files["probability"], *(folder / name for name in files.get("attention", []))]
    images = []
    for path in paths:
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise InternalError(
                f"The result file {path} is missing or damaged.", "Segment the CT again."
            ) from error
        if image.GetPixelID() != sitk.sitkUInt8 or image.GetDimension() != 3:
            raise InternalError(f"The result file {path} does not hold a volume of values 0 to 255.")
        images.append(image)
    return images[0], images[1:]


def _add_segmentation(
    scene: slicer.vtkMRMLScene,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    result: Mapping[str, Any],
    fields: Mapping[str, str],
) -> slicer.vtkMRMLSegmentationNode:
    label = Label.of_manifest((result.get("labels") or [{}])[0])
    model = result.get("model", {})
    algorithm = (
        " ".join(str(model[key]) for key in ("name", "version") if model.get(key)) or "AttentionUNetSeg"
    )
    name = scene.GenerateUniqueName(f"{volume_node.GetName()} {label.name.lower()}")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    # Before any labelmap: an import between nodes under different transforms resamples.
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.CreateDefaultDisplayNodes()
    provenance.stamp(node, provenance.SEGMENTATION, fields)
    provenance.write(node, "segment", add_segment(node, label, algorithm))
    return node
