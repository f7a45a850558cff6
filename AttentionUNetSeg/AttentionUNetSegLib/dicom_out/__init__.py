"""Results as DICOM: segmentation objects (SEG), measurement reports (SR), and the way to and from a PACS (DICOMweb).

Needs highdicom and dicomweb-client (the extra `dicom`), which are imported where they are used: without them everything
else works, and `missing_library` says what to install.
"""

from ..contracts import ModelIdentity
from ..models import SegmentLabel
from .coded_measurement import Code, CodedMeasurement, coded_measurements
from .dicomweb import DicomwebSource, check_server, check_url, fetch_series, store
from .identity import PANCREAS
from .libraries import missing_library
from .measurement_report import write_measurement_report
from .result_objects import write_result_objects
from .segmentation_object import write_dicom_seg

__all__ = [
    "write_result_objects",
    "write_dicom_seg",
    "write_measurement_report",
    "coded_measurements",
    "Code",
    "CodedMeasurement",
    "DicomwebSource",
    "check_server",
    "check_url",
    "fetch_series",
    "store",
    "missing_library",
    "ModelIdentity",
    "SegmentLabel",
    "PANCREAS",
]
