"""What the slice views show of a result: probability or one gate's attention over the CT, and how it fades in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import slicer
from vtkmodules.vtkImagingCore import vtkImageMask, vtkImageShiftScale

from ..errors import BadInput
from .results import ResultNodes

# Of the scale of a field: over so much a value goes from unseen to the overlay's full opacity.
FADE = 0.25


def show_attention(
    nodes: ResultNodes,
    level: int | Literal["probability", "spread"] | None,
    opacity: float = 0.5,
    color: slicer.vtkMRMLColorNode | None = None,
    lower_threshold: float | None = None,
    composites: Iterable[slicer.vtkMRMLSliceCompositeNode] | None = None,
) -> None:
    """Put one of the result's volumes in the foreground of slice views.

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
    composites : those of the slice views; None: all of the scene.

    Raises
    ------
    BadInput : the result has no such gate, or no spread.
    """
    if composites is None:
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


class FadingOverlay:
    """Lets the overlay of slice views fade in from its lowest shown value on, instead of beginning at a hard edge.

    A colour table with an opacity ramp does not do it: vtkMRMLScalarVolumeDisplayNode joins the table's alpha with its
    threshold by a logical and, so it is 0 or 1. Therefore the ramp goes behind that, into the copies of the display
    node that the slice logics draw with. A copy draws other volumes later: the ramp is only there while the overlay is.

    Parameters
    ----------
    slice_logics : returns the vtkMRMLSliceLogic of all slice views that there are now.
    """

    def __init__(self, slice_logics: Callable[[], Iterable[Any]]) -> None:
        self._slice_logics = slice_logics
        self._volume: slicer.vtkMRMLScalarVolumeNode | None = None
        self._ramps: dict[Any, _Ramp] = {}  # by the filter that joins colours and opacity
        self._observers: dict[Any, int] = {}  # by the composite node

    def show(self, volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> bool:
        """Let this volume fade in wherever it is the foreground; return whether all such views can. None: no volume."""
        self._volume = volume_node
        can_all = True
        for logic in self._slice_logics():
            composite = logic.GetSliceCompositeNode()
            if composite not in self._observers and volume_node is not None:
                self._observers[composite] = composite.AddObserver("ModifiedEvent", self._on_composite, -1.0)
            can_all = self._update(logic) and can_all
        return can_all

    def close(self) -> None:
        """Draw as before, and observe nothing any more."""
        self.show(None)
        for composite, tag in self._observers.items():
            composite.RemoveObserver(tag)
        self._observers.clear()

    def _on_composite(self, composite: Any, _event: str) -> None:
        for logic in self._slice_logics():
            if logic.GetSliceCompositeNode() is composite:
                self._update(logic)

    def _update(self, logic: Any) -> bool:
        layer, shown = logic.GetForegroundLayer(), logic.GetSliceCompositeNode().GetForegroundVolumeID()
        overlay = None if self._volume is None or shown != self._volume.GetID() else self._volume
        displays = () if layer is None else (layer.GetVolumeDisplayNode(), layer.GetVolumeDisplayNodeUVW())
        can = True
        for display in displays:
            joining = display and display.GetOutputImageDataConnection().GetProducer()
            if not joining:
                continue
            ramp = self._ramps.get(joining)
            if overlay is not None and ramp is None:
                ramp = _Ramp.behind(joining)
                can = can and ramp is not None
            if ramp is None:
                continue
            if overlay is not None:
                lowest = overlay.GetDisplayNode().GetLowerThreshold()
                ramp.rise(lowest, min(lowest + 255 * FADE, 255.0))
                self._ramps[joining] = ramp
            else:
                del self._ramps[joining]
                ramp.remove()
        return can


class _Ramp:
    """An opacity that rises with the value, where there was one that is 0 or 255, and is 0 where that is."""

    def __init__(self, joining: Any, colors: Any, opacity: Any, threshold: Any) -> None:
        self._joining, self._colors, self._opacity, self._threshold = joining, colors, opacity, threshold
        self._rising, self._masked = vtkImageShiftScale(), vtkImageMask()
        self._rising.SetOutputScalarTypeToUnsignedChar()
        self._rising.ClampOverflowOn()
        self._masked.SetInputConnection(0, self._rising.GetOutputPort())
        self._masked.SetInputConnection(1, opacity)
        self._join(self._masked.GetOutputPort())

    @classmethod
    def behind(cls, joining: Any) -> _Ramp | None:
        """Put one before the filter that joins colours and opacity; None where a display node is built otherwise."""
        if joining.GetClassName() != "vtkImageAppendComponents" or joining.GetNumberOfInputConnections(0) != 2:
            return None
        colors, opacity = (joining.GetInputConnection(0, n) for n in range(2))
        logic = opacity.GetProducer()
        if logic.GetClassName() != "vtkImageLogic":
            return None
        threshold = logic.GetInputConnection(0, 0).GetProducer()
        if threshold.GetClassName() != "vtkImageThreshold":
            return None
        return cls(joining, colors, opacity, threshold)

    def rise(self, low: float, high: float) -> None:
        """Rise from 1 of 255 at the one value to 255 at the other."""
        self._rising.SetInputConnection(self._threshold.GetInputConnection(0, 0))
        self._rising.SetShift(1.0 - low)
        self._rising.SetScale(255.0 / max(high - low, 1.0))

    def remove(self) -> None:
        """Join the colours with what was there before."""
        self._join(self._opacity)

    def _join(self, opacity: Any) -> None:
        self._joining.RemoveAllInputs()
        self._joining.AddInputConnection(0, self._colors)
        self._joining.AddInputConnection(0, opacity)
