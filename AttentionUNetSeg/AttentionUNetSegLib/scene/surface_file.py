"""The segment's surface as a file for other programs: STL or OBJ, in LPS and mm as Slicer itself writes them."""

from __future__ import annotations

from pathlib import Path

from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter

from ..errors import BadInput, InternalError
from .results import ResultNodes
from .segment import segment_id_of
from .surface import make_surface


def write_surface(nodes: ResultNodes, path: Path) -> None:
    """Write the segment's closed surface, parent transforms left out, as .stl or .obj by the path's ending.

    Raises
    ------
    BadInput : the segment is empty, or the ending is another one.
    InternalError : the file could not be written.
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
    if path.suffix == ".stl":
        writer = vtkSTLWriter()
        writer.SetFileTypeToBinary()
        writer.SetHeader("AttentionUNetSeg;SPACE=LPS")
    else:
        writer = vtkOBJWriter()
    writer.SetInputConnection(turned.GetOutputPort())
    writer.SetFileName(str(path))
    if not writer.Write() or not path.is_file():
        raise InternalError(f"The surface could not be written to {path}.", "Check free space and permissions.")
