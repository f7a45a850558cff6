"""The selected result: its volume, the threshold and clean-up that make it, live; what no longer lies on its CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..contracts import THRESHOLD_STEP, THRESHOLDS
from ..errors import AttentionUNetSegError
from ..scene import nodes_of_segmentation, start_of
from .delayed_call import DelayedCall
from .messages import Messages
from .parameters import Selection

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .views import SurfaceAtRest

# A new segment at most every so many milliseconds while the mouse moves: about as often as a screen shows it.
_LIVE_MILLISECONDS = 30


class ResultSection:
    """Shows how the selected result is made and changes it. The values live on the result itself, not in the panel.

    Parameters
    ----------
    on_selected : called when another result was chosen, or the selected one was deleted.
    on_changed : called when the selected result has other settings, or might have.
    on_volume : called when its volume was shown anew.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        selection: Selection,
        messages: Messages,
        surface: SurfaceAtRest,
        on_selected: Callable[[], None],
        on_changed: Callable[[], None],
        on_volume: Callable[[], None],
    ) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._surface = surface
        self._on_other, self._on_settings, self._on_volume = on_selected, on_changed, on_volume
        self._is_showing = False
        self._opened_for: ResultEditor | None = None
        self._live = DelayedCall(_LIVE_MILLISECONDS, self._apply)
        ui.resultSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_selected)
        ui.thresholdSlider.minimum, ui.thresholdSlider.maximum = THRESHOLDS
        ui.thresholdSlider.singleStep = THRESHOLD_STEP
        for slider, name in ((ui.thresholdSlider, "threshold"), (ui.smoothingSlider, "smoothing")):
            slider.valueIsChanging.connect(lambda value, name=name: self._on_changing(name, value))
            slider.valueChanged.connect(lambda value, name=name: self._on_changed(name, value))
        ui.keepLargestCheckBox.toggled.connect(self._on_keep_largest)
        ui.show3DCheckBox.toggled.connect(self._on_show_3d)
        ui.deleteResultButton.clicked.connect(self._on_delete)

    def show(self, editor: ResultEditor | None) -> None:
        """Show another result, or none."""
        self._live.drop()
        self._surface.begin()
        for widget in (self._ui.thresholdSlider, self._ui.smoothingSlider, self._ui.deleteResultButton):
            widget.enabled = editor is not None
        if editor is not None and editor is not self._opened_for:
            self._opened_for = editor
            self._ui.resultCollapsibleButton.collapsed = False
        self.update()

    def update(self) -> None:
        """Show the settings and the volume of the selected result as they are now."""
        editor = self._selection.editor
        if editor is None:
            foreign = _("Not a result of this module, or its volumes are gone.")
            self._ui.volumeValueLabel.text = "-" if self._selection.result is None else foreign
            return
        threshold, keep_largest, smoothing = editor.settings
        self._is_showing = True
        self._ui.thresholdSlider.value = threshold
        self._ui.smoothingSlider.value = smoothing
        self._ui.keepLargestCheckBox.checked = keep_largest
        self._is_showing = False
        try:
            self._show_volume(editor.volume_ml)
        except AttentionUNetSegError:  # somebody removed the segment; any change says so
            self._ui.volumeValueLabel.text = "-"

    def show_surface(self) -> None:
        """Show or remove the 3D surface of the selected result, as the check box says."""
        if self._selection.editor is None:
            return
        with self._messages.errors(is_action=False):
            if self._ui.show3DCheckBox.checked:
                self._surface.make()
            else:
                self._logic.showSurface(self._selection.result, False)

    def toggle_visibility(self) -> None:
        """Hide the segment, or show it again."""
        editor = self._selection.editor
        display = editor.nodes.segmentation.GetDisplayNode() if editor is not None else None
        if display is not None:
            display.SetVisibility(not display.GetVisibility())

    # --- What the person does ---

    def _on_selected(self, _node: object) -> None:
        self._on_other()

    def _on_changing(self, name: str, value: float) -> None:
        if not self._is_showing and self._selection.editor is not None:
            self._live.request(name, value)

    def _on_changed(self, name: str, value: float) -> None:
        if self._is_showing or self._selection.editor is None:
            return
        self._live.drop()
        self._apply(name, value)

    def _on_keep_largest(self, checked: bool) -> None:
        if not self._is_showing and self._selection.editor is not None:
            self._apply("keep_largest", checked)

    def _on_show_3d(self, _checked: bool) -> None:
        self._surface.forget()
        self.show_surface()

    def _on_delete(self) -> None:
        result = self._selection.result
        if self._selection.editor is None:
            return
        question = _("Delete {name} with its probability, attention and clicks? The CT stays.")
        if not slicer.util.confirmOkCancelDisplay(question.format(name=result.GetName()), _("Delete the result?")):
            return
        with self._messages.errors():
            self._logic.deleteResult(result)
        self._on_other()

    # --- helpers ---

    def _apply(self, name: str, value: float | bool) -> None:
        """Make the result with another setting, at once; the surface follows at rest."""
        if self._selection.editor is None or self._settings()[name] == value:
            return
        settings = {**self._settings(), name: value}
        self._surface.leave_out()
        volume = None
        with self._messages.errors():
            volume = self._logic.setThreshold(
                self._selection.result, settings["threshold"], settings["keep_largest"], settings["smoothing"]
            )
        if volume is None:
            self.update()  # a slider that was refused goes back
        else:
            self._show_volume(volume)
        self._on_settings()

    def _settings(self) -> dict[str, float | bool]:
        return dict(
            zip(("threshold", "keep_largest", "smoothing"), self._selection.require_editor().settings, strict=True)
        )

    def _show_volume(self, volume_ml: float) -> None:
        text = _("{volume:.1f} mL").format(volume=volume_ml)
        text = text if volume_ml else _("0 mL: nothing reaches the threshold")
        start = start_of(self._selection.require_editor().nodes)
        if start is not None:  # not the network's own
            text += _(" · from {segment} of {name}").format(**start)
        self._ui.volumeValueLabel.text = text
        self._on_volume()


class PlaceBanner(VTKObservationMixin):
    """Says what of CT, result and clicks lies apart, and offers to move the result along.

    The check itself is the editor's, for all front ends.

    Parameters
    ----------
    on_moved : called when the result was moved along.
    """

    def __init__(self, ui: Any, selection: Selection, messages: Messages, on_moved: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._selection, self._messages, self._on_moved_along = ui, selection, messages, on_moved
        self._check = DelayedCall(100, self.update)
        self._ui.placeWidget.visible = False
        self._ui.moveAlongButton.clicked.connect(self._on_move_along)

    def show(self, editor: ResultEditor | None) -> None:
        """Turn to another result, or none."""
        self.removeObservers()
        if editor is not None:
            nodes = editor.nodes
            for node in (nodes.volume, *nodes_of_segmentation(nodes.segmentation)):
                event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
                if not self.hasObserver(node, event, self._on_moved):
                    self.addObserver(node, event, self._on_moved)
        self.update()

    def update(self) -> None:
        """Look again."""
        editor = self._selection.editor
        apart = editor.apart if editor is not None else None
        self._ui.placeWidget.visible = apart is not None
        if apart is not None:
            self._ui.placeLabel.text = apart.text
            self._ui.moveAlongButton.visible = apart.can_follow

    def close(self) -> None:
        """Observe nothing any more."""
        self._check.drop()
        self.removeObservers()

    def _on_moved(self, _node: object, _event: object) -> None:
        self._check.request()

    def _on_move_along(self) -> None:
        if self._selection.editor is not None:
            with self._messages.errors():
                self._selection.editor.move_along()
            self._on_moved_along()
