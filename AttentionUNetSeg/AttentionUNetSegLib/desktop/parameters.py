"""The panel's parameters as a node of the scene: they are saved, loaded and closed with it."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

# No `from __future__ import annotations`: the wrapper reads the annotations of the class.


@parameterNodeWrapper
class PanelParameters:
    """What the person has chosen; camelCase, because the names are written into scenes and bound in the .ui file.

    How a result is made (threshold, smoothing, clicks, ...) is kept on the result itself: a scene may hold several.

    inputVolume, roi, result : nodes; model : id of the model package, "" for the default one.
    show3D : whether new results show their surface; showOnlyThis : whether all other results are hidden.
    overlay : "", "probability", "spread", or the number of a gate; overlayOpacity, overlayThreshold : fractions.
    legend : whether the slice views tell which colour stands for which value.
    centreLine : whether the centre line of the measurements is drawn.
    device, testTimeAugmentation : as in `SegmentRequest`.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    roi: slicer.vtkMRMLMarkupsROINode
    result: slicer.vtkMRMLSegmentationNode
    overlayColor: slicer.vtkMRMLColorNode
    model: str = ""
    show3D: bool = True
    showOnlyThis: bool = True
    overlay: str = ""
    overlayOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    overlayThreshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.2
    legend: bool = True
    centreLine: bool = False
    device: str = "auto"
    testTimeAugmentation: bool = False
