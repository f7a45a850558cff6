"""Fields of a CT as volumes: probability, corrected probability, spread, attention."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer

from .colors import inferno_color_node
from .ct_voxels import note_place
from .results import ResultNodes
from .volumes import add_image

# The fraction of 1 that the display hides: below it a gate passes next to nothing, and the CT shall stay visible.
LOWEST_SHOWN = 0.2
# Of the spread's scale: a standard deviation of 0.05.
LOWEST_SPREAD_SHOWN = 0.1


def add_field(
    scene: slicer.vtkMRMLScene,
    image: sitk.Image,
    name: str,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    lowest_shown: float = LOWEST_SHOWN,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a uint8 field (0..255) of a CT: under its transform, in Inferno, transparent below a fraction of 255."""
    node = _add(scene, image, name, volume_node, lowest_shown)
    note_place(node, volume_node)
    return node


def add_field_of_result(
    nodes: ResultNodes, image: sitk.Image, name: str, grid: np.ndarray
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a field to a result that is in the scene: where the result is, which may have been moved since.

    `grid` is the CT's IJK to RAS matrix in the result's frame (`ct_voxels.ct_grid`), on which the image lies.
    """
    node = _add(nodes.scene, image, name, nodes.probability, LOWEST_SHOWN)
    note_place(node, nodes.volume, grid)
    return node


def _add(
    scene: slicer.vtkMRMLScene,
    image: sitk.Image,
    name: str,
    beside: slicer.vtkMRMLScalarVolumeNode,
    lowest_shown: float,
) -> slicer.vtkMRMLScalarVolumeNode:
    node = add_image(scene, image, scene.GenerateUniqueName(name))
    node.SetAndObserveTransformNodeID(beside.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(inferno_color_node(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 255.0)
    display.AutoThresholdOff()
    display.SetThreshold(round(lowest_shown * 255), 255)
    display.ApplyThresholdOn()
    return node
