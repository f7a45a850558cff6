"""Fields of a CT as volumes: probability, corrected probability, spread, attention."""

from __future__ import annotations

import SimpleITK as sitk
import slicer

from .colors import inferno_color_node
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
    node = add_image(scene, image, scene.GenerateUniqueName(name))
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(inferno_color_node(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 255.0)
    display.AutoThresholdOff()
    display.SetThreshold(round(lowest_shown * 255), 255)
    display.ApplyThresholdOn()
    return node
