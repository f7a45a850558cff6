"""The gland's centre line with head, body and tail, as it was measured, drawn in the views."""

from __future__ import annotations

import json

import numpy as np
import slicer

from ..measure import CentreLine
from . import provenance
from .filing import file_in_folder_of
from .measurement_age import are_old
from .results import CENTRE_LINE_REFERENCE, ResultNodes

LINE = "centre_line"
COLOR = (0.1, 1.0, 1.0)
EVERY_MM = 10.0


def show_centre_line(nodes: ResultNodes, is_shown: bool) -> slicer.vtkMRMLMarkupsCurveNode | None:
    """Draw the centre line of the result's measurements, or take it away; return its node.

    None where it is not wished for, was not measured, or is of another segment than that of now.
    """
    table, node = nodes.measurements, nodes.centre_line
    kept = provenance.read(table, LINE) if table is not None else None
    if not is_shown or not kept or are_old(nodes):
        if node is not None:
            nodes.scene.RemoveNode(node)
        return None
    if node is None:
        node = _new_curve(nodes)
    if provenance.read(node, LINE) != kept:
        _draw(node, CentreLine.of_json(json.loads(kept)))
        provenance.write(node, LINE, kept)
    return node


def _new_curve(nodes: ResultNodes) -> slicer.vtkMRMLMarkupsCurveNode:
    name = nodes.scene.GenerateUniqueName(f"{nodes.segmentation.GetName()} centre line")
    node = nodes.scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", name)
    node.SetAndObserveTransformNodeID(nodes.probability.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    for set_color in (display.SetSelectedColor, display.SetColor):
        set_color(*COLOR)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetGlyphScale(1.0)
    provenance.stamp(node, LINE, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(CENTRE_LINE_REFERENCE, node.GetID())
    file_in_folder_of(nodes.segmentation, node)
    return node


def _draw(node: slicer.vtkMRMLMarkupsCurveNode, line: CentreLine) -> None:
    """Put points along the line into the curve: its ends, one every so often, and where the parts meet."""
    names = {line.neck_mm: "head | body", line.tail_mm: "body | tail"}
    along = np.linspace(0.0, line.length_mm, max(2, round(line.length_mm / EVERY_MM) + 1))
    modifying = node.StartModify()
    node.SetLocked(False)
    node.RemoveAllControlPoints()
    for distance in sorted({*along.tolist(), *names}):
        place, _direction = line.place_lps(distance)
        n = node.AddControlPoint(-float(place[0]), -float(place[1]), float(place[2]))
        node.SetNthControlPointLabel(n, names.get(distance, ""))
    node.SetLocked(True)
    node.EndModify(modifying)
