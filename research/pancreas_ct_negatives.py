"""Parts of real CTs in which there is no pancreas, as a data set of the layout `table`.

The manual contours come with volumes that begin and end with the gland. A network that sees only those finds a pancreas
in every slice of a chest. In two PET/CTs of the development data it is plain to see how far the chest reaches down and
the pelvis up; what lies between is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import read_volume, to_model_grid, write_image
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME, write_table

SPACING_MM = 2.5
LICENCE = "CC BY 3.0"
HEAD_AND_CHEST = "1.3.6.1.4.1.14519.5.2.1.7009.2401.264410460039008685576999729346"


@dataclass(frozen=True)
class NegativePart:
    """One scan and where it shows no pancreas.

    Attributes
    ----------
    source : file or folder below the development data.
    patient : its name, shared with other scans of the patient.
    lowest_mm, highest_mm : the part without pancreas, measured upwards from the lowest slice; None: to the end.
    attribution : of the scan.
    series : UID of the series, in a DICOM folder that holds several.
    """

    source: str
    patient: str
    lowest_mm: float | None
    highest_mm: float | None
    attribution: str
    series: str | None = None


# The ends were read off coronal slices, with 50 mm and more to the nearest slice that may hold pancreas.
PARTS = (
    NegativePart("ct/acrin_flt_001/ct.nii.gz", "acrin_flt_001", None, 175.0, "TCIA ACRIN-FLT-Breast"),
    NegativePart("ct/acrin_nsclc_042/ct.nii.gz", "acrin_nsclc_042", 150.0, None, "TCIA ACRIN-NSCLC-FDG-PET"),
    NegativePart("dicom/acrin_flt_001", "acrin_flt_001", None, None, "TCIA ACRIN-FLT-Breast", HEAD_AND_CHEST),
)


def write_negative_parts(data: Path, folder: Path) -> Path:
    """Write the table with its CTs, labels and ignore masks into `folder`; return its path.

    Parameters
    ----------
    data : the folder of the development data.

    Raises
    ------
    BadInput : a scan is missing or unreadable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, part in enumerate(PARTS):
        ct = to_model_grid(read_volume(data / part.source, part.series).image, (SPACING_MM,) * 3)
        ct = sitk.Cast(sitk.Round(ct), sitk.sitkInt16)
        height = (np.arange(ct.GetSize()[2]) + 0.5) * SPACING_MM
        low = -np.inf if part.lowest_mm is None else part.lowest_mm
        high = np.inf if part.highest_mm is None else part.highest_mm
        unknown = np.zeros(ct.GetSize()[::-1], np.uint8)
        unknown[(height < low) | (height > high)] = 1
        images = {"image": ct, "label": np.zeros_like(unknown), "ignore": unknown}
        row = {
            "name": f"{part.patient}_{number}", "patient": part.patient, "structures": "pancreas=1",
            "labels_by": "manual", "licence": LICENCE, "attribution": part.attribution,
        }  # fmt: skip
        for kind, image in images.items():
            if isinstance(image, np.ndarray):
                image = sitk.GetImageFromArray(image)
                image.CopyInformation(ct)
            row[kind] = f"{row['name']}_{kind}.nrrd"
            write_image(image, folder / row[kind])
        rows.append(row)
    return write_table(folder / TABLE_NAME, rows)
