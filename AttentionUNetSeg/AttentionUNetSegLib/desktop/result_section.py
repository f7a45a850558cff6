"""The selected result: its volume, and the threshold, smoothing and clean-up that make it, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import AttentionUNetSegError
from ..scene import start_of
from .delayed_call import DelayedCall

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel

# A new segment at most every so many milliseconds while the mouse moves: about as often as a screen shows it.
_LIVE_MILLISECONDS = 30
# The surface costs more than the segment, so it comes back when mouse and keys have rested for so long.
_REST_MILLISECONDS = 300


class ResultSection:
    """Shows how the selected result is made and changes it. The values live on the result itself, not in the panel."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._is_showing = False
        self._had_surface: bool | None = None  # before changes that have not come to rest yet
        self._without_surface: slicer.vtkMRMLSegmentationNode | None = None
        self._opened_for: ResultEditor | None = None
        self._live = DelayedCall(_LIVE_MILLISECONDS, self._apply_live)
        self._rest = DelayedCall(_REST_MILLISECONDS, self._restore_surface)
        ui = self._ui
        ui.resultSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_selected)
        for slider, name in ((ui.thresholdSlider, "threshold"), (ui.smoothingSlider, "smoothing")):
            slider.valueIsChanging.connect(lambda value, name=name: self._on_changing(name, value))
            slider.valueChanged.connect(lambda value, name=name: self._on_changed(name, value))
        ui.keepLargestCheckBox.toggled.connect(self._on_keep_largest)
        ui.show3DCheckBox.toggled.connect(self._on_show_3d)
        ui.deleteResultButton.clicked.connect(self._on_delete)

    def show(self, editor: ResultEditor | None) -> None:
        """Show another result, or none."""
        self._live.drop()
        self._restore_surface()
        for widget in (self._ui.thresholdSlider, self._ui.smoothingSlider, self._ui.deleteResultButton):
            widget.enabled = editor is not None
        if editor is not None and editor is not self._opened_for:
            self._opened_for = editor
            self._ui.resultCollapsibleButton.collapsed = False
        self.update()

    def update(self) -> None:
        """Show the settings and the volume of the selected result as they are now."""
        editor = self._panel.editor
        if editor is None:
            foreign = _("Not a result of this module, or its volumes are gone.")
            self._ui.volumeValueLabel.text = "-" if self._panel.result is None else foreign
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
        if self._panel.editor is not None:
            with self._panel.errors(is_action=False):
                self._panel.logic.showSurface(self._panel.result, self._ui.show3DCheckBox.checked)

    def toggle_visibility(self) -> None:
        """Hide the segment, or show it again."""
        editor = self._panel.editor
        display = editor.nodes.segmentation.GetDisplayNode() if editor is not None else None
        if display is not None:
            display.SetVisibility(not display.GetVisibility())

    # --- What the person does ---

    def _on_selected(self, _node: object) -> None:
        self._panel.follow_result()

    def _on_changing(self, name: str, value: float) -> None:
        if not self._is_showing and self._panel.editor is not None:
            self._live.request(name, value)

    def _on_changed(self, name: str, value: float) -> None:
        if self._is_showing or self._panel.editor is None:
            return
        self._live.drop()
        self._apply_live(name, value)

    def _on_keep_largest(self, checked: bool) -> None:
        if not self._is_showing and self._panel.editor is not None:
            self._apply("keep_largest", checked)

    def _on_show_3d(self, _checked: bool) -> None:
        self._rest.drop()
        self._without_surface = self._had_surface = None
        self.show_surface()

    def _on_delete(self) -> None:
        result = self._panel.result
        if self._panel.editor is None:
            return
        question = _("Delete {name} with its probability, attention and clicks? The CT stays.")
        if not slicer.util.confirmOkCancelDisplay(question.format(name=result.GetName()), _("Delete the result?")):
            return
        with self._panel.errors():
            self._panel.logic.deleteResult(result)
        self._panel.follow_result()

    # --- helpers ---

    def _apply_live(self, name: str, value: float) -> None:
        """Follow the mouse without the surface: making it takes far longer than the segment itself."""
        if self._panel.editor is None or value == self._settings()[name]:
            return
        if self._had_surface is None:
            self._had_surface = self._panel.logic.hasSurface(self._panel.result)
            self._without_surface = self._panel.result
            if self._had_surface:
                self._panel.logic.showSurface(self._panel.result, False)
        self._apply(name, value)
        self._rest.drop()
        self._rest.request()

    def _restore_surface(self) -> None:
        """Make the surface again that was taken away; also of a result that is no longer the selected one."""
        self._rest.drop()
        result, had_surface = self._without_surface, self._had_surface
        self._without_surface = self._had_surface = None
        if had_surface and self._panel.logic.editor(result) is not None:
            self._panel.logic.showSurface(result, True)

    def _apply(self, name: str, value: float | bool) -> None:
        settings = self._settings()
        if settings[name] == value:
            return
        settings[name] = value
        volume = None
        with self._panel.errors():
            volume = self._panel.logic.setThreshold(
                self._panel.result, settings["threshold"], settings["keep_largest"], settings["smoothing"]
            )
        if volume is None:
            self.update()  # a slider that was refused goes back
        else:
            self._show_volume(volume)
        self._panel.correction.update()

    def _settings(self) -> dict[str, float | bool]:
        return dict(zip(("threshold", "keep_largest", "smoothing"), self._panel.editor.settings, strict=True))

    def _show_volume(self, volume_ml: float) -> None:
        text = _("{volume:.1f} mL").format(volume=volume_ml)
        text = text if volume_ml else _("0 mL: nothing reaches the threshold")
        start = start_of(self._panel.editor.nodes)
        if start is not None:  # not the network's own
            text += _(" · from {segment} of {name}").format(**start)
        self._ui.volumeValueLabel.text = text
        self._panel.measurements.update()
