"""A synthetic abdominal CT as sample data: made on this computer, nothing is downloaded."""

from __future__ import annotations

import slicer

from ..imaging import Volume
from ..scene import add_volume
from ..training.phantom import make_phantom

SAMPLE_NAME = "AbdomenPhantom"
# Coarser than a usual CT: made within seconds, and the phantom model works at 3 mm anyway.
_SPACING_MM = (2.0, 2.0, 3.0)
_SEED = 7


def add_phantom(scene: slicer.vtkMRMLScene, seed: int = _SEED) -> slicer.vtkMRMLScalarVolumeNode:
    """Make a phantom and add it to the scene, marked as one."""
    phantom = make_phantom(seed, _SPACING_MM)
    return add_volume(scene, Volume(phantom.ct, SAMPLE_NAME, is_phantom=True))
