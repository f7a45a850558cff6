"""From a CT to the pancreas probability and the attention coefficients: devices, tiling, prediction, pipeline."""

from ..contracts import SegmentOptions
from .device import ComputeDevice, available_devices, choose_device
from .observer import Observer, SilentObserver
from .result import Segmentation, write_segmentation
from .segmenter import Segmenter

__all__ = [
    "ComputeDevice",
    "Observer",
    "Segmentation",
    "SegmentOptions",
    "Segmenter",
    "SilentObserver",
    "available_devices",
    "choose_device",
    "write_segmentation",
]
