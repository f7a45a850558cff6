"""Placing points in the views with the mouse, into one point list at a time."""

from __future__ import annotations

from collections.abc import Callable

import slicer


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
