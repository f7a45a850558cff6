"""The banner that says what no longer lies on its CT, and offers to move the result along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.util import VTKObservationMixin

from ..scene import nodes_of_segmentation
from .delayed_call import DelayedCall

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel


class PlaceSection(VTKObservationMixin):
    """Watches where CT, result and clicks are; the check itself is the editor's, for all front ends."""

    def __init__(self, panel: Panel) -> None:
        VTKObservationMixin.__init__(self)
        self._panel, self._ui = panel, panel.ui
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
        editor = self._panel.editor
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
        if self._panel.editor is not None:
            with self._panel.errors():
                self._panel.editor.move_along()
            self._panel.follow_result()
