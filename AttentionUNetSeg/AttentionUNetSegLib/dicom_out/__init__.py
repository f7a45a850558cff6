"""Results as DICOM: segmentation objects (SEG), measurement reports (SR), and the way to and from a PACS (DICOMweb).

Needs highdicom and dicomweb-client (the extra `dicom`), which are imported where they are used: without them everything
else works, and `missing_library` says what to install.
"""

from .identity import PANCREAS, ModelIdentity, SegmentLabel
from .libraries import missing_library
from .segmentation_object import write_dicom_seg

__all__ = [
    "write_dicom_seg",
    "missing_library",
    "ModelIdentity",
    "SegmentLabel",
    "PANCREAS",
]
