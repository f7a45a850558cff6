"""Where the network looked and how sure it was: probability, spread or attention over the CT, in all slice views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..scene import FADE, FadingOverlay, start_of
from .legend import let_contour_stand_out, show_legend

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel

NO_OVERLAY, PROBABILITY, SPREAD = "", "probability", "spread"


class AttentionSection:
    """Overlay, opacity, colour map and display threshold of the selected result."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._choices: list[str] = []
        self._shown: slicer.vtkMRMLSegmentationNode | None = None
        self._is_filling = False
        self._fading = FadingOverlay(_slice_logics)
        ui = self._ui
        ui.overlayComboBox.connect("currentIndexChanged(int)", self._on_overlay)
        ui.overlayOpacitySlider.valueChanged.connect(self._on_changed)
        ui.overlayThresholdSlider.valueChanged.connect(self._on_changed)
        ui.legendCheckBox.toggled.connect(lambda checked: self.apply())
        ui.overlayColorSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_color)

    def show(self, editor: ResultEditor | None) -> None:
        """Offer what the selected result has, and show the chosen overlay of it instead of the last result's."""
        if self._panel.result is not self._shown and self._panel.logic.editor(self._shown) is not None:
            last = self._panel.logic.editor(self._shown).nodes
            self._panel.logic.showAttention(self._shown, None)
            show_legend(last, None, "")
            let_contour_stand_out(last, None)
        self._shown = self._panel.result if editor is not None else None
        gates = editor.nodes.gates if editor is not None else {}
        spread = [SPREAD] if editor is not None and editor.nodes.spread is not None else []
        self._choices = [NO_OVERLAY, PROBABILITY, *spread, *(str(level) for level in gates)]
        self._is_filling = True
        self._ui.overlayComboBox.clear()
        for choice in self._choices:
            self._ui.overlayComboBox.addItem(_label(choice))
        self._is_filling = False
        for widget in (self._ui.overlayComboBox, self._ui.overlayOpacitySlider):
            widget.enabled = editor is not None
        if editor is not None and self._panel.parameters is not None and self._panel.parameters.overlay:
            self._ui.attentionCollapsibleButton.collapsed = False
        self.follow_parameters()
        self.apply()

    def follow_parameters(self) -> None:
        """Show the overlay and the colour map that the parameter node names."""
        parameters = self._panel.parameters
        if parameters is None or not self._choices:
            return
        chosen = parameters.overlay if parameters.overlay in self._choices else NO_OVERLAY
        self._is_filling = True
        self._ui.overlayComboBox.setCurrentIndex(self._choices.index(chosen))
        color = parameters.overlayColor or self._present_color()
        if color is not None and self._ui.overlayColorSelector.currentNode() is not color:
            self._ui.overlayColorSelector.setCurrentNode(color)
        self._is_filling = False

    def apply(self) -> None:
        """Show the chosen overlay as it is set."""
        if self._panel.editor is None or self._panel.parameters is None:
            self._fading.show(None)
            return
        with self._panel.errors(is_action=False):
            self._panel.logic.showAttention(
                self._panel.result,
                _level(self._chosen()),
                opacity=self._ui.overlayOpacitySlider.value,
                colorNode=self._panel.parameters.overlayColor,
                lowerThreshold=self._ui.overlayThresholdSlider.value,
            )
            self._explain()

    def close(self) -> None:
        """Leave the slice views as they were found."""
        self._fading.close()

    def follow_field(self) -> None:
        """Show the corrected probability where the probability is shown: the first click makes it."""
        if self._chosen() == PROBABILITY:
            self.apply()

    def next_overlay(self) -> None:
        """Show the next overlay of the list, or none after the last."""
        if self._panel.editor is not None and self._choices:
            self._ui.overlayComboBox.setCurrentIndex((self._ui.overlayComboBox.currentIndex + 1) % len(self._choices))

    # --- What the person does ---

    def _on_overlay(self, _index: int) -> None:
        if self._is_filling:
            return
        if self._panel.parameters is not None:
            self._panel.parameters.overlay = self._chosen()
        self.apply()

    def _on_changed(self, _value: float) -> None:
        if self._chosen() != NO_OVERLAY:
            self.apply()

    def _on_color(self, node: object) -> None:
        if self._is_filling or self._panel.parameters is None or node is None:
            return
        self._panel.parameters.overlayColor = node
        self._on_changed(0.0)

    # --- helpers ---

    def _explain(self) -> None:
        """Show the legend of what is shown, and the contour in a colour that it does not have."""
        nodes, choice = self._panel.editor.nodes, self._chosen()
        shown = {NO_OVERLAY: None, PROBABILITY: nodes.field, SPREAD: nodes.spread}
        volume = shown[choice] if choice in shown else nodes.gates.get(int(choice))
        is_fading = self._fading.show(volume)
        is_mask = (start_of(nodes) or {}).get("kind") == "mask"
        low = self._ui.overlayThresholdSlider.value
        self._ui.overlayMeaningLabel.text = f"{_meaning(choice, is_mask)} {_low_end(low, is_fading)}" if choice else ""
        self._ui.overlayMeaningLabel.visible = bool(choice)
        show_legend(nodes, volume if self._ui.legendCheckBox.checked else None, _title(choice))
        color = volume.GetDisplayNode().GetColorNode() if volume is not None else None
        let_contour_stand_out(nodes, color)

    def _chosen(self) -> str:
        index = self._ui.overlayComboBox.currentIndex
        return self._choices[index] if 0 <= index < len(self._choices) else NO_OVERLAY

    def _present_color(self) -> object:
        editor = self._panel.editor
        display = editor.nodes.probability.GetDisplayNode() if editor is not None else None
        return display.GetColorNode() if display is not None else None


def _level(choice: str) -> int | str | None:
    if choice == NO_OVERLAY:
        return None
    return choice if choice in (PROBABILITY, SPREAD) else int(choice)


def _title(choice: str) -> str:
    """Return what the legend's numbers are; fields are stored as integers."""
    if choice == SPREAD:
        return _("Spread (255 = 0.5)")
    return _("Probability (255 = 1)") if choice == PROBABILITY else _("Attention (255 = 1)")


def _meaning(choice: str, is_mask: bool) -> str:
    """Return in one sentence what is shown; `is_mask`: the result started from a segmentation."""
    if choice == PROBABILITY and is_mask:
        return _("How far inside the given segment, over 3 mm, corrected by your clicks; the threshold cuts here.")
    if choice == PROBABILITY:
        return _("How sure the network is, corrected by your clicks: 1 is certain pancreas; the threshold cuts here.")
    if choice == SPREAD:
        return _("How much the network's answers to changed copies of the CT differ: where it is high, look twice.")
    if choice:
        return _("How much of the fine detail this gate lets through: where the network looked, not what it found.")
    return ""


def _low_end(low: float, is_fading: bool) -> str:
    """Return in one sentence what becomes of low values, which are fractions of the scale."""
    if is_fading:
        return _("Below {low:.2f} nothing is shown; up to {full:.2f} it fades in.").format(
            low=low, full=min(low + FADE, 1.0)
        )
    return _("Below {low:.2f} nothing is shown.").format(low=low)


def _slice_logics() -> list:
    return list(slicer.app.applicationLogic().GetSliceLogics())


def _label(choice: str) -> str:
    if choice == NO_OVERLAY:
        return _("None")
    if choice == PROBABILITY:
        return _("Probability")
    if choice == SPREAD:
        return _("Spread (standard deviation, 0 to 0.5)")
    text = _("Attention, gate {number}").format(number=choice)
    return text + _(" (finest)") if choice == "1" else text
