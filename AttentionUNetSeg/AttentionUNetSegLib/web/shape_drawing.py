"""A lasso or a box that a person draws in a slice, and what becomes of it: a mark of the result's editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
from trame_slicer.views import SliceView

from ..session import ResultEditor

CLICK, LASSO, BOX = "click", "lasso", "box"
SHAPES = (CLICK, LASSO, BOX)
# What is smaller on the screen is a slip of the hand.
_SMALLEST_PIXELS = 5.0
_POINT_EVERY_PIXELS = 3.0

Position = tuple[float, float, float]


class ShapeDrawing:
    """Collects the places that the mouse goes through while its left button is held."""

    def __init__(self) -> None:
        self._view: SliceView | None = None
        self._shape = LASSO
        self._points: list[Position] = []
        self._pixels: list[tuple[float, float]] = []

    def begin(self, shape: str, view: SliceView, event: dict[str, Any]) -> None:
        """Begin where the button was pressed."""
        self._view, self._shape, self._points, self._pixels = view, shape, [], []
        self._take(event)

    def follow(self, view: SliceView, event: dict[str, Any]) -> None:
        """Go on to where the mouse is now."""
        if view is self._view:
            before = self._pixels[-1]
            if np.hypot(event["x"] - before[0], event["y"] - before[1]) >= _POINT_EVERY_PIXELS:
                self._take(event)

    def finish(
        self, view: SliceView, event: dict[str, Any], positive: bool, depth_mm: float
    ) -> Callable[[ResultEditor], object] | None:
        """End where the button was let go; return what applies it, None where it is no more than a dot.

        A box reaches half of `depth_mm` to either side of the slice that it is drawn in.
        """
        is_drawn = self._view is not None and view is self._view
        if is_drawn:
            self._take(event)
        points, pixels, self._view = self._points, np.array(self._pixels), None
        if not is_drawn or np.ptp(pixels, axis=0).min() < _SMALLEST_PIXELS:
            return None
        if self._shape == LASSO:
            return lambda editor: editor.add_lasso(points, positive)
        normal = slicer.util.arrayFromVTKMatrix(view.get_view_node().GetSliceToRAS())[:3, 2]
        corner, opposite = (
            tuple(np.add(point, half * depth_mm * normal)) for point, half in ((points[0], -0.5), (points[-1], 0.5))
        )
        return lambda editor: editor.add_box(corner, opposite, positive)

    def cancel(self) -> None:
        """Forget what is being drawn."""
        self._view = None

    def _take(self, event: dict[str, Any]) -> None:
        self._points.append(event["ras"])
        self._pixels.append((event["x"], event["y"]))
