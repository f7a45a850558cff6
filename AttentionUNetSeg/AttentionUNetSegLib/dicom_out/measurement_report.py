"""Measurements of a segment as a DICOM structured report: Comprehensive 3D SR by TID 1500.

Source: DICOM PS3.16, TID 1500 (Measurement Report), TID 1411 (Volumetric ROI Measurements), TID 310 (Measurement
Properties: the range of a measurement).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydicom.uid import generate_uid

from .. import __version__
from ..contracts import ModelIdentity
from ..errors import InternalError
from .coded_measurement import PRIVATE_SCHEME, Code, CodedMeasurement
from .libraries import require_libraries
from .segmentation_object import MANUFACTURER, write_object
from .source_series import SourceSeries, source_series

if TYPE_CHECKING:
    import highdicom


def write_measurement_report(
    path: str | os.PathLike[str],
    measurements: Iterable[CodedMeasurement],
    segmentation: str | os.PathLike[str],
    dicom_files: Sequence[str | os.PathLike[str]] | SourceSeries,
    model: ModelIdentity,
) -> None:
    """Write a Comprehensive 3D SR with measurements of the segment of a SEG object.

    Parameters
    ----------
    path : the file to write, whole or not at all.
    measurements : what was measured, at least one; see `coded_measurements`.
    segmentation : file of the SEG, written by `write_dicom_seg`.
    dicom_files : the files of the CT that was segmented, or what `read_source_series` made of them.
    model : which model made the segment.

    Raises
    ------
    BadInput : as for `write_dicom_seg`.
    CannotWrite : the file cannot be written.
    """
    require_libraries()
    import highdicom
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    headers = source_series(dicom_files).headers
    seg = highdicom.seg.segread(segmentation)
    number = int(headers[0].get("SeriesNumber") or 0) + 2000
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values of the source that pydicom would write otherwise
            report = highdicom.sr.Comprehensive3DSR(
                evidence=[seg, *headers],
                content=_content(seg, list(measurements), model)[0],
                series_instance_uid=highdicom.UID(),
                series_number=number,
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer=MANUFACTURER,
                manufacturer_model_name=model.name[:64],
                software_versions=__version__,
                device_serial_number=model.sha256[:64],
                is_complete=True,
                coding_schemes=[CodingSchemeIdentificationItem(PRIVATE_SCHEME, MANUFACTURER)],
                series_description=f"Measurements ({model.id} {model.version})"[:64],
            )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InternalError(f"No DICOM report could be made of the measurements ({reason}).", "Report this.") from error
    write_object(report, path)


def _content(
    seg: highdicom.seg.Segmentation, measurements: Sequence[CodedMeasurement], model: ModelIdentity
) -> highdicom.sr.MeasurementReport:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    (segment,) = seg.SegmentSequence
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[MANUFACTURER, model.sha256]),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=f"{model.name} {model.version}",
        serial_number=model.sha256,
    )
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(segment.TrackingUID, segment.TrackingID),
        referenced_segment=sr.ReferencedSegment.from_segmentation(seg, segment_number=1),
        finding_type=segment.segmented_property_type,
        finding_category=segment.segmented_property_category,
        finding_sites=[sr.FindingSite(segment.segmented_property_type)],
        algorithm_id=sr.AlgorithmIdentification(
            model.name, model.version, [f"model={model.id}", f"weights_sha256={model.sha256}"]
        ),
        measurements=[_measurement(each) for each in measurements],
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device)),
        procedure_reported=codes.cid100.CTUnspecifiedBodyRegion,
        imaging_measurements=[group],
        title=codes.cid7021.ImagingMeasurementReport,
    )


def _measurement(given: CodedMeasurement) -> highdicom.sr.Measurement:
    from highdicom import sr

    unit = sr.CodedConcept(given.unit, "UCUM", _UNITS.get(given.unit, given.unit))
    properties = None
    if given.low is not None and given.high is not None:
        properties = sr.MeasurementProperties(
            upper_measurement_uncertainty=_rounded(given.high - given.value),
            lower_measurement_uncertainty=_rounded(given.value - given.low),
        )
        for item in properties:  # highdicom gives both no unit
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [unit]
    return sr.Measurement(
        name=_concept(given.concept),
        value=given.value,
        unit=unit,
        derivation=None if given.derivation is None else _concept(given.derivation),
        finding_sites=None if given.site is None else [sr.FindingSite(_concept(given.site))],
        properties=properties,
    )


def _concept(code: Code) -> highdicom.sr.CodedConcept:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _rounded(difference: float) -> float:
    """Return a difference of two rounded numbers without the digits that binary arithmetic adds."""
    return float(f"{difference:.6g}")


_UNITS = {
    "mL": "milliliter",
    "mm": "millimeter",
    "mm2": "square millimeter",
    "[hnsf'U]": "Hounsfield unit",
    "%": "percent",
    "1": "no units",
}
