"""The standard Red, Yellow and Green slice views, set so that a person who opens the scene sees the pancreas."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from .results import ResultNodes
from .segment import center_of_segment


@dataclass(frozen=True)
class _StandardView:
    """One of the slice views that every Slicer layout knows: name, letter, orientation and colour (0..255)."""

    name: str
    letter: str
    orientation: str
    color: tuple[int, int, int]


_STANDARD_VIEWS = (
    _StandardView("Red", "R", "Axial", (243, 74, 51)),
    _StandardView("Yellow", "Y", "Sagittal", (237, 213, 76)),
    _StandardView("Green", "G", "Coronal", (110, 176, 75)),
)


def arrange_slice_views(nodes: ResultNodes) -> None:
    """Show the CT in the standard slice views, through the pancreas, with the finest attention ready at opacity 0.

    Where the scene has no Red, Yellow and Green view, because no window was ever open on it, their nodes are
    made: a scene that the command line saves opens in Slicer at the right place. An empty segment leaves the
    positions alone.
    """
    center = center_of_segment(nodes)
    for view in _STANDARD_VIEWS:
        composite = _node(nodes.scene, "vtkMRMLSliceCompositeNode", view.name)
        if composite is None:
            composite = _add(nodes.scene, "vtkMRMLSliceCompositeNode", view.name)
        composite.SetBackgroundVolumeID(nodes.volume.GetID())
        if nodes.attention:
            composite.SetForegroundVolumeID(nodes.attention[0].GetID())
            composite.SetForegroundOpacity(0.0)
        slice_node = _node(nodes.scene, "vtkMRMLSliceNode", view.name)
        if slice_node is None:
            slice_node = _add_slice_node(nodes, view)
        if center is not None:
            slice_node.JumpSliceByOffsetting(*center)


def _node(scene: slicer.vtkMRMLScene, class_name: str, view: str) -> slicer.vtkMRMLNode | None:
    return scene.GetSingletonNode(view, class_name)


def _add(scene: slicer.vtkMRMLScene, class_name: str, view: str) -> slicer.vtkMRMLNode:
    node = scene.AddNewNodeByClassWithID(class_name, view, class_name + view)
    # The rest of the ID: any Slicer's own view of this name takes the node over.
    node.SetSingletonTag(view)
    node.SetLayoutName(view)
    return node


def _add_slice_node(nodes: ResultNodes, view: _StandardView) -> slicer.vtkMRMLSliceNode:
    """Add a slice node that shows the whole CT, as the view would be after "fit to window"."""
    node = _add(nodes.scene, "vtkMRMLSliceNode", view.name)
    node.SetLayoutLabel(view.letter)
    node.SetLayoutColor(*(channel / 255.0 for channel in view.color))
    node.SetOrientation(view.orientation)
    bounds = [0.0] * 6
    nodes.volume.GetRASBounds(bounds)
    largest = max(bounds[1] - bounds[0], bounds[3] - bounds[2], bounds[5] - bounds[4])
    node.SetFieldOfView(largest, largest, node.GetFieldOfView()[2])
    node.JumpSliceByCentering(*((bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)))
    return node
