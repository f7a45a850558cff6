"""A result that starts from a segmentation of elsewhere: a file, a segment of the scene, or a volume of the scene.

    nodes, warnings = start_from_file(volume_node, Path("totalsegmentator.nii.gz"), "7")
    editor = ResultEditor(nodes)

The network does not run. Nothing that the result starts from is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from ..imaging import StoredSegment
    from ..scene import ResultNodes
    from .editing import ResultEditor


def start_from_file(
    volume_node: vtkMRMLScalarVolumeNode, path: Path, segment: str | None = None, is_probability: bool = False
) -> tuple[ResultNodes, list[str]]:
    """Start from a label map, a .seg.nrrd, a DICOM SEG or a probability, on any grid; return the result and warnings.

    Parameters
    ----------
    segment : its name or label value; None: the only one, or the one that is named "pancreas".
    is_probability : the file holds a probability: fractions of 0 to 1, or integers of 0 to 255.

    Raises
    ------
    BadInput : the file cannot be used (see `imaging.read_segment`), or has nothing in common with the CT.
    """
    from ..imaging import read_probability, read_segment
    from ..scene import import_start

    stored = read_probability(path) if is_probability else read_segment(path, segment)
    return import_start(_scene_of(volume_node), volume_node, stored, str(path))


def start_from_segment(
    volume_node: vtkMRMLScalarVolumeNode, segmentation_node: vtkMRMLSegmentationNode, segment_id: str
) -> tuple[ResultNodes, list[str]]:
    """Start from a segment of the scene, wherever its parent transform puts it; return the result and warnings.

    Raises
    ------
    BadInput : there is no such segment, it is empty, lies outside of the CT, or a non-linear transform lies between.
    """
    from ..scene import import_start, segment_in_frame_of

    stored = segment_in_frame_of(volume_node, segmentation_node, segment_id)
    return import_start(_scene_of(volume_node), volume_node, stored, segmentation_node.GetName())


def start_from_volume(
    volume_node: vtkMRMLScalarVolumeNode, other_node: vtkMRMLScalarVolumeNode, label: int | None = None
) -> tuple[ResultNodes, list[str]]:
    """Start from a label map (its one label, or the given one) or a probability in the scene; as `start_from_segment`.

    A label map is a volume of Slicer's label map class, or one with integers and a `label`.
    """
    from ..scene import import_start, volume_in_frame_of

    stored = volume_in_frame_of(volume_node, other_node, label)
    return import_start(_scene_of(volume_node), volume_node, stored, other_node.GetName())


def wall_from_file(editor: ResultEditor, path: Path) -> str:
    """Make all that a segmentation file holds a wall for a result's corrections; return the ID of the new segment.

    Raises
    ------
    BadInput : the file cannot be used, or has nothing in common with the CT.
    """
    from ..imaging import read_segment
    from ..imaging.segmentation_file import EVERY

    return add_wall_to(editor, read_segment(path, EVERY))


def wall_from_segment(editor: ResultEditor, segmentation_node: vtkMRMLSegmentationNode, segment_id: str) -> str:
    """Copy a segment of another node into the result's as a wall for its corrections; return the ID of the copy.

    Raises
    ------
    BadInput : as `start_from_segment`.
    """
    from ..scene import segment_in_frame_of

    return add_wall_to(editor, segment_in_frame_of(editor.nodes.volume, segmentation_node, segment_id))


def add_wall_to(editor: ResultEditor, stored: StoredSegment) -> str:
    """Make a segment from elsewhere a wall; return the ID of the new segment; raises BadInput as `wall_from_file`."""
    from ..scene import add_wall, write_walls

    before = editor.walls
    name = add_wall(editor.nodes, stored)
    write_walls(editor.nodes, before)
    editor.walls = (*before, name)  # applies the corrections that there are anew
    return name


def _scene_of(volume_node: vtkMRMLScalarVolumeNode) -> object:
    if volume_node is None or volume_node.GetScene() is None:
        raise BadInput("There is no CT to correct on.", "Choose the CT first.")
    return volume_node.GetScene()
