"""The segment's closed surface: in 3D views whenever the segment is not empty, and as a file for other programs.

A person wishes for the first. Files are STL or OBJ, in LPS and mm as Slicer itself writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter

from ..errors import BadInput, CannotWrite
from . import provenance
from .results import ResultNodes
from .segment import segment_id_of, segment_volume_ml
from .surface_in_parts import CLOSED_SURFACE, surfaces_in_parts

WISH = "surface"


def wants_surface(nodes: ResultNodes) -> bool:
    """Whether a changed segment shall have a surface: it has one, or has none only because it is empty."""
    return has_surface(nodes) or (is_surface_wished(nodes) and segment_volume_ml(nodes) == 0.0)


def is_surface_wished(nodes: ResultNodes) -> bool:
    """Whether it has a surface, or would have one if it were not empty."""
    return has_surface(nodes) or provenance.read(nodes.segmentation, WISH) == "true"


def has_surface(nodes: ResultNodes) -> bool:
    """Whether the surface exists now."""
    return nodes.segmentation.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)


def make_surface(nodes: ResultNodes) -> None:
    """Make the surface. That of a segmentation without a voxel is not made: VTK prints an error for it."""
    provenance.write(nodes.segmentation, WISH, "true")
    if not _is_without_voxels(nodes):
        nodes.segmentation.CreateClosedSurfaceRepresentation()


def surface_in_parts(nodes: ResultNodes) -> Iterator[None]:
    """Make the surface and show it in the 3D views, and yield after each part, so that an event loop can go on."""
    provenance.write(nodes.segmentation, WISH, "true")
    if not _is_without_voxels(nodes):
        yield from surfaces_in_parts(nodes.segmentation)
    _set_visible(nodes, True)


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
    _set_visible(nodes, visible)


def _is_without_voxels(nodes: ResultNodes) -> bool:
    is_alone = nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    return is_alone and segment_volume_ml(nodes) == 0.0


def _set_visible(nodes: ResultNodes, visible: bool) -> None:
    display: slicer.vtkMRMLSegmentationDisplayNode | None = nodes.segmentation.GetDisplayNode()
    if display is not None:
        display.SetVisibility3D(visible)


def write_surface(nodes: ResultNodes, path: Path) -> None:
    """Write the segment's closed surface, parent transforms left out, as .stl or .obj by the path's ending.

    Raises
    ------
    BadInput : the segment is empty, or the ending is another one.
    CannotWrite : the file could not be written.
    """
    if path.suffix not in (".stl", ".obj"):
        raise BadInput(f"{path.name} cannot be written: its ending is neither .stl nor .obj.")
    make_surface(nodes)
    surface = vtkPolyData()
    nodes.segmentation.GetClosedSurfaceRepresentation(segment_id_of(nodes), surface)
    if surface.GetNumberOfPoints() == 0:
        raise BadInput("The segment is empty, so it has no surface.", "Lower the threshold or add tissue.")
    to_lps = vtkTransform()
    to_lps.Scale(-1.0, -1.0, 1.0)
    turned = vtkTransformPolyDataFilter()
    turned.SetTransform(to_lps)
    turned.SetInputData(surface)
    writer = _stl_writer() if path.suffix == ".stl" else vtkOBJWriter()
    writer.SetInputConnection(turned.GetOutputPort())
    writer.SetFileName(str(path))
    if not writer.Write() or not path.is_file():
        raise CannotWrite(f"The surface could not be written to {path}.", "Check free space and permissions.")


def _stl_writer() -> vtkSTLWriter:
    writer = vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader("AttentionUNetSeg;SPACE=LPS")
    return writer
