"""Where the network looked and how sure it was: probability, spread or attention over the CT, with its legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..errors import BadInput
from ..scene import FADE, FadingOverlay, ResultNodes, start_of
from ..scene.segment import segment_id_of
from ..scene.showing import slice_composites
from .messages import Messages
from .parameters import Selection

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

NO_OVERLAY, PROBABILITY, SPREAD = "", "probability", "spread"


_LABELS = 5
# Contours that an overlay may be crossed by: the one furthest from all of its colours is taken.
_CONTOURS = ((0.1, 1.0, 1.0), (0.2, 1.0, 0.2), (1.0, 1.0, 1.0), (1.0, 0.2, 1.0), (1.0, 1.0, 0.1))


class OverlaySection:
    """Overlay, opacity, colour map and display threshold of the selected result.

    What a person lays over a slice view by other means stays there until they choose an overlay or another result here.
    """

    def __init__(self, ui: Any, logic: Any, selection: Selection, messages: Messages) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._choices: list[str] = []
        self._shown: slicer.vtkMRMLSegmentationNode | None = None
        self._is_filling = False
        self._fading = FadingOverlay(_slice_logics)
        self._placed: dict[str, str | None] = {}  # what was laid over a slice view, by its composite node's ID
        ui.overlayComboBox.connect("currentIndexChanged(int)", self._on_overlay)
        ui.overlayOpacitySlider.valueChanged.connect(self._on_changed)
        ui.overlayThresholdSlider.valueChanged.connect(self._on_changed)
        ui.legendCheckBox.toggled.connect(lambda checked: self.apply())
        ui.overlayColorSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_color)

    def show(self, editor: ResultEditor | None) -> None:
        """Offer what the selected result has, and show the chosen overlay of it instead of the last result's."""
        is_other = self._selection.result is not self._shown
        if is_other and self._logic.editor(self._shown) is not None:
            last = self._logic.editor(self._shown).nodes
            self._logic.showAttention(self._shown, None)
            show_legend(last, None, "")
            let_contour_stand_out(last, None)
        self._shown = self._selection.result if editor is not None else None
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
        if editor is not None and self._selection.parameters is not None and self._selection.parameters.overlay:
            self._ui.attentionCollapsibleButton.collapsed = False
        self.follow_parameters()
        self.apply(everywhere=is_other)

    def follow_parameters(self) -> None:
        """Show the overlay and the colour map that the parameter node names."""
        parameters = self._selection.parameters
        if parameters is None or not self._choices:
            return
        chosen = parameters.overlay if parameters.overlay in self._choices else NO_OVERLAY
        self._is_filling = True
        self._ui.overlayComboBox.setCurrentIndex(self._choices.index(chosen))
        color = parameters.overlayColor or self._present_color()
        if color is not None and self._ui.overlayColorSelector.currentNode() is not color:
            self._ui.overlayColorSelector.setCurrentNode(color)
        self._is_filling = False

    def apply(self, everywhere: bool = False) -> None:
        """Show the chosen overlay as it is set: `everywhere`, or where a person has not chosen another foreground."""
        if self._selection.editor is None or self._selection.parameters is None:
            self._fading.show(None)
            return
        scene = self._selection.editor.nodes.scene
        composites = [each for each in slice_composites(scene) if everywhere or self._is_ours(each)]
        with self._messages.errors(is_action=False):
            self._logic.showAttention(
                self._selection.result,
                _level(self._chosen()),
                opacity=self._ui.overlayOpacitySlider.value,
                colorNode=self._selection.parameters.overlayColor,
                lowerThreshold=self._ui.overlayThresholdSlider.value,
                sliceCompositeNodes=composites,
            )
            self._placed.update((each.GetID(), each.GetForegroundVolumeID()) for each in composites)
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
        if self._selection.editor is not None and self._choices:
            self._ui.overlayComboBox.setCurrentIndex((self._ui.overlayComboBox.currentIndex + 1) % len(self._choices))

    # --- What the person does ---

    def _on_overlay(self, _index: int) -> None:
        if self._is_filling:
            return
        if self._selection.parameters is not None:
            self._selection.parameters.overlay = self._chosen()
        self.apply(everywhere=True)

    def _on_changed(self, _value: float) -> None:
        if self._chosen() != NO_OVERLAY:
            self.apply()

    def _on_color(self, node: object) -> None:
        if self._is_filling or self._selection.parameters is None or node is None:
            return
        self._selection.parameters.overlayColor = node
        self._on_changed(0.0)

    # --- helpers ---

    def _is_ours(self, composite: slicer.vtkMRMLSliceCompositeNode) -> bool:
        """Whether a slice view is new, or shows what was laid over it here: that, or nothing since it was deleted."""
        if composite.GetID() not in self._placed:
            return True
        shown, placed = composite.GetForegroundVolumeID(), self._placed[composite.GetID()]
        return shown == placed or (not shown and composite.GetScene().GetNodeByID(placed) is None)

    def _explain(self) -> None:
        """Show the legend of what is shown, and the contour in a colour that it does not have."""
        nodes, choice = self._selection.require_editor().nodes, self._chosen()
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
        editor = self._selection.editor
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


def _slice_logics() -> list[Any]:
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


def show_legend(nodes: ResultNodes, volume_node: slicer.vtkMRMLScalarVolumeNode | None, title: str) -> None:
    """Show in the slice views which colour of a field stands for what; None takes the result's legends away."""
    logic = slicer.modules.colors.logic()
    for each in (nodes.probability, nodes.corrected, nodes.spread, *nodes.gates.values()):
        legend = logic.GetColorLegendDisplayNode(each) if each is not None else None
        if legend is not None and each is not volume_node:
            legend.SetVisibility(False)
    if volume_node is None:
        return
    legend = logic.AddDefaultColorLegendDisplayNode(volume_node)
    if legend is None:  # a Slicer without legends
        return
    legend.SetAndObserveColorNodeID(volume_node.GetDisplayNode().GetColorNodeID())
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.0f")
    legend.SetNumberOfLabels(_LABELS)
    legend.SetVisibility3D(False)
    legend.SetVisibility(True)


def let_contour_stand_out(nodes: ResultNodes, color_node: Any) -> None:
    """Draw the result's contour in a colour that the overlay does not have; None: in the segment's own again.

    The segment's own colour stays what it is.
    """
    display = nodes.segmentation.GetDisplayNode()
    if display is None:
        return
    try:
        segment_id = segment_id_of(nodes)
    except BadInput:  # somebody removed the segment, and its contour with it
        return
    if color_node is None:
        display.UnsetSegmentOverrideColor(segment_id)
    else:
        display.SetSegmentOverrideColor(segment_id, *contour_color(color_node))


def contour_color(color_node: Any) -> tuple[float, float, float]:
    """Return the colour, of a few bright ones, that is furthest from all colours of a table."""
    table, rgba = [], [0.0] * 4
    for index in range(color_node.GetNumberOfColors()):
        color_node.GetColor(index, rgba)
        table.append(rgba[:3])
    if not table:
        return _CONTOURS[0]
    apart = [np.linalg.norm(np.array(table) - color, axis=1).min() for color in _CONTOURS]
    return _CONTOURS[int(np.argmax(apart))]
