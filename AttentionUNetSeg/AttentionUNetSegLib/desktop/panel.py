"""The panel: its sections, the parameter node they share, and what makes them follow the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from .advanced_section import AdvancedSection
from .choosable_volumes import is_own
from .correction_section import CorrectionSection
from .delayed_call import DelayedCall
from .input_section import InputSection
from .measurements_section import MeasurementsSection
from .messages import Messages
from .overlay_section import OverlaySection
from .parameters import PanelParameters, ParameterBinding, Selection
from .result_section import PlaceBanner, ResultSection
from .run_section import RunSection
from .start_section import StartSection
from .views import SurfaceAtRest, Views

if TYPE_CHECKING:
    from ..session.editing import ResultEditor


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
        self.selection = selection = Selection(ui)
        self._binding: ParameterBinding | None = None
        self._is_ready = False
        ui.inputWarningWidget.visible = False
        ui.progressWidget.visible = False
        self.messages = messages = Messages(ui, lambda: self.advanced.show_kept_folders())
        self.input = InputSection(ui, logic, selection, messages, self.update_run, self.follow_volume)
        self.run = RunSection(
            ui, logic, selection, messages,
            obstacle=lambda: self.input.obstacle, request=self.input.request,
            offer_result=self.offer_result, show_result=self.select_new_result,
        )  # fmt: skip
        self.views = Views(ui, selection, messages, is_ct=lambda: self.input.is_ct)
        self.surface = SurfaceAtRest(logic, selection, on_first=self.views.look)
        self.place = PlaceBanner(ui, selection, messages, on_moved=self.follow_result)
        self.overlay = OverlaySection(ui, logic, selection, messages)
        self.correction = CorrectionSection(ui, logic, selection, messages, self.surface, self._on_corrected)
        self.measurements = MeasurementsSection(ui, selection, messages)
        self.result_section = ResultSection(
            ui, logic, selection, messages, self.surface,
            on_selected=self.follow_result, on_changed=self.correction.update, on_volume=self.measurements.update,
        )  # fmt: skip
        self.start_section = StartSection(ui, logic, selection, messages, self.select_new_result)
        self.advanced = AdvancedSection(
            ui, logic, selection, messages, package=lambda: self.input.package, on_models_changed=self.input.fill_models
        )
        self.keys = Keys(ui, self.overlay.next_overlay, self.result_section.toggle_visibility)
        self._is_ready = True
        self._run_listeners = (self.run, self.advanced)
        for listener in self._run_listeners:
            logic.addRunListener(listener)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_start_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self._on_scene_end_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self._on_scene_end_import)
        self._follower = SceneFollower(self._on_new_views, self._on_nodes)
        self.connect()

    @property
    def parameters(self) -> PanelParameters | None:
        """What the person has chosen; None while the scene is being closed."""
        return self.selection.parameters

    @property
    def editor(self) -> ResultEditor | None:
        """That of the selected result, if it can be changed."""
        return self.selection.editor

    @property
    def result(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node of the selected result."""
        return self.selection.result

    # --- Entered, left, closed ---

    def enter(self) -> None:
        """Turn to the scene as it is now: the person comes to the module."""
        self.connect()
        self.input.hide_own_volumes()
        if self.editor is not None:
            with self.messages.errors(is_action=False):
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
        for listener in self._run_listeners:
            self.logic.removeRunListener(listener)
        self.keys.close()
        self.input.cancel_phantom()
        self.correction.close()
        self.overlay.close()
        self.surface.finish()
        self.views.close()
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
        self.selection.parameters = parameters = PanelParameters(self.logic.getParameterNode())
        self._binding = ParameterBinding(parameters, self.ui)
        self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_parameters)
        self.input.hide_own_volumes()
        self._choose_first_nodes()
        self._on_parameters()
        self.follow_result()
        self.input.update()

    def disconnect(self) -> None:
        """Let the parameter node go."""
        if self.parameters is not None and self._binding is not None:
            self._binding.release()
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_parameters)
        self.selection.parameters = self.selection.editor = self._binding = None

    # --- What sections bring about for all others ---

    def update_run(self) -> None:
        """Look again whether a run can start."""
        if self._is_ready:
            self.run.update()
            self.start_section.update()

    def follow_result(self, is_new: bool = False) -> None:
        """Show the selected result everywhere, views included."""
        if not self._is_ready:
            return
        self.selection.editor = self.logic.editor(self.result)
        if self.parameters is not None and self.editor is not None:
            # The result first: any change of the node brings the widgets back to what the node says.
            if self.parameters.result is not self.result:
                self.parameters.result = self.result
            if self.selection.volume is not self.editor.nodes.volume:
                self.parameters.inputVolume = self.editor.nodes.volume
        for section in (self.result_section, self.overlay, self.correction, self.measurements, self.place):
            section.show(self.editor)
        self.views.show(self.editor, is_new)

    def follow_volume(self) -> None:
        """Show the selected CT: with its newest result where it has one, or else without any."""
        if not self._is_ready or self.parameters is None:
            return
        volume = self.selection.volume
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

    def offer_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> bool:
        """Turn to a result that has just come, unless the person has turned to something else; return whether."""
        if self.parameters is None or self.correction.is_placing:
            return False
        editor = self.logic.editor(segmentation_node)
        if editor is None or self.selection.volume not in (None, editor.nodes.volume):
            return False
        self.select_new_result(segmentation_node)
        return True

    def select_new_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> None:
        """Turn to a result that has just come."""
        self.select_result(segmentation_node, is_new=True)

    def select_result(self, segmentation_node: slicer.vtkMRMLSegmentationNode | None, is_new: bool = False) -> None:
        """Select a result, or none, and show it."""
        was_selected = self.result is segmentation_node
        self.views.is_next_new = is_new
        self.ui.resultSelector.setCurrentNode(segmentation_node)
        if was_selected or self.editor is None or self.editor.nodes.segmentation is not segmentation_node:
            self.follow_result(is_new)
        self.views.is_next_new = False
        if is_new:
            if self.ui.show3DCheckBox.checked:
                self.surface.make_later()
            else:
                self.result_section.show_surface()
            self.views.look()

    # --- What the scene and the runs do ---

    def _on_parameters(self, _node: object = None, _event: object = None) -> None:
        self.input.follow_parameters()
        self.overlay.follow_parameters()
        self.advanced.update()

    def _on_corrected(self) -> None:
        self.result_section.update()
        self.overlay.follow_field()

    def _on_new_views(self) -> None:
        if self.parameters is not None:
            self.views.show(self.editor, is_new=False)
            self.overlay.apply()

    def _on_nodes(self) -> None:
        """Look at the scene again after nodes have come or gone."""
        if self.parameters is None:
            return
        self.input.hide_own_volumes()
        self.start_section.update()
        self.messages.drop_gone()
        editor = self.logic.editor(self.result)
        if editor is not self.editor:
            self.follow_result()
            return
        if editor is None:
            return
        is_changed = False
        with self.messages.errors(is_action=False):
            is_changed = editor.restore_missing()
        self.overlay.show(editor)
        self.place.show(editor)
        if is_changed:
            self.result_section.update()
            self.correction.show(editor)

    def _on_scene_start_close(self, _scene: object, _event: object) -> None:
        self.correction.leave()
        self.surface.forget()
        self.input.cancel_phantom()
        self.measurements.cancel()
        self._follower.drop()
        self.disconnect()
        self.logic.forgetResults()
        for run in reversed(self.logic.unfinishedRuns()):
            self.logic.cancel(run.job)

    def _on_scene_end_close(self, _scene: object, _event: object) -> None:
        self.messages.clear_all()
        self.connect()
        self.run.update()

    def _on_scene_end_import(self, _scene: object, _event: object) -> None:
        """Bind anew: the scene that was loaded brought its own parameters.

        The cameras are turned a moment later once more: Slicer gives 3D views theirs at this event, before or after us.
        """
        self.disconnect()
        self.connect()
        self._follower.request_views()

    def _choose_first_nodes(self) -> None:
        """Where nothing is selected, select the newest result and its CT, or the first volume of the scene."""
        parameters, results = self.selection.require_parameters(), self.logic.results()
        if parameters.result is None and results and parameters.inputVolume is None:
            parameters.result = results[-1]
        if parameters.inputVolume is not None:
            return
        editor = self.logic.editor(parameters.result)
        if editor is not None:
            parameters.inputVolume = editor.nodes.volume
            return
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            is_plain = node.GetClassName() == "vtkMRMLScalarVolumeNode"  # no label map, no vector volume
            if is_plain and not is_own(node):
                parameters.inputVolume = node
                return


class SceneFollower(VTKObservationMixin):
    """Tells, a moment later, that views have come, and that nodes have come or gone.

    Parameters
    ----------
    on_views : called when there are new slice views, or new cameras of 3D views.
    on_nodes : called when volumes, segmentations or point lists have come or gone.
    """

    VIEWS = ("vtkMRMLSliceCompositeNode", "vtkMRMLCameraNode")
    WATCHED = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode")

    def __init__(self, on_views: Callable[[], None], on_nodes: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._views, self._nodes = DelayedCall(0, on_views), DelayedCall(0, on_nodes)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.NodeAddedEvent, self._on_added)
        self.addObserver(scene, slicer.vtkMRMLScene.NodeRemovedEvent, self._on_removed)

    def request_views(self) -> None:
        """Tell of the views, a moment later, although none has come."""
        self._views.request()

    def drop(self) -> None:
        """Forget what was to be told: the scene closes."""
        self._views.drop()
        self._nodes.drop()

    def close(self) -> None:
        """Observe nothing any more."""
        self.drop()
        self.removeObservers()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, _scene: object, _event: object, node: Any) -> None:
        if node is not None and any(node.IsA(kind) for kind in self.VIEWS):
            self._views.request()
        self._tell_of(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, _scene: object, _event: object, node: Any) -> None:
        self._tell_of(node)

    def _tell_of(self, node: Any) -> None:
        if node is not None and any(node.IsA(kind) for kind in self.WATCHED):
            self._nodes.request()


class Keys:
    """Keys for what hands do most: tools, undo, threshold, overlay, hide. They work while the panel is open.

    They are shortcuts of the main window. With Shift, where a letter alone may be one of the views' or a text's own.
    """

    def __init__(self, ui: Any, next_overlay: Callable[[], None], toggle_visibility: Callable[[], None]) -> None:
        self.shortcuts: list[Any] = []
        window = slicer.util.mainWindow()
        if window is None:
            return
        for keys, function in (
            ("Shift+A", lambda: _click(ui.addClickButton)),
            ("Shift+R", lambda: _click(ui.removeClickButton)),
            ("Ctrl+Z", lambda: _click(ui.undoButton)),
            ("Ctrl+Y", lambda: _click(ui.redoButton)),
            ("Shift+D", lambda: _next(ui.toolComboBox)),
            ("Shift+Up", lambda: _step(ui.thresholdSlider, 1)),
            ("Shift+Down", lambda: _step(ui.thresholdSlider, -1)),
            ("Shift+T", lambda: self._open(ui.resultCollapsibleButton, ui.thresholdSlider)),
            ("Shift+O", next_overlay),
            ("Shift+H", toggle_visibility),
        ):
            self.shortcuts.append(_shortcut(window, keys, function))
        self.enable(False)

    def enable(self, is_enabled: bool) -> None:
        """Let the keys work, or give them back to other modules."""
        for shortcut in self.shortcuts:
            shortcut.enabled = is_enabled

    def close(self) -> None:
        """Take the keys away for good."""
        for shortcut in self.shortcuts:
            shortcut.enabled = False
            shortcut.setParent(None)
        self.shortcuts.clear()

    def _open(self, section: Any, widget: Any) -> None:
        section.collapsed = False
        widget.setFocus()


def _shortcut(window: Any, keys: str, function: Callable[[], None]) -> Any:
    shortcut = qt.QShortcut(window)
    shortcut.setKey(qt.QKeySequence(keys))
    shortcut.activated.connect(function)
    shortcut.activatedAmbiguously.connect(function)  # where Slicer's own menu has the key too
    return shortcut


def _click(button: Any) -> None:
    if button.enabled:
        button.click()


def _next(choice: Any) -> None:
    if choice.enabled:
        choice.setCurrentIndex((choice.currentIndex + 1) % choice.count)


def _step(slider: Any, steps: int) -> None:
    if slider.enabled:
        slider.value = slider.value + steps * slider.singleStep  # which keeps to its range
