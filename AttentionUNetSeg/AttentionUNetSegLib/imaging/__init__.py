"""CT volumes: read, check, resample to the model's grid and back, write.

Geometry is LPS in mm throughout, as SimpleITK has it; arrays are KJI (slices, rows, columns).
Needs numpy, scipy, SimpleITK and, for DICOM, pydicom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check import check_ct, intensity_doubts
from .components import body_box, body_box_in, body_mask, bounding_box, keep_largest_component, volume_ml
from .field_of_view import field_of_view_doubts
from .geometry import Geometry, coarser_grid, image_on_grid
from .image_file import PHANTOM_DESCRIPTION, PHANTOM_KEY, read_written, write_image
from .intensity import HUWindow
from .probability import linearly_on, on_grid_of, probability_to_input_grid
from .raw_nrrd import raw_nrrd_slabs, write_raw_nrrd
from .resample import to_model_grid
from .segmentation_file import (
    SegmentationFile,
    StoredSegment,
    label_of,
    open_segmentation,
    probability_of,
    read_probability,
    read_segment,
)
from .volume import Volume, read_volume

if TYPE_CHECKING:
    from .dicom import DicomSeries, list_dicom_series

__all__ = [
    "PHANTOM_DESCRIPTION",
    "PHANTOM_KEY",
    "DicomSeries",
    "Geometry",
    "HUWindow",
    "SegmentationFile",
    "StoredSegment",
    "Volume",
    "body_box",
    "body_box_in",
    "body_mask",
    "bounding_box",
    "check_ct",
    "coarser_grid",
    "field_of_view_doubts",
    "image_on_grid",
    "intensity_doubts",
    "keep_largest_component",
    "label_of",
    "linearly_on",
    "list_dicom_series",
    "on_grid_of",
    "open_segmentation",
    "probability_of",
    "probability_to_input_grid",
    "read_probability",
    "read_segment",
    "read_volume",
    "read_written",
    "to_model_grid",
    "volume_ml",
    "write_image",
    "raw_nrrd_slabs",
    "write_raw_nrrd",
]


def __getattr__(name: str) -> object:
    """What needs pydicom, which takes a fifth of a second to import, comes when it is asked for."""
    if name in ("DicomSeries", "list_dicom_series"):
        from . import dicom

        return getattr(dicom, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
