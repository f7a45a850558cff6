"""What a person sees: the result and the CT of one patient, never parts of two; slices and cameras turned to it.

A camera is turned to a result once, and never again where a person has moved it.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import slicer

from . import provenance
from .geometry import ijk_to_ras_of_node, voxel_volume_ml
from .results import ResultNodes, find_results, nodes_of_segmentation
from .segment import center_of_segment, segment_id_of
from .threshold import labelmap_of, mask_of

# Of a turn: hues that many results go through without coming near an earlier one soon.
GOLDEN_RATIO = 0.618034


def show_only(nodes: ResultNodes) -> None:
    """Show one result: its segment, its clicks and its CT; hide the segments, clicks and overlays of all others."""
    for other in find_results(nodes.scene):
        is_chosen = other.segmentation is nodes.segmentation
        _show_segmentation(other, is_chosen)
        _show_clicks(other, is_chosen)
        if not is_chosen:
            remove_overlay(other)
    show_ct(nodes.scene, nodes.volume)


def show_also_others(nodes: ResultNodes) -> None:
    """Show the segments of all results, and the clicks of one: only its clicks can be dragged."""
    for other in find_results(nodes.scene):
        is_chosen = other.segmentation is nodes.segmentation
        _show_segmentation(other, True)
        _show_clicks(other, is_chosen)
        if not is_chosen:
            remove_overlay(other)
    show_ct(nodes.scene, nodes.volume)


def give_own_color(nodes: ResultNodes) -> None:
    """Turn the hue of a result's segment where its CT has earlier results, so that nobody takes one for another."""
    earlier = [found for found in find_results(nodes.scene) if found.volume is nodes.volume]
    number = sum(found.segmentation is not nodes.segmentation for found in earlier)
    if not number:
        return
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    hue, saturation, value = colorsys.rgb_to_hsv(*segment.GetColor())
    segment.SetColor(*colorsys.hsv_to_rgb((hue + number * GOLDEN_RATIO) % 1.0, max(saturation, 0.45), max(value, 0.8)))


def hide_all(scene: slicer.vtkMRMLScene) -> None:
    """Hide the segments, clicks and overlays of all results."""
    for nodes in find_results(scene):
        _show_segmentation(nodes, False)
        _show_clicks(nodes, False)
        remove_overlay(nodes)


def show_ct(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[slicer.vtkMRMLSliceNode]:
    """Lay a CT behind all slice views; return the slice nodes of those that showed another one."""
    changed = []
    for composite in slice_composites(scene):
        if composite.GetBackgroundVolumeID() != volume_node.GetID():
            composite.SetBackgroundVolumeID(volume_node.GetID())
            changed += _slice_nodes_of(composite)
    return changed


def center_slices(nodes: ResultNodes, slice_nodes: Iterable[slicer.vtkMRMLSliceNode] | None = None) -> None:
    """Move slice views (default: all) to the segment, in all three directions; an empty segment leaves them alone."""
    center = center_of_segment(nodes)
    if center is None:
        return
    if slice_nodes is None:
        slice_nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", nodes.scene)
    for node in slice_nodes:
        node.JumpSliceByCentering(*center)


def remove_overlay(nodes: ResultNodes) -> None:
    """Take the result's volumes out of the foreground and the labels of all slice views."""
    ours = {node.GetID() for node in nodes_of_segmentation(nodes.segmentation)}
    for composite in slice_composites(nodes.scene):
        if composite.GetForegroundVolumeID() in ours:
            composite.SetForegroundVolumeID(None)
        if composite.GetLabelVolumeID() in ours:
            composite.SetLabelVolumeID(None)


def slice_composites(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceCompositeNode]:
    """Return what says of each slice view which volumes it shows."""
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)


def _slice_nodes_of(composite: slicer.vtkMRMLSliceCompositeNode) -> list[slicer.vtkMRMLSliceNode]:
    slices = slicer.util.getNodesByClass("vtkMRMLSliceNode", composite.GetScene())
    return [node for node in slices if node.GetLayoutName() == composite.GetLayoutName()]


def _show_segmentation(nodes: ResultNodes, is_visible: bool) -> None:
    display = nodes.segmentation.GetDisplayNode()
    if display is not None:
        display.SetVisibility(is_visible)


def _show_clicks(nodes: ResultNodes, is_visible: bool) -> None:
    for points in (nodes.add_clicks, nodes.remove_clicks):
        if points is not None and points.GetDisplayNode() is not None:
            points.GetDisplayNode().SetVisibility(is_visible)


@dataclass(frozen=True)
class _StandardView:
    """One of the slice views that every Slicer layout knows: name, letter, orientation and colour (0..255)."""

    name: str
    letter: str
    orientation: str
    color: tuple[int, int, int]


_STANDARD_VIEWS = (
    _StandardView("Red", "R", "Axial", (243, 74, 51)),
    _StandardView("Yellow", "Y", "Sagittal", (237, 213, 76)),
    _StandardView("Green", "G", "Coronal", (110, 176, 75)),
)


def arrange_slice_views(nodes: ResultNodes) -> None:
    """Show the CT in the standard slice views, through the pancreas, with the finest attention ready at opacity 0.

    Where the scene has no Red, Yellow and Green view, because no window was ever open on it, their nodes are
    made: a scene that the command line saves opens in Slicer at the right place. An empty segment leaves the
    positions alone.
    """
    center = center_of_segment(nodes)
    for view in _STANDARD_VIEWS:
        composite = _node(nodes.scene, "vtkMRMLSliceCompositeNode", view.name)
        if composite is None:
            composite = _add(nodes.scene, "vtkMRMLSliceCompositeNode", view.name)
        composite.SetBackgroundVolumeID(nodes.volume.GetID())
        if nodes.attention:
            composite.SetForegroundVolumeID(nodes.attention[0].GetID())
            composite.SetForegroundOpacity(0.0)
        slice_node = _node(nodes.scene, "vtkMRMLSliceNode", view.name)
        if slice_node is None:
            slice_node = _add_slice_node(nodes, view)
        if center is not None:
            slice_node.JumpSliceByOffsetting(*center)


def _node(scene: slicer.vtkMRMLScene, class_name: str, view: str) -> slicer.vtkMRMLNode | None:
    return scene.GetSingletonNode(view, class_name)


def _add(scene: slicer.vtkMRMLScene, class_name: str, view: str) -> slicer.vtkMRMLNode:
    node = scene.AddNewNodeByClassWithID(class_name, view, class_name + view)
    # The rest of the ID: any Slicer's own view of this name takes the node over.
    node.SetSingletonTag(view)
    node.SetLayoutName(view)
    return node


def _add_slice_node(nodes: ResultNodes, view: _StandardView) -> slicer.vtkMRMLSliceNode:
    """Add a slice node that shows the whole CT, as the view would be after "fit to window"."""
    node = _add(nodes.scene, "vtkMRMLSliceNode", view.name)
    node.SetLayoutLabel(view.letter)
    node.SetLayoutColor(*(channel / 255.0 for channel in view.color))
    node.SetOrientation(view.orientation)
    bounds = [0.0] * 6
    nodes.volume.GetRASBounds(bounds)
    largest = max(bounds[1] - bounds[0], bounds[3] - bounds[2], bounds[5] - bounds[4])
    node.SetFieldOfView(largest, largest, node.GetFieldOfView()[2])
    node.JumpSliceByCentering(*((bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)))
    return node


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
    return not any(np.allclose(_state_of(camera), state, atol=SAME) for state in (UNTOUCHED, kept) if state is not None)


def _state_of(camera: slicer.vtkMRMLCameraNode) -> list[list[float]]:
    return [list(camera.GetPosition()), list(camera.GetFocalPoint())]


COMPARISON_COLOR = (1.0, 1.0, 1.0)


class Comparison:
    """A segmentation node with what the network's own probability makes of a threshold, without any correction.

    It goes with the scene's next Clear, is left out of saved scenes, and shows in slices only.
    """

    def __init__(self, nodes: ResultNodes) -> None:
        self._nodes = nodes
        self._node = nodes.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Comparison")
        self._node.SetSaveWithScene(False)
        self._node.SetHideFromEditors(True)
        self._node.CreateDefaultDisplayNodes()
        display = self._node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility2DFill(False)
        display.SetVisibility3D(False)
        display.SetSliceIntersectionThickness(1)
        self._segment = self._node.GetSegmentation().AddEmptySegment("Comparison", "Comparison", COMPARISON_COLOR)

    def update(self, threshold: float, smoothing_mm: float = 0.0) -> float:
        """Compute the contour anew; return the volume in mL that it encloses."""
        mask = mask_of(self._nodes, self._nodes.probability, threshold, False, smoothing_mm)
        labelmap = labelmap_of(self._nodes, self._nodes.probability, mask)
        self._node.SetAndObserveTransformNodeID(self._nodes.segmentation.GetTransformNodeID())
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(labelmap, self._node, self._segment, logic.MODE_REPLACE)
        return float(np.count_nonzero(mask.values)) * voxel_volume_ml(ijk_to_ras_of_node(self._nodes.probability))

    def set_visible(self, is_visible: bool) -> None:
        """Show or hide it."""
        self._node.SetDisplayVisibility(is_visible)

    def remove(self) -> None:
        """Take it out of the scene, where it still is in one."""
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
