"""What is chosen in the panel: parameters as a node of the scene, the widgets bound to them, the selected result."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import slicer
from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName, WithinRange, parameterNodeWrapper

from ..errors import BadInput, InternalError

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

# No `from __future__ import annotations`: the wrapper reads the annotations of the class.


@parameterNodeWrapper
class PanelParameters:
    """What the person has chosen; camelCase, because the names are written into scenes and bound in the .ui file.

    How a result is made (threshold, smoothing, clicks, ...) is kept on the result itself: a scene may hold several.

    inputVolume, roi, result : nodes; model : id of the model package, "" for the default one.
    show3D : whether new results show their surface; showOnlyThis : whether all other results are hidden.
    overlay : "", "probability", "spread", or the number of a gate; overlayOpacity, overlayThreshold : fractions.
    legend : whether the slice views tell which colour stands for which value.
    centreLine : whether the centre line of the measurements is drawn.
    device, testTimeAugmentation : as in `SegmentRequest`.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    roi: slicer.vtkMRMLMarkupsROINode
    result: slicer.vtkMRMLSegmentationNode
    overlayColor: slicer.vtkMRMLColorNode
    model: str = ""
    show3D: bool = True
    showOnlyThis: bool = True
    overlay: str = ""
    overlayOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    overlayThreshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.2
    legend: bool = True
    centreLine: bool = False
    device: str = "auto"
    testTimeAugmentation: bool = False

    if TYPE_CHECKING:  # what the wrapper adds

        def __init__(self, node: slicer.vtkMRMLScriptedModuleNode) -> None: ...

        parameterNode: slicer.vtkMRMLScriptedModuleNode
        AddObserver: Any
        connectParametersToGui: Callable[[dict[str, Any]], Any]
        disconnectGui: Callable[[Any], None]


class Selection:
    """What all sections of the panel act on.

    Attributes
    ----------
    parameters : those of the scene; None while it is being closed.
    editor : that of the selected result; None where none is selected, or one that can no longer be changed.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.parameters: PanelParameters | None = None
        self.editor: ResultEditor | None = None

    def require_parameters(self) -> PanelParameters:
        """Return the parameters; raises InternalError while the scene is being closed."""
        if self.parameters is None:
            raise InternalError("The scene is being closed.")
        return self.parameters

    def require_editor(self) -> "ResultEditor":
        """Return the editor of the selected result; raises BadInput where there is none."""
        if self.editor is None:
            raise BadInput("No result is selected.", "Choose one, or segment a CT.")
        return self.editor

    @property
    def volume(self) -> Any:
        """The volume node of the selected CT, or None."""
        return self._ui.inputVolumeSelector.currentNode()

    @property
    def result(self) -> Any:
        """The segmentation node of the selected result, or None."""
        return self._ui.resultSelector.currentNode()


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
