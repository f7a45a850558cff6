"""What lies under the mouse in a slice: position, HU, probability, attention, and whether there is a click."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import slicer
from trame_slicer.views import SliceView
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..scene import ResultNodes
from .workspace import Workspace

# A click's marker is taken hold of within this distance on the screen.
NEAR_PIXELS = 9.0
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))

Position = tuple[float, float, float]


class Readout:
    """Reads the volumes of one workspace, at places in its slice views."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def at(self, view: SliceView, ras: Position | None, mm_per_pixel: float | None) -> dict[str, Any] | None:
        """Return `text` for people and the id of the `click` there (or None); None outside a CT.

        Parameters
        ----------
        ras : world RAS in mm.
        """
        workspace = self._workspace
        if workspace.volume is None or ras is None:
            return None
        value = value_at(workspace.volume, ras)
        if value is None:
            return None
        parts = [position_text(ras), f"{value:.0f} HU"]
        if workspace.result is not None:
            parts.append(f"probability {(value_at(workspace.result.field, ras) or 0.0) / 255:.2f}")
            parts += _overlay_text(workspace.result, workspace.server.state.overlay, ras)
        return {"text": " · ".join(parts), "click": self.click_at(view, ras, mm_per_pixel)}

    def click_at(self, view: SliceView, ras: Position | None, mm_per_pixel: float | None) -> str | None:
        """Return the id of the click whose marker lies there in the slice, the nearest of several."""
        editor = self._workspace.editor
        if editor is None or ras is None or mm_per_pixel is None:
            return None
        normal = slicer.util.arrayFromVTKMatrix(view.get_view_node().GetSliceToRAS())[:3, 2]
        found: list[tuple[float, str]] = []
        for click in editor.clicks:
            apart = np.subtract(click.ras, ras)
            above = float(apart @ normal)
            beside = math.sqrt(max(0.0, float(apart @ apart) - above * above))
            if abs(above) <= 0.5 * view.get_slice_step() + 0.01 and beside <= NEAR_PIXELS * mm_per_pixel:
                found.append((beside, click.id))
        return min(found)[1] if found else None


def _overlay_text(result: ResultNodes, overlay: str, ras: Position) -> list[str]:
    if overlay == "spread" and result.spread is not None:
        return [f"spread {(value_at(result.spread, ras) or 0.0) / 510:.2f}"]
    gates = result.gates
    level = int(overlay) if overlay.isdigit() else min(gates, default=0)
    if level in gates:
        value = value_at(gates[level], ras)
        return [] if value is None else [f"attention (gate {level}) {value / 255:.2f}"]
    return []


def value_at(node: slicer.vtkMRMLScalarVolumeNode, ras: Position) -> float | None:
    """Return the value of the voxel that holds a world RAS position (mm); None outside the volume."""
    parent = node.GetParentTransformNode()
    if parent is not None:
        transform = vtkGeneralTransform()
        parent.GetTransformFromWorld(transform)
        ras = transform.TransformPoint(ras)
    matrix = vtkMatrix4x4()
    node.GetRASToIJKMatrix(matrix)
    ijk = [math.floor(index + 0.5) for index in matrix.MultiplyPoint((*ras, 1.0))[:3]]
    image = node.GetImageData()
    if image is None or not all(0 <= n < size for n, size in zip(ijk, image.GetDimensions(), strict=True)):
        return None
    return image.GetScalarComponentAsDouble(*ijk, 0)


def position_text(ras: Position) -> str:
    """Return a position as people write it, for example "L 12.3, P 4.0, S 110.5 mm"."""
    return ", ".join(f"{_LETTERS[axis][int(n >= 0)]} {abs(n):.1f}" for axis, n in enumerate(ras)) + " mm"
