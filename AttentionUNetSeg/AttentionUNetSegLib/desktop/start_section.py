"""A result that starts from a segmentation, a label map or a probability of the scene, without the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .labels_present import LabelsPresent
from .own_nodes import hide_own_volumes, is_own

if TYPE_CHECKING:
    from .panel import Panel


class StartSection:
    """Chooses a node and what of it becomes a result on the selected CT."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._parts: list[str | int | None] = []  # a segment's ID, a label, or None for a probability
        self._looking: LabelsPresent | None = None
        self._ui.startNodeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_node)
        self._ui.startButton.clicked.connect(self._on_start)

    @property
    def node(self) -> Any:
        """The chosen segmentation or volume."""
        return self._ui.startNodeSelector.currentNode()

    def update(self) -> None:
        """Offer what the scene holds now: no field of a result, no CT that is chosen as input."""
        hide_own_volumes(self._ui.startNodeSelector)
        self._ui.startButton.enabled = self.node is not None and self._panel.input.volume is not None

    def close(self) -> None:
        """Look no further."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    # --- What the person does ---

    def _on_node(self, node: Any) -> None:
        self.close()
        if is_own(node) and not node.IsA("vtkMRMLSegmentationNode"):  # as Slicer's list does where a node is deleted
            self._ui.startNodeSelector.setCurrentNode(None)
            return
        if node is None:
            self._offer([])
        elif node.IsA("vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
            self._offer([(each, segmentation.GetSegment(each).GetName()) for each in ids])
        else:
            self._offer([])
            self._looking = LabelsPresent(node, lambda labels: self._offer_labels(node, labels))
            self._looking.start()
        self.update()

    def _on_start(self) -> None:
        volume, node = self._panel.input.volume, self.node
        index = self._ui.startPartComboBox.currentIndex
        if volume is None or node is None or not 0 <= index < len(self._parts):
            self._panel.message.show(_("Choose a CT above, and what to start from."), is_error=True)
            return
        with self._panel.errors(), slicer.util.WaitCursor():
            segmentation, warnings = self._panel.logic.startFrom(volume, node, self._parts[index])
            self._panel.select_result(segmentation, is_new=True)
            text = _("{result} starts from {part} of {node}. Correct it as any other result.").format(
                result=segmentation.GetName(), part=self._ui.startPartComboBox.currentText, node=node.GetName()
            )
            self._panel.message.show("\n".join([text, *warnings]), node=segmentation)
            self._ui.correctionCollapsibleButton.collapsed = False

    # --- helpers ---

    def _offer_labels(self, node: Any, labels: tuple[int, ...]) -> None:
        self._looking = None
        display = node.GetDisplayNode()
        colors = display.GetColorNode() if display is not None and node.IsA("vtkMRMLLabelMapVolumeNode") else None
        parts: list[tuple[int | None, str]] = [
            (label, _("Label {number} {name}").format(number=label, name=_name_of(colors, label)).strip())
            for label in labels
        ]
        if not node.IsA("vtkMRMLLabelMapVolumeNode"):
            # An integer volume may be either; what has many values is rather a probability.
            parts.insert(0 if len(labels) > 128 else len(parts), (None, _("Probability")))
        self._offer(parts)
        self.update()

    def _offer(self, parts: list[tuple[str | int | None, str]]) -> None:
        self._parts = [key for key, _text in parts]
        self._ui.startPartComboBox.clear()
        for _key, text in parts:
            self._ui.startPartComboBox.addItem(text)
        self._ui.startPartComboBox.enabled = len(parts) > 1
        if parts:
            names = [text.strip().lower() for _key, text in parts]
            self._ui.startPartComboBox.setCurrentIndex(next((n for n, t in enumerate(names) if "pancreas" in t), 0))


def _name_of(colors: Any, label: int) -> str:
    name = colors.GetColorName(label) if colors is not None and label < colors.GetNumberOfColors() else ""
    return "" if not name or name == str(label) else f"({name})"
