"""From a CT to the pancreas probability and the attention coefficients: devices, tiling, prediction, pipeline."""

from .device import ComputeDevice, available_devices, choose_device
from .distrust import Trust
from .observer import Observer, SilentObserver
from .result import Segmentation, write_segmentation
from .segmenter import Segmenter, SegmentOptions

__all__ = [
    "ComputeDevice",
    "Observer",
    "Segmentation",
    "SegmentOptions",
    "Segmenter",
    "SilentObserver",
    "Trust",
    "available_devices",
    "choose_device",
    "write_segmentation",
]
