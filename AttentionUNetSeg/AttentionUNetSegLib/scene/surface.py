"""The segment's closed surface for 3D views: wished for by a person, there whenever the segment is not empty."""

from __future__ import annotations

import slicer

from . import provenance
from .results import ResultNodes
from .segment import segment_volume_ml

CLOSED_SURFACE = "Closed surface"
WISH = "surface"


def wants_surface(nodes: ResultNodes) -> bool:
    """Whether a changed segment shall have a surface: it has one, or has none only because it is empty."""
    if has_surface(nodes):
        return True
    return provenance.read(nodes.segmentation, WISH) == "true" and segment_volume_ml(nodes) == 0.0


def has_surface(nodes: ResultNodes) -> bool:
    """Whether the surface exists now."""
    return nodes.segmentation.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)


def make_surface(nodes: ResultNodes) -> None:
    """Make the surface. That of a segmentation without a voxel is not made: VTK prints an error for it."""
    provenance.write(nodes.segmentation, WISH, "true")
    is_alone = nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    if not (is_alone and segment_volume_ml(nodes) == 0.0):
        nodes.segmentation.CreateClosedSurfaceRepresentation()


def drop_surface(nodes: ResultNodes) -> None:
    """Remove the surface of a segment that becomes empty; it comes back with the first voxel."""
    if nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1:
        provenance.write(nodes.segmentation, WISH, "true")
        nodes.segmentation.RemoveClosedSurfaceRepresentation()


def remove_surface(nodes: ResultNodes) -> None:
    """Remove the surface until it is wished for again."""
    provenance.write(nodes.segmentation, WISH, "false")
    nodes.segmentation.RemoveClosedSurfaceRepresentation()


def show_surface(nodes: ResultNodes, visible: bool) -> None:
    """Make the surface and show it in the 3D views, or remove it."""
    (make_surface if visible else remove_surface)(nodes)
    display: slicer.vtkMRMLSegmentationDisplayNode | None = nodes.segmentation.GetDisplayNode()
    if display is not None:
        display.SetVisibility3D(visible)
