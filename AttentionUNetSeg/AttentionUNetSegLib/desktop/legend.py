"""Slicer's colour legend of an overlay, and a contour that does not drown in its colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..scene import ResultNodes
from ..scene.segment import segment_id_of

_LABELS = 5
# Contours that an overlay may be crossed by: the one furthest from all of its colours is taken.
_CONTOURS = ((0.1, 1.0, 1.0), (0.2, 1.0, 0.2), (1.0, 1.0, 1.0), (1.0, 0.2, 1.0), (1.0, 1.0, 0.1))


def show_legend(nodes: ResultNodes, volume_node: slicer.vtkMRMLScalarVolumeNode | None, title: str) -> None:
    """Show in the slice views which colour of a field stands for what; None takes the result's legends away."""
    logic = slicer.modules.colors.logic()
    for each in (nodes.probability, nodes.corrected, nodes.spread, *nodes.gates.values()):
        legend = logic.GetColorLegendDisplayNode(each) if each is not None else None
        if legend is not None and each is not volume_node:
            legend.SetVisibility(False)
    if volume_node is None:
        return
    legend = logic.AddDefaultColorLegendDisplayNode(volume_node)
    if legend is None:  # a Slicer without legends
        return
    legend.SetAndObserveColorNodeID(volume_node.GetDisplayNode().GetColorNodeID())
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.0f")
    legend.SetNumberOfLabels(_LABELS)
    legend.SetVisibility3D(False)
    legend.SetVisibility(True)


def let_contour_stand_out(nodes: ResultNodes, color_node: Any) -> None:
    """Draw the result's contour in a colour that the overlay does not have; None: in the segment's own again.

    The segment's own colour stays what it is.
    """
    display = nodes.segmentation.GetDisplayNode()
    if display is None:
        return
    segment_id = segment_id_of(nodes)
    if color_node is None:
        display.UnsetSegmentOverrideColor(segment_id)
    else:
        display.SetSegmentOverrideColor(segment_id, *contour_color(color_node))


def contour_color(color_node: Any) -> tuple[float, float, float]:
    """Return the colour, of a few bright ones, that is furthest from all colours of a table."""
    table, rgba = [], [0.0] * 4
    for index in range(color_node.GetNumberOfColors()):
        color_node.GetColor(index, rgba)
        table.append(rgba[:3])
    if not table:
        return _CONTOURS[0]
    apart = [np.linalg.norm(np.array(table) - color, axis=1).min() for color in _CONTOURS]
    return _CONTOURS[int(np.argmax(apart))]
