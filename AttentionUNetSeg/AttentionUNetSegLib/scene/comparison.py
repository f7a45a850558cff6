"""A result's network alone, as a second contour: it is looked at and never saved."""

from __future__ import annotations

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk

from .cropped_field import read_values
from .geometry import ijk_to_ras_of_node, voxel_volume_ml
from .results import ResultNodes
from .threshold import clean_mask

COLOR = (1.0, 1.0, 1.0)


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
        self._segment = self._node.GetSegmentation().AddEmptySegment("Comparison", "Comparison", COLOR)

    def update(self, threshold: float, smoothing_mm: float = 0.0) -> float:
        """Compute the contour anew; return the volume in mL that it encloses."""
        probability = self._nodes.probability
        smoothing = [smoothing_mm / spacing for spacing in probability.GetSpacing()[::-1]]
        mask = clean_mask(read_values(probability), threshold, smoothing_voxels=smoothing)
        labelmap = slicer.vtkOrientedImageData()
        labelmap.SetDimensions(*mask.shape[::-1])
        labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras_of_node(probability)))
        labelmap.GetPointData().SetScalars(numpy_to_vtk(mask.ravel(), deep=True))
        self._node.SetAndObserveTransformNodeID(self._nodes.segmentation.GetTransformNodeID())
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(labelmap, self._node, self._segment, logic.MODE_REPLACE)
        return float(np.count_nonzero(mask)) * voxel_volume_ml(ijk_to_ras_of_node(probability))

    def set_visible(self, is_visible: bool) -> None:
        """Show or hide it."""
        self._node.SetDisplayVisibility(is_visible)

    def remove(self) -> None:
        """Take it out of the scene, where it still is in one."""
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
