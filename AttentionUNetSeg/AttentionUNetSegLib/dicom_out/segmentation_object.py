"""A segment, or its probability, as a DICOM SEG object that lies on the slices of its CT.

Source: DICOM PS3.3, A.51 (Segmentation IOD) and C.8.20 (Segmentation modules).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.valuerep import format_number_as_ds

from .. import __version__
from ..contracts import ModelIdentity
from ..errors import CannotWrite, InternalError
from ..models import SegmentLabel
from ..whole_file import whole_file
from .identity import PANCREAS
from .libraries import require_libraries
from .on_source_slices import on_source_slices
from .source_series import SourceSeries, source_series

if TYPE_CHECKING:
    import highdicom

MANUFACTURER = "AttentionUNetSeg"
LARGEST_FRACTION = 255


def write_dicom_seg(
    path: str | os.PathLike[str],
    segment: sitk.Image,
    dicom_files: Sequence[str | os.PathLike[str]] | SourceSeries,
    model: ModelIdentity,
    *,
    fractional: bool = False,
    semiautomatic: bool = False,
    threshold: float | None = None,
    label: SegmentLabel = PANCREAS,
) -> None:
    """Write a DICOM SEG with one segment: its voxels are those of the CT series, slice by slice.

    Parameters
    ----------
    path : the file to write, whole or not at all.
    segment : 3D image, LPS; it may be cropped, and it may have another grid than the CT. The mask (everything above 0
        is inside); with `fractional` the probability, 0..255 if its voxels are integers, else 0..1.
    dicom_files : the files of the CT that was segmented, in any order (`Volume.dicom_files`); or what
        `read_source_series` made of them, where several objects refer to it.
    model : what the algorithm identification says.
    fractional : write a FRACTIONAL object that keeps the probability in steps of 1/255, rather than a BINARY one.
    semiautomatic : a person had a hand in it (clicks, strokes), so it is SEMIAUTOMATIC rather than AUTOMATIC.
    threshold : the probability from which a voxel is inside, for the algorithm's parameters.
    label : what the segment shows.

    Raises
    ------
    BadInput : highdicom is not installed, there are no DICOM files, they are no regular series, or the segment does not
        lie within them.
    CannotWrite : the file cannot be written.
    """
    require_libraries()
    series = source_series(dicom_files)
    planes, first = on_source_slices(segment, series.grid, series.shifts, fractional)
    dataset = _segmentation(series, planes, first, model, fractional, semiautomatic, threshold, label)
    write_object(dataset, path)


def write_object(dataset: pydicom.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a DICOM object as a file, whole or not at all; raises InternalError where that fails."""
    with whole_file(path) as beside:
        try:
            dataset.save_as(beside)
        except (ValueError, TypeError, AttributeError) as error:  # a value of the source that no file may hold
            reason = " ".join(str(error).split()).rstrip(".")
            raise CannotWrite(f"{path} cannot be written as DICOM ({reason}).") from error


def _segmentation(
    series: SourceSeries,
    planes: np.ndarray,
    first: int,
    model: ModelIdentity,
    fractional: bool,
    semiautomatic: bool,
    threshold: float | None,
    label: SegmentLabel,
) -> highdicom.seg.Segmentation:
    """Return the object of `planes`, which are those of the series from slice `first` on."""
    import highdicom

    source = series.headers[0]
    positions = series.positions[first : first + len(planes)]
    patient = highdicom.CoordinateSystemNames.PATIENT
    is_multiframe = int(source.get("NumberOfFrames") or 1) > 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values of the source that pydicom would write otherwise
            segmentation = highdicom.seg.Segmentation(
                source_images=series.headers[:1] if is_multiframe else series.headers,
                # highdicom takes one multi-frame image. Frames that are of another one lie at their own places all the
                # same, and the object refers to that image as a whole.
                further_source_images=series.headers[1:] if is_multiframe else None,
                pixel_array=planes,
                segmentation_type="FRACTIONAL" if fractional else "BINARY",
                fractional_type="PROBABILITY",
                max_fractional_value=LARGEST_FRACTION,
                segment_descriptions=[_description(model, semiautomatic, threshold, label)],
                plane_positions=[highdicom.PlanePositionSequence(patient, list(position)) for position in positions],
                series_instance_uid=highdicom.UID(),
                series_number=int(source.get("SeriesNumber") or 0) + 1000,
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer=MANUFACTURER,
                manufacturer_model_name=model.name[:64],
                software_versions=__version__,
                device_serial_number=model.sha256[:64],
                content_label=_content_label(label),
                content_description=f"{label.name}{' probability' if fractional else ''} on CT"[:64],
                series_description=f"{label.name} ({model.id} {model.version})"[:64],
            )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InternalError(
            f"No DICOM SEG could be made for series {source.SeriesInstanceUID} ({reason}).",
            "Save the segment as .seg.nrrd instead, and report this.",
        ) from error
    (shared,) = segmentation.SharedFunctionalGroupsSequence
    # highdicom takes them over from the source, where the distance may be negative or missing. Some readers stack
    # slices by the distance, others by the thickness.
    (measures,) = shared.PixelMeasuresSequence
    between = format_number_as_ds(series.grid.spacing[2])
    measures.SpacingBetweenSlices = between
    measures.SliceThickness = measures.get("SliceThickness") or between
    # Which segment a frame shows may stand once for all frames, but many readers look for it in each frame only.
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        frame.SegmentIdentificationSequence = shared.SegmentIdentificationSequence
    del shared.SegmentIdentificationSequence
    return segmentation


def _description(
    model: ModelIdentity, semiautomatic: bool, threshold: float | None, label: SegmentLabel
) -> highdicom.seg.SegmentDescription:
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    parameters = {"model": model.id, "weights_sha256": model.sha256}
    if threshold is not None:
        parameters["threshold"] = f"{threshold:g}"
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=label.name[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=CodedConcept(label.code, label.scheme, label.meaning),
        algorithm_type="SEMIAUTOMATIC" if semiautomatic else "AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=model.name[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=model.version,
            source=MANUFACTURER,
            parameters=parameters,
        ),
        tracking_uid=highdicom.UID(),
        tracking_id=f"{label.name} by {model.id}"[:64],
        display_color=highdicom.color.CIELabColor.from_rgb(*label.color),
    )


def _content_label(label: SegmentLabel) -> str:
    """Return the label as a code string: 16 capital letters, digits, underscores at most."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in label.name.upper())[:16]
