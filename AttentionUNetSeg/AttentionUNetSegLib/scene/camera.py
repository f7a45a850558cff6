"""The cameras of the 3D views: turned to a result once, and never again where a person has moved them."""

from __future__ import annotations

import json

import numpy as np
import slicer

from . import provenance
from .results import ResultNodes

# What a camera looked at when it was turned to a result; where it looks elsewhere now, a person has moved it.
TURNED = "camera"
# Where a camera is that nobody has touched: in front of the patient, looking at the scene's origin.
UNTOUCHED = ((0.0, 500.0, 0.0), (0.0, 0.0, 0.0))
# The distance, in diagonals of the segment's box, from which the view's angle of 30 degrees holds it with a margin.
DIAGONALS = 2.4
# mm and directions: what a scene file rounds.
SAME = 1e-2


def look_at_result(nodes: ResultNodes) -> bool:
    """Turn the cameras that nobody has moved to the segment, keeping their direction; return whether any was turned.

    An empty segment leaves them alone.
    """
    bounds = np.zeros(6)
    nodes.segmentation.GetRASBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    if not np.all(low < high):
        return False
    middle, distance = (low + high) / 2, DIAGONALS * float(np.linalg.norm(high - low))
    cameras = [
        camera for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode", nodes.scene) if not _was_moved(camera)
    ]
    for camera in cameras:
        away = np.array(camera.GetPosition()) - np.array(camera.GetFocalPoint())
        place = middle + away / np.linalg.norm(away) * distance
        modifying = camera.StartModify()
        camera.SetFocalPoint(*middle)
        camera.SetPosition(*place)
        provenance.write(camera, TURNED, json.dumps(_state_of(camera)))
        camera.EndModify(modifying)
        camera.ResetClippingRange()
    return bool(cameras)


def _was_moved(camera: slicer.vtkMRMLCameraNode) -> bool:
    kept = json.loads(provenance.read(camera, TURNED) or "null")
    expected = UNTOUCHED if kept is None else kept
    return not np.allclose(_state_of(camera), expected, atol=SAME)


def _state_of(camera: slicer.vtkMRMLCameraNode) -> list[list[float]]:
    return [list(camera.GetPosition()), list(camera.GetFocalPoint())]
