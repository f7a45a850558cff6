"""A second contour beside the segment's: the network's own answer, at the segment's threshold or another one."""

from __future__ import annotations

from ..scene.showing import Comparison
from .workspace import LatestOnly, Workspace

OFF, NETWORK, OTHER = "off", "network", "other"
CHOICES = [
    {"value": OFF, "title": "Nothing"},
    {"value": NETWORK, "title": "Before corrections"},
    {"value": OTHER, "title": "Another threshold"},
]


class ComparisonContour:
    """Shows what the segment is compared with; a held key shows that alone.

    State: `compare` ("off", "network", "other"), `compare_choices`, `compare_threshold`, `compare_ml`.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._comparison: Comparison | None = None
        self._is_held = False
        self._update = LatestOnly(workspace, self._show)
        workspace.server.state.update(
            {"compare": OFF, "compare_choices": CHOICES, "compare_threshold": 0.5, "compare_ml": None}
        )
        workspace.server.state.change("compare", "compare_threshold", "threshold", "smoothing_mm")(self._update)
        workspace.server.trigger("hold_comparison")(self.hold)

    def begin(self) -> None:
        """Compare with the workspace's new result from now on."""
        if self._comparison is not None:
            self._comparison.remove()
        self._comparison = None
        self._workspace.show(
            compare=OFF, compare_ml=None, compare_threshold=self._workspace.server.state.model_threshold
        )

    def forget(self) -> None:
        """There is no result any more."""
        self._comparison = None
        self._workspace.show(compare=OFF, compare_ml=None)

    def hold(self, is_held: bool) -> None:
        """Show the network's answer alone while a key is held, and the segment again afterwards."""
        if self._workspace.result is not None and is_held != self._is_held:
            self._is_held = is_held
            self._show()

    def _show(self) -> None:
        workspace, state = self._workspace, self._workspace.server.state
        if workspace.result is None:
            return
        is_shown = state.compare != OFF or self._is_held
        if is_shown and self._comparison is None:
            self._comparison = Comparison(workspace.result)
        volume = None
        if self._comparison is not None:
            if is_shown:
                threshold = state.compare_threshold if state.compare == OTHER else state.threshold
                volume = self._comparison.update(float(threshold), float(state.smoothing_mm))
            self._comparison.set_visible(is_shown)
        workspace.result.segmentation.SetDisplayVisibility(bool(state.show_segment) and not self._is_held)
        workspace.show(compare_ml=volume if state.compare != OFF else None)
