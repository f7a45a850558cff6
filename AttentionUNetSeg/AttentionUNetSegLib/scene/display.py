"""What the slice views show of a result: probability or one gate's attention over the CT."""

from __future__ import annotations

from typing import Literal

import slicer

from ..errors import BadInput
from .results import ResultNodes


def show_attention(
    nodes: ResultNodes,
    level: int | Literal["probability", "spread"] | None,
    opacity: float = 0.5,
    color: slicer.vtkMRMLColorNode | None = None,
    lower_threshold: float | None = None,
) -> None:
    """Put one of the result's volumes in the foreground of every slice view of the scene.

    A scene without slice views only gets the display properties. Background and label layers stay as they
    are.

    Parameters
    ----------
    level : 1 for the finest gate, 2 for the next, ..., "probability" (the corrected one, where there is one), "spread"
        (of the network's probability, with test-time augmentation), or None to take this result's volume away again (a
        foreground that is not of this result is left alone).
    opacity : of the foreground, 0..1.
    color : colour node of the shown volume; None keeps the present one (Inferno at first).
    lower_threshold : hide what lies below this fraction of 1; None keeps the present one.

    Raises
    ------
    BadInput : the result has no such gate, or no spread.
    """
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", nodes.scene)
    if level is None:
        ours = {node.GetID() for node in (nodes.probability, nodes.field, nodes.spread, *nodes.attention) if node}
        for composite in composites:
            if composite.GetForegroundVolumeID() in ours:
                composite.SetForegroundVolumeID(None)
        return
    node = _volume_of(nodes, level)
    display = node.GetDisplayNode()
    if color is not None:
        display.SetAndObserveColorNodeID(color.GetID())
    if lower_threshold is not None:
        display.SetThreshold(round(lower_threshold * 255), 255)
        display.ApplyThresholdOn()
    for composite in composites:
        composite.SetForegroundVolumeID(node.GetID())
        composite.SetForegroundOpacity(opacity)


def _volume_of(nodes: ResultNodes, level: int | str) -> slicer.vtkMRMLScalarVolumeNode:
    if level == "probability":
        return nodes.field
    name = nodes.segmentation.GetName()
    if level == "spread":
        if nodes.spread is None:
            raise BadInput(f"{name} has no spread.", "Segment the CT with test-time augmentation.")
        return nodes.spread
    gates = nodes.gates
    if level not in gates:
        there = ", ".join(str(each) for each in gates) or "none"
        raise BadInput(f"{name} has no attention volume of gate {level} (there are: {there}).", "Segment the CT again.")
    return gates[level]
