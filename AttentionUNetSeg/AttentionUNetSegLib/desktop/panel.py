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
from ..session import WorkerReady
from .advanced_section import AdvancedSection
from .attention_section import AttentionSection
from .correction_section import CorrectionSection
from .input_section import InputSection
from .keys import Keys
from .measurements_section import MeasurementsSection
from .message import Message
from .own_nodes import is_own
from .parameter_binding import ParameterBinding
from .parameters import PanelParameters
from .place_section import PlaceSection
from .result_section import ResultSection
from .run_section import RunSection
from .runs import LogLine, Tick
from .scene_follower import SceneFollower
from .shown_result import ShownResult
from .start_section import StartSection

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
        self.shown = ShownResult(self)
        self.place = PlaceSection(self)
        self.result_section = ResultSection(self)
        self.attention = AttentionSection(self)
        self.correction = CorrectionSection(self)
        self.measurements = MeasurementsSection(self)
        self.start_section = StartSection(self)
        self.advanced = AdvancedSection(self)
        self.keys = Keys(self)
        self._is_ready = True
        logic.addRunListener(self._take)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_start_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self._on_scene_end_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self._on_scene_end_import)
        self._follower = SceneFollower(self._on_new_views, self._on_nodes)
        self.connect()

    @property
    def result(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node of the selected result."""
        return self.ui.resultSelector.currentNode()

    # --- Entered, left, closed ---

    def enter(self) -> None:
        """Turn to the scene as it is now: the person comes to the module."""
        self.connect()
        self.input.hide_own_volumes()
        if self.editor is not None:
            with self.errors(is_action=False):
                self.editor.absorb_strokes()
        self.result_section.update()
        self.correction.update()
        self.place.update()
        self.keys.enable(True)

    def exit(self) -> None:
        """Give the mouse and the keys back: the person goes to another module. Runs go on."""
        self.keys.enable(False)
        self.correction.leave()

    def close(self) -> None:
        """End everything: the module is reloaded or Slicer quits.

        After a reload Slicer keeps the old widgets, hidden: nothing that still happens to them may matter.
        """
        self._is_ready = False
        self.logic.removeRunListener(self._take)
        self.keys.close()
        self.input.cancel_phantom()
        self.correction.close()
        self.attention.close()
        self.measurements.cancel()
        self.start_section.close()
        self.place.close()
        self._follower.close()
        self.disconnect()
        self.removeObservers()

    def connect(self) -> None:
        """Bind the widgets to the parameter node of the scene, which is made if need be."""
        if self.parameters is not None:
            return
        self.parameters = PanelParameters(self.logic.getParameterNode())
        self._binding = ParameterBinding(self.parameters, self.ui)
        self.addObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_parameters)
        self.input.hide_own_volumes()
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
            self.start_section.update()

    def follow_result(self, is_new: bool = False) -> None:
        """Show the selected result everywhere, views included."""
        if not self._is_ready:
            return
        self.editor = self.logic.editor(self.result)
        if self.parameters is not None and self.editor is not None:
            # The result first: any change of the node brings the widgets back to what the node says.
            if self.parameters.result is not self.result:
                self.parameters.result = self.result
            if self.input.volume is not self.editor.nodes.volume:
                self.parameters.inputVolume = self.editor.nodes.volume
        for section in (self.result_section, self.attention, self.correction, self.measurements, self.place):
            section.show(self.editor)
        self.shown.show(self.editor, is_new)

    def follow_volume(self) -> None:
        """Show the selected CT: with its newest result where it has one, or else without any."""
        if not self._is_ready or self.parameters is None:
            return
        volume = self.input.volume
        if volume is None or (self.editor is not None and self.editor.nodes.volume is volume):
            return
        own = [node for node in self.logic.results() if self.logic.editor(node).nodes.volume is volume]
        newest = own[-1] if own else None
        if self.parameters.inputVolume is not volume:
            self.parameters.inputVolume = volume
        if newest is not self.result:
            self.parameters.result = newest
        else:
            self.follow_result()

    def select_new_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> bool:
        """Turn to a result that has just come, unless the person has turned to something else; return whether."""
        if self.parameters is None or self.correction.is_placing:
            return False
        editor = self.logic.editor(segmentation_node)
        if editor is None or self.input.volume not in (None, editor.nodes.volume):
            return False
        self.select_result(segmentation_node, is_new=True)
        return True

    def select_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode | None, is_new: bool = False) -> None:
        """Select a result, or none, and show it."""
        was_selected = self.result is segmentation_node
        self.shown.is_next_new = is_new
        self.ui.resultSelector.setCurrentNode(segmentation_node)
        if was_selected or self.editor is None or self.editor.nodes.segmentation is not segmentation_node:
            self.follow_result(is_new)
        self.shown.is_next_new = False
        if is_new:
            self.result_section.show_surface()
            self.shown.look()

    def report(self, error: Exception, retry: Callable[[], None] | None = None, **options: Any) -> None:
        """Show an error to the person; the options are those of a notice."""
        if not isinstance(error, AttentionUNetSegError):
            _LOG.error("Unexpected error", exc_info=error)
            options["has_details"] = True
            self.advanced.add_to_log(f"{type(error).__name__}: {error}")
        text = str(error) or type(error).__name__
        self.message.show(text, retry=retry, is_error=True, **options)

    @contextmanager
    def errors(self, is_action: bool = True, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Show what goes wrong inside, instead of letting it vanish in Qt's event loop; `but` these pass through.

        Where nothing does and it `is_action`, something that a person did, an earlier error is over.
        """
        try:
            yield
        except but:
            raise
        except Exception as error:
            self.report(error)
        else:
            if is_action:
                self.message.drop_errors()

    # --- What the scene and the runs do ---

    def _on_parameters(self, _node: object = None, _event: object = None) -> None:
        self.input.follow_parameters()
        self.attention.follow_parameters()
        self.advanced.update()

    def _on_new_views(self) -> None:
        if self.parameters is not None:
            self.shown.show(self.editor, is_new=False)
            self.attention.apply()

    def _on_nodes(self) -> None:
        """Look at the scene again after nodes have come or gone."""
        if self.parameters is None:
            return
        self.input.hide_own_volumes()
        self.start_section.update()
        self.message.drop_gone()
        editor = self.logic.editor(self.result)
        if editor is not self.editor:
            self.follow_result()
            return
        if editor is None:
            return
        is_changed = False
        with self.errors(is_action=False):
            is_changed = editor.restore_missing()
        self.attention.show(editor)
        self.place.show(editor)
        if is_changed:
            self.result_section.update()
            self.correction.show(editor)

    def _on_scene_start_close(self, _scene: object, _event: object) -> None:
        self.correction.leave()
        self.input.cancel_phantom()
        self.measurements.cancel()
        self._follower.drop()
        self.disconnect()
        self.logic.forgetResults()
        for run in reversed(self.logic.unfinishedRuns()):
            self.logic.cancel(run.job)

    def _on_scene_end_close(self, _scene: object, _event: object) -> None:
        self.message.clear_all()
        self.connect()
        self.run.update()

    def _on_scene_end_import(self, _scene: object, _event: object) -> None:
        """Bind anew: the scene that was loaded brought its own parameters."""
        self.disconnect()
        self.connect()

    def _choose_first_nodes(self) -> None:
        """Where nothing is selected, select the newest result and its CT, or the first volume of the scene."""
        results = self.logic.results()
        if self.parameters.result is None and results and self.parameters.inputVolume is None:
            self.parameters.result = results[-1]
        if self.parameters.inputVolume is not None:
            return
        editor = self.logic.editor(self.parameters.result)
        if editor is not None:
            self.parameters.inputVolume = editor.nodes.volume
            return
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            is_plain = node.GetClassName() == "vtkMRMLScalarVolumeNode"  # no label map, no vector volume
            if is_plain and not is_own(node):
                self.parameters.inputVolume = node
                return

    def _take(self, event: object) -> None:
        if isinstance(event, LogLine):
            self.advanced.add_to_log(event.text)
        elif isinstance(event, Tick):
            self.run.update()
        else:
            self.run.take(event)
            if isinstance(event, WorkerReady):
                self.advanced.update()
