"""The panel: its sections, the parameter node they share, and what makes them follow the scene."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..errors import AttentionUNetSegError
from ..session import Refined, RefinementFailed, WorkerReady
from .advanced_section import AdvancedSection
from .attention_section import AttentionSection
from .correction_section import CorrectionSection
from .input_section import InputSection
from .message import Message
from .parameter_binding import ParameterBinding
from .parameters import PanelParameters
from .result_section import ResultSection
from .run_section import RunSection
from .runs import LogLine, Tick

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

_LOG = logging.getLogger(__name__)


class Panel(VTKObservationMixin):
    """Everything that the module's widget does.

    Parameters
    ----------
    ui : the widgets of AttentionUNetSeg.ui by name.
    logic : an `AttentionUNetSegLogic`; the panel does everything through it.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui, self.logic = ui, logic
        self.parameters: PanelParameters | None = None
        self.editor: ResultEditor | None = None
        self._binding: ParameterBinding | None = None
        self._is_ready = False
        ui.inputWarningWidget.visible = False
        ui.progressWidget.visible = False
        self.message = Message(self)
        self.input = InputSection(self)
        self.run = RunSection(self)
        self.result_section = ResultSection(self)
        self.attention = AttentionSection(self)
        self.correction = CorrectionSection(self)
        self.advanced = AdvancedSection(self)
        self._is_ready = True
        logic.addRunListener(self._take)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_start_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self._on_scene_end_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self._on_scene_end_import)
        self.connect()

    @property
    def result(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node of the selected result."""
        return self.ui.resultSelector.currentNode()

    # --- Entered, left, closed ---

    def enter(self) -> None:
        """Turn to the scene as it is now: the person comes to the module."""
        self.connect()
        if self.editor is not None:
            with self.errors():
                self.editor.absorb_strokes()
        self.result_section.update()
        self.correction.update()

    def exit(self) -> None:
        """Give the mouse back: the person goes to another module. Runs go on."""
        self.correction.leave()

    def close(self) -> None:
        """End everything: the module is reloaded or Slicer quits.

        After a reload Slicer keeps the old widgets, hidden: nothing that still happens to them may matter.
        """
        self._is_ready = False
        self.logic.removeRunListener(self._take)
        self.input.cancel_phantom()
        self.correction.close()
        self.disconnect()
        self.removeObservers()

    def connect(self) -> None:
        """Bind the widgets to the parameter node of the scene, which is made if need be."""
        if self.parameters is not None:
            return
        self.parameters = PanelParameters(self.logic.getParameterNode())
        self._binding = ParameterBinding(self.parameters, self.ui)
        self.addObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_parameters)
        self._choose_first_nodes()
        self._on_parameters()
        self.follow_result()
        self.input.update()

    def disconnect(self) -> None:
        """Let the parameter node go."""
        if self.parameters is not None:
            self._binding.release()
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_parameters)
        self.parameters = self.editor = self._binding = None

    # --- What sections ask of each other ---

    def update_run(self) -> None:
        """Look again whether a run can start."""
        if self._is_ready:
            self.run.update()

    def follow_result(self) -> None:
        """Show the selected result everywhere."""
        if not self._is_ready:
            return
        self.editor = self.logic.editor(self.result)
        for section in (self.result_section, self.attention, self.correction):
            section.show(self.editor)

    def select_new_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> None:
        """Turn to a result that has just come, unless the person is placing clicks in another one."""
        if self.parameters is None or self.correction.is_placing:
            return
        self.ui.resultSelector.setCurrentNode(segmentation_node)
        if self.editor is None or self.editor.nodes.segmentation is not segmentation_node:
            self.follow_result()
        self.result_section.show_surface()
        with self.errors():
            self.logic.jumpToResult(segmentation_node)

    def report(self, error: Exception, retry: Callable[[], None] | None = None, has_details: bool = False) -> None:
        """Show an error to the person."""
        if not isinstance(error, AttentionUNetSegError):
            _LOG.error("Unexpected error", exc_info=error)
            has_details = True
            self.advanced.add_to_log(f"{type(error).__name__}: {error}")
        text = str(error) or type(error).__name__
        self.message.show(text, retry=retry, has_details=has_details)

    @contextmanager
    def errors(self, retry: Callable[[], None] | None = None) -> Iterator[None]:
        """Show what goes wrong inside, instead of letting it vanish in Qt's event loop."""
        try:
            yield
        except Exception as error:
            self.report(error, retry=retry)

    # --- What the scene and the runs do ---

    def _on_parameters(self, _node: object = None, _event: object = None) -> None:
        self.input.follow_parameters()
        self.attention.follow_parameters()
        self.advanced.update()

    def _on_scene_start_close(self, _scene: object, _event: object) -> None:
        self.correction.leave()
        self.input.cancel_phantom()
        self.disconnect()
        self.logic.forgetResults()
        for run in reversed(self.logic.unfinishedRuns()):
            self.logic.cancel(run.job)

    def _on_scene_end_close(self, _scene: object, _event: object) -> None:
        self.message.clear()
        self.connect()
        self.run.update()

    def _on_scene_end_import(self, _scene: object, _event: object) -> None:
        """Bind anew: the scene that was loaded brought its own parameters."""
        self.disconnect()
        self.connect()

    def _choose_first_nodes(self) -> None:
        """Where nothing is selected, select the newest result and the first volume that is no part of a result."""
        results = self.logic.results()
        if self.parameters.result is None and results:
            self.parameters.result = results[-1]
        if self.parameters.inputVolume is not None:
            return
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            is_plain = node.GetClassName() == "vtkMRMLScalarVolumeNode"  # no label map, no vector volume
            if is_plain and not node.GetAttribute("AttentionUNetSeg.role"):
                self.parameters.inputVolume = node
                return

    def _take(self, event: object) -> None:
        if isinstance(event, LogLine):
            self.advanced.add_to_log(event.text)
        elif isinstance(event, Tick):
            self.run.update()
        elif isinstance(event, (Refined, RefinementFailed)):
            self.correction.take(event)
        else:
            self.run.take(event)
            if isinstance(event, WorkerReady):
                self.advanced.update()
