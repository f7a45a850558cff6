"""What comes and goes in the scene: slice views of a new layout, nodes that somebody loads or deletes."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from slicer.util import VTKObservationMixin

from .delayed_call import DelayedCall


class SceneFollower(VTKObservationMixin):
    """Tells, a moment later, that slice views have come, and that nodes have come or gone.

    Parameters
    ----------
    on_views : called when there are new slice views.
    on_nodes : called when volumes, segmentations or point lists have come or gone.
    """

    WATCHED = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode")

    def __init__(self, on_views: Callable[[], None], on_nodes: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._views, self._nodes = DelayedCall(0, on_views), DelayedCall(0, on_nodes)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.NodeAddedEvent, self._on_added)
        self.addObserver(scene, slicer.vtkMRMLScene.NodeRemovedEvent, self._on_removed)

    def drop(self) -> None:
        """Forget what was to be told: the scene closes."""
        self._views.drop()
        self._nodes.drop()

    def close(self) -> None:
        """Observe nothing any more."""
        self.drop()
        self.removeObservers()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, _scene: object, _event: object, node: object) -> None:
        if node is not None and node.IsA("vtkMRMLSliceCompositeNode"):
            self._views.request()
        self._tell_of(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, _scene: object, _event: object, node: object) -> None:
        self._tell_of(node)

    def _tell_of(self, node: object) -> None:
        if node is not None and any(node.IsA(kind) for kind in self.WATCHED):
            self._nodes.request()
