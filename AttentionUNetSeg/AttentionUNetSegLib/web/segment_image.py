"""The segment as an image on its CT's whole grid, for programs that know no Slicer."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..scene import ResultNodes
from ..scene.strokes import segment_on_ct
from ..scene.volumes import image_of_node


def segment_image(nodes: ResultNodes) -> sitk.Image:
    """Return a uint8 image (0 or 1, LPS) that has the CT's size, spacing, origin and direction."""
    ct = image_of_node(nodes.volume)
    mask = np.zeros(ct.GetSize()[::-1], np.uint8)
    segment = segment_on_ct(nodes)
    mask[segment.box] = segment.values
    image = sitk.GetImageFromArray(mask)
    image.CopyInformation(ct)
    return image
