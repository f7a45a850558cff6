"""Which result, and which CT, a person sees: that of one patient, never parts of two."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

import slicer

from .results import ResultNodes, find_results, nodes_of_segmentation
from .segment import center_of_segment, segment_id_of

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
