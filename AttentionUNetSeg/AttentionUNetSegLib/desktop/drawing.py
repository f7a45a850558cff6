"""Drawing in the views with Slicer's own markups: place mode; strokes, lassos and boxes until they are taken over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..scene import ResultNodes
from ..scene.clicks import ADD_COLOR, REMOVE_COLOR

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

CLICK, STROKE, LASSO, BOX = "click", "stroke", "lasso", "box"
TOOLS = (CLICK, STROKE, LASSO, BOX)
_CLASSES = {
    STROKE: "vtkMRMLMarkupsCurveNode",
    LASSO: "vtkMRMLMarkupsClosedCurveNode",
    BOX: "vtkMRMLMarkupsROINode",
}
_BOX_MM = 40.0


class PlaceMode:
    """Slicer's place mode for a point list. It stays until `stop`, or until the person takes another tool.

    Parameters
    ----------
    on_change : called when place mode, or the list that it places into, has changed, whoever changed it.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        logic = slicer.app.applicationLogic()
        self._selection = logic.GetSelectionNode()
        self._interaction = logic.GetInteractionNode()
        observed = (
            (self._interaction, slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent),
            (self._selection, slicer.vtkMRMLSelectionNode.ActivePlaceNodeIDChangedEvent),
        )
        self._observers = [(node, node.AddObserver(event, lambda *_: on_change())) for node, event in observed]

    def start(self, markups_node: slicer.vtkMRMLMarkupsNode, is_persistent: bool = True) -> None:
        """Let every click in a view place a point into this list; not persistent: until the person ends the curve."""
        self._selection.SetReferenceActivePlaceNodeClassName(markups_node.GetClassName())
        self._selection.SetReferenceActivePlaceNodeID(markups_node.GetID())
        self._interaction.SetPlaceModePersistence(int(is_persistent))
        self._interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)

    def stop(self) -> None:
        """Give the mouse back to the views."""
        self._interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)

    def is_on(self, markups_node: slicer.vtkMRMLMarkupsNode | None) -> bool:
        """Whether clicks go into this list now."""
        if markups_node is None:
            return False
        placing = self._interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
        return placing and self._selection.GetActivePlaceNodeID() == markups_node.GetID()

    def close(self) -> None:
        """Observe nothing any more."""
        for node, tag in self._observers:
            node.RemoveObserver(tag)
        self._observers.clear()


class Drawing:
    """One markups node at a time. It is no part of the result: taken over or dropped, it leaves the scene."""

    def __init__(self, place_mode: PlaceMode) -> None:
        self._place_mode = place_mode
        self._node: slicer.vtkMRMLMarkupsNode | None = None
        self._kind = ""
        self.positive = True

    @property
    def is_on(self) -> bool:
        """Whether something is being drawn."""
        return self._node is not None

    @property
    def is_ended(self) -> bool:
        """Whether the person has ended a stroke or lasso, with the right button or with another tool."""
        return self._node is not None and self._kind != BOX and not self._place_mode.is_on(self._node)

    def start(self, kind: str, positive: bool, nodes: ResultNodes) -> None:
        """Begin: the next clicks in a view draw a stroke or lasso; a box appears with handles."""
        self.drop()
        node = nodes.scene.AddNewNodeByClass(_CLASSES[kind], tool_name(kind))
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        color = ADD_COLOR if positive else REMOVE_COLOR
        display = node.GetDisplayNode()
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        self._node, self._kind, self.positive = node, kind, positive
        if kind == BOX:
            node.SetCenter(*_middle_of_slices(nodes.scene))
            node.SetSize(_BOX_MM, _BOX_MM, _BOX_MM)
            display.SetHandlesInteractive(True)
        else:
            self._place_mode.start(node, is_persistent=False)

    def finish(self, editor: ResultEditor) -> bool:
        """Take over what was drawn as a correction; return False where nothing was. The drawing is gone then."""
        node, kind = self._node, self._kind
        try:
            if node is None or node.GetScene() is None:
                return False
            if kind == BOX:
                editor.add_region(node, self.positive)
                return True
            positions = _positions_of(node)
            if len(positions) == 0:
                return False
            (editor.add_stroke if kind == STROKE else editor.add_lasso)(positions, self.positive)
            return True
        finally:
            self.drop()

    def drop(self) -> None:
        """Take the drawing away."""
        node, self._node = self._node, None
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)


def tool_name(kind: str) -> str:
    """Return a tool's name for people."""
    return {CLICK: _("Click"), STROKE: _("Stroke"), LASSO: _("Lasso"), BOX: _("Box")}[kind]


def hint(kind: str) -> str:
    """Return in a sentence how to draw."""
    return {
        STROKE: _("Click along what you mean. A right click ends the stroke."),
        LASSO: _("Click around what you mean, in one slice. A right click ends the lasso."),
        BOX: _("Drag the box's handles, then press the button again."),
    }[kind]


def _positions_of(curve: slicer.vtkMRMLMarkupsCurveNode) -> list[tuple[float, float, float]]:
    """Return the curve's points, world RAS in mm; its placed points where there is no curve between them yet."""
    for n in reversed(range(curve.GetNumberOfControlPoints())):
        if curve.GetNthControlPointPositionStatus(n) != curve.PositionDefined:
            curve.RemoveNthControlPoint(n)  # the one under the mouse
    count = curve.GetNumberOfControlPoints()
    if count < 2:
        points = [curve.GetNthControlPointPositionWorld(n) for n in range(count)]
    else:
        points = slicer.util.arrayFromMarkupsCurvePoints(curve, world=True)
    return [(float(r), float(a), float(s)) for r, a, s in np.asarray(points).reshape(-1, 3)]


def _middle_of_slices(scene: slicer.vtkMRMLScene) -> list[float]:
    """Return where the slice views lie: each gives its own direction's coordinate where it is along the axes."""
    slices = slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)
    middle = [0.0, 0.0, 0.0]
    for node in slices:
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        axis = int(np.abs(matrix[:3, 2]).argmax())
        middle[axis] = float(matrix[axis, 3])
    return middle
