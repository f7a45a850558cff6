"""Widgets bound to the parameter node, and let go again completely, in every Slicer."""

from __future__ import annotations

from typing import Any

from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName

from .parameters import PanelParameters


class ParameterBinding:
    """The widgets that the .ui file binds to parameters, bound until `release`.

    `connectGui` of the wrapper does the same, but before Slicer 5.13 it does not give back what `disconnectGui` needs
    (Slicer/Slicer#8667), and `disconnectGui` leaves an observer on the node (Slicer/Slicer#9063). That observer holds
    the wrapper, which holds the node: Python collects such a circle while VTK still calls into it, and Slicer crashes.
    """

    def __init__(self, parameters: PanelParameters, ui: Any) -> None:
        self._parameters = parameters
        self._observers: list[int] = []
        parameters.AddObserver = self._add_observer  # what the wrapper calls to watch its node
        try:
            self._tag = parameters.connectParametersToGui(_bound_widgets(ui))
        finally:
            del parameters.AddObserver

    def release(self) -> None:
        """Let widgets and node go."""
        self._parameters.disconnectGui(self._tag)
        for observer in self._observers:
            self._parameters.parameterNode.RemoveObserver(observer)
        self._observers.clear()

    def _add_observer(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        self._observers.append(self._parameters.parameterNode.AddObserver(event, callback, priority))
        return self._observers[-1]


def _bound_widgets(ui: Any) -> dict[str, Any]:
    """Return the widgets that are bound to a parameter, by the parameter's name."""
    bound = {widget.property(SlicerParameterNamePropertyName): widget for widget in vars(ui).values()}
    return {name: widget for name, widget in bound.items() if name}
