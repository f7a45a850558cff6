"""A result that starts from a segmentation, a label map or a probability of the scene, without the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from .choosable_volumes import hide_own_volumes, is_own
from .messages import Messages
from .parameters import Selection

# More values than any list of organs has: then they are grey values and no labels.
MOST_LABELS = 1000
_VOXELS_AT_ONCE = 4_000_000


class StartSection:
    """Chooses a node and what of it becomes a result on the selected CT.

    Parameters
    ----------
    on_new_result : called with the segmentation node of what was made.
    """

    def __init__(
        self, ui: Any, logic: Any, selection: Selection, messages: Messages, on_new_result: Callable[[Any], None]
    ) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._on_new_result = on_new_result
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
        self._ui.startButton.enabled = self.node is not None and self._selection.volume is not None

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
        volume, node = self._selection.volume, self.node
        index = self._ui.startPartComboBox.currentIndex
        if volume is None or node is None or not 0 <= index < len(self._parts):
            self._messages.show(_("Choose a CT above, and what to start from."), is_error=True)
            return
        with self._messages.errors(), slicer.util.WaitCursor():
            segmentation, warnings = self._logic.startFrom(volume, node, self._parts[index])
            self._on_new_result(segmentation)
            text = _("{result} starts from {part} of {node}. Correct it as any other result.").format(
                result=segmentation.GetName(), part=self._ui.startPartComboBox.currentText, node=node.GetName()
            )
            self._messages.show("\n".join([text, *warnings]), node=segmentation)
            self._ui.correctionCollapsibleButton.collapsed = False

    # --- helpers ---

    def _offer_labels(self, node: Any, labels: tuple[int, ...]) -> None:
        self._looking = None
        display = node.GetDisplayNode()
        colors = display.GetColorNode() if display is not None and node.IsA("vtkMRMLLabelMapVolumeNode") else None
        parts: list[tuple[str | int | None, str]] = [
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


class LabelsPresent:
    """Finds which labels a volume of integers holds, a few slices at a time in Qt's event loop.

    Parameters
    ----------
    on_found : called once with the labels above 0, ascending; with none for a volume that is no label map.
    """

    def __init__(
        self, volume_node: slicer.vtkMRMLScalarVolumeNode, on_found: Callable[[tuple[int, ...]], None]
    ) -> None:
        self._on_found = on_found
        voxels = slicer.util.arrayFromVolume(volume_node) if volume_node.GetImageData() is not None else np.zeros(0)
        low, high = volume_node.GetImageData().GetScalarRange() if voxels.size else (0.0, 0.0)
        is_map = voxels.ndim == 3 and low >= 0 and high <= MOST_LABELS and voxels.dtype.kind in "ui"
        self._voxels = voxels if is_map else None
        self._seen = np.zeros(MOST_LABELS + 1, bool)
        self._next = 0
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin; `on_found` follows, from Qt's event loop."""
        self._timer.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._timer.stop()
        self._voxels = None

    def _look(self) -> None:
        if self._voxels is not None and self._next < len(self._voxels):
            slices = max(1, _VOXELS_AT_ONCE // max(1, self._voxels[0].size))
            self._seen[self._voxels[self._next : self._next + slices].ravel()] = True
            self._next += slices
            return
        self._timer.stop()
        self._voxels = None
        self._on_found(tuple(int(label) for label in np.flatnonzero(self._seen) if label))


def _name_of(colors: Any, label: int) -> str:
    name = colors.GetColorName(label) if colors is not None and label < colors.GetNumberOfColors() else ""
    return "" if not name or name == str(label) else f"({name})"
