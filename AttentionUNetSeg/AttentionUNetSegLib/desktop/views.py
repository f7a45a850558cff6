"""What a result does to the views: its CT behind the slices, which jump to it; its surface and the camera in 3D."""

from __future__ import annotations

import slicer

from ..scene import ResultNodes, center_slices, show_also_others, show_ct, show_only
from ..scene.camera import look_at_result
from ..scene.showing import hide_all


def show_result(nodes: ResultNodes, only_this: bool, is_new: bool = False) -> None:
    """Show a result over its own CT in all slice views; center them where they showed another CT, or for a new one."""
    before = {node.GetID(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", nodes.scene)}
    changed = {node.GetID() for node in show_ct(nodes.scene, nodes.volume)}
    (show_only if only_this else show_also_others)(nodes)
    _fit([node for key, node in before.items() if key in changed])
    center_slices(nodes, [node for key, node in before.items() if is_new or key in changed])
    look_at_result(nodes)


def show_volume(volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a CT that has no result selected: nothing of any result lies over it."""
    hide_all(volume_node.GetScene())
    _fit(show_ct(volume_node.GetScene(), volume_node))


def _fit(slice_nodes: list[slicer.vtkMRMLSliceNode]) -> None:
    """Let slice views that show another CT than before show the whole of it."""
    application = slicer.app.applicationLogic()
    for node in slice_nodes:
        logic = application.GetSliceLogic(node)
        if logic is not None:  # a view that is in the scene, and in no window
            logic.FitSliceToBackground()
