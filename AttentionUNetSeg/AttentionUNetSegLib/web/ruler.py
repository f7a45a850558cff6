"""Distances and areas that a person draws in a slice: real markups, saved with the scene, with their numbers in mm."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from trame_slicer.views import SliceView

from .workspace import Workspace

DISTANCE, AREA = "distance", "area"
_COLOR = (0.45, 0.85, 1.0)
# Of a contour that is drawn by hand.
_POINT_EVERY_PIXELS = 6.0
_CLASSES = {DISTANCE: "vtkMRMLMarkupsLineNode", AREA: "vtkMRMLMarkupsClosedCurveNode"}

Position = tuple[float, float, float]


class Ruler:
    """Draws one measurement at a time, while the left button is held.

    State: `measurements`, a list of dicts (id, text).
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._node: slicer.vtkMRMLMarkupsNode | None = None
        self._last: tuple[float, float] | None = None
        workspace.server.state.measurements = []
        workspace.server.controller.add("remove_measurement")(self.remove)
        workspace.server.controller.add("remove_measurements")(self.remove_all)

    def begin(self, tool: str, view: SliceView, event: dict[str, Any]) -> None:
        """Begin a measurement where the button was pressed."""
        number = sum(node.IsA(_CLASSES[tool]) for node in self._nodes()) + 1
        node = self._workspace.scene.AddNewNodeByClass(_CLASSES[tool], f"{tool.capitalize()} {number}")
        node.CreateDefaultDisplayNodes()
        node.SetAttribute("AttentionUNetSeg.measurement", tool)
        display = node.GetDisplayNode()
        display.SetSelectedColor(*_COLOR)
        display.SetColor(*_COLOR)
        display.SetGlyphScale(1.2)
        display.SetTextScale(2.6)
        display.SetPropertiesLabelVisibility(True)
        display.SetPointLabelsVisibility(False)
        display.SetVisibility3D(False)
        for _ in range(2 if tool == DISTANCE else 1):
            node.AddControlPointWorld(*event["ras"])
        if tool == AREA:
            node.SetCurveTypeToLinear()
            node.GetMeasurement("length").SetEnabled(False)
            node.GetMeasurement("area").SetEnabled(True)
        self._node, self._last = node, (event["x"], event["y"])

    def follow(self, event: dict[str, Any]) -> None:
        """Draw on to where the mouse is now."""
        node = self._node
        if node is None or self._last is None:
            return
        if node.IsA(_CLASSES[DISTANCE]):
            node.SetNthControlPointPositionWorld(1, *event["ras"])
        elif np.hypot(event["x"] - self._last[0], event["y"] - self._last[1]) >= _POINT_EVERY_PIXELS:
            node.AddControlPointWorld(*event["ras"])
            self._last = (event["x"], event["y"])

    def end(self) -> None:
        """Keep what was drawn, unless it is no more than a dot."""
        node, self._node = self._node, None
        if node is None:
            return
        is_line = node.IsA(_CLASSES[DISTANCE])
        if (is_line and node.GetLineLengthWorld() < 0.5) or (not is_line and node.GetNumberOfControlPoints() < 3):
            self._workspace.scene.RemoveNode(node)
            return
        node.SetLocked(True)
        self.publish()

    def cancel(self) -> None:
        """Take away what is being drawn."""
        if self._node is not None:
            self._workspace.scene.RemoveNode(self._node)
            self._node = None

    def remove(self, node_id: str) -> None:
        """Delete one measurement."""
        for node in self._nodes():
            if node.GetID() == node_id:
                self._workspace.scene.RemoveNode(node)
        self.publish()

    def remove_all(self) -> None:
        """Delete all measurements."""
        for node in self._nodes():
            self._workspace.scene.RemoveNode(node)
        self.publish()

    def publish(self) -> None:
        """Write the measurements into the page's state."""
        listed = [{"id": node.GetID(), "text": f"{node.GetName()}: {_text(node)}"} for node in self._nodes()]
        self._workspace.show(measurements=listed)

    def _nodes(self) -> list[slicer.vtkMRMLMarkupsNode]:
        nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsNode", self._workspace.scene)
        return [node for node in nodes if node.GetAttribute("AttentionUNetSeg.measurement")]


def _text(node: slicer.vtkMRMLMarkupsNode) -> str:
    if node.IsA(_CLASSES[DISTANCE]):
        return f"{node.GetLineLengthWorld():.1f} mm"
    points = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
    return f"{area_mm2(points) / 100:.2f} cm²"


def area_mm2(points: np.ndarray) -> float:
    """Return the area (mm²) of the flat polygon through points (n, 3) in mm."""
    apart = points - points[0]
    crosses = np.cross(apart, np.roll(apart, -1, axis=0))
    return float(np.linalg.norm(crosses.sum(axis=0)) / 2)
