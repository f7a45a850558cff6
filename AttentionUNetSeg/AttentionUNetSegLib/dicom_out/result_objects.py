"""The DICOM objects of one result: the segment (SEG), its measurements (SR), where asked for its probability (SEG)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from ..contracts import ModelIdentity
from ..models import SegmentLabel
from .coded_measurement import coded_measurements
from .identity import PANCREAS
from .libraries import require_libraries
from .measurement_report import write_measurement_report
from .segmentation_object import write_dicom_seg
from .source_series import read_source_series

if TYPE_CHECKING:
    from ..measure.measurements import Quantity

SEGMENT, PROBABILITY, MEASUREMENTS = "pancreas.dcm", "probability.dcm", "measurements.dcm"


def write_result_objects(
    folder: Path,
    stem: str,
    segment: sitk.Image,
    probability: sitk.Image | None,
    dicom_files: Sequence[Path],
    model: Mapping[str, Any],
    threshold: float,
    measurements: Iterable[Quantity],
    *,
    semiautomatic: bool = False,
    label: SegmentLabel = PANCREAS,
) -> dict[str, Path]:
    """Write the objects as `<stem>_pancreas.dcm` and so on; return the files by what they are.

    Parameters
    ----------
    segment : mask, LPS; what is above 0 is inside.
    probability : 0..255 or 0..1, for a FRACTIONAL SEG; None: there is none.
    dicom_files : of the CT, in any order.
    model : "id", "name", "version", "sha256".
    threshold, semiautomatic, label : as for `write_dicom_seg`.
    measurements : what could be measured goes into the SR; without any there is none.

    Returns
    -------
    paths under "dicom_seg", "dicom_report", "dicom_probability".

    Raises
    ------
    BadInput, InternalError : as `write_dicom_seg`.
    """
    require_libraries()
    made_by, series = ModelIdentity.of(model), read_source_series(dicom_files)
    files = {"dicom_seg": folder / f"{stem}_{SEGMENT}"}
    write = partial(write_dicom_seg, semiautomatic=semiautomatic, threshold=threshold, label=label)
    write(files["dicom_seg"], segment, series, made_by)
    coded = coded_measurements(measurements)
    if coded:
        files["dicom_report"] = folder / f"{stem}_{MEASUREMENTS}"
        write_measurement_report(files["dicom_report"], coded, files["dicom_seg"], series, made_by)
    if probability is not None:
        files["dicom_probability"] = folder / f"{stem}_{PROBABILITY}"
        write(files["dicom_probability"], probability, series, made_by, fractional=True)
    return files
