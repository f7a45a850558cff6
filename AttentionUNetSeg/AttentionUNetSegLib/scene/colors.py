"""The Inferno colour table of probability and attention volumes, also where Slicer's colour files are not installed."""

from __future__ import annotations

import numpy as np
import slicer

INFERNO_NODE_ID = "vtkMRMLColorTableNodeFileInferno.txt"

# Every fifth of the 256 entries of "inferno" by N. J. Smith and S. van der Walt (CC0), linear in between: no
# channel is further than 1.2 of 255 from the original.
_INFERNO_CONTROL_POINTS = """
    000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c
    59106e 61136e 69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557
    bf3952 c63d4d cc4248 d34743 d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b
    fa9407 fb9d07 fca60c fcb014 fbba1f fac42a f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4
"""


def inferno_color_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorNode:
    """Return the scene's Inferno colour node.

    Desktop Slicer always has it. slicer-core comes without Slicer's colour files, so there it is made under
    the same node ID, and a scene saved here finds Slicer's own table when it is opened there.
    """
    node = scene.GetNodeByID(INFERNO_NODE_ID)
    if node is not None:
        return node
    node = scene.AddNewNodeByClassWithID("vtkMRMLColorTableNode", "Inferno", INFERNO_NODE_ID)
    # The rest of the node's ID, as in Slicer's colour logic: the node outlives the clearing of the scene.
    node.SetSingletonTag("FileInferno.txt")
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    for index, (red, green, blue) in enumerate(inferno_table()):
        node.SetColor(index, str(index), red, green, blue, 1.0)
    node.SetAttribute("Category", "2D Visualization")
    node.SetSaveWithScene(False)
    return node


def inferno_table() -> np.ndarray:
    """Return the 256 Inferno colours as red, green and blue in 0..1, shape (256, 3)."""
    points = np.array([list(bytes.fromhex(color)) for color in _INFERNO_CONTROL_POINTS.split()]) / 255.0
    positions = np.linspace(0, 255, len(points))
    return np.stack([np.interp(np.arange(256), positions, channel) for channel in points.T], axis=1)
