"""What a result does to the views: the slices jump to it, its surface is shown in 3D."""

from __future__ import annotations

import slicer

from ..scene import ResultNodes, center_of_segment
from ..scene.surface import CLOSED_SURFACE


def jump_to(nodes: ResultNodes) -> None:
    """Move all slice views to where they cut most of the segment; what they show stays as it is."""
    center = center_of_segment(nodes)
    if center is not None:
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", nodes.scene):
            view.JumpSliceByOffsetting(*center)


def has_surface(nodes: ResultNodes) -> bool:
    """Whether the surface of the segment exists now."""
    return nodes.segmentation.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)


def show_surface(nodes: ResultNodes, visible: bool) -> None:
    """Make the surface of the segment and show it in the 3D views, or remove it."""
    if visible:
        nodes.segmentation.CreateClosedSurfaceRepresentation()
    else:
        nodes.segmentation.RemoveClosedSurfaceRepresentation()
    display = nodes.segmentation.GetDisplayNode()
    if display is not None:
        display.SetVisibility3D(visible)
