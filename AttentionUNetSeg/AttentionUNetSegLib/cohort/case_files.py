"""The files of one case: segment, probability, spread, attention, picture and, of a DICOM series, DICOM objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ..contracts import PROBABILITY_FILE, SPREAD_FILE, attention_file
from ..errors import AttentionUNetSegError
from .case_folder import REPORT, STEM

if TYPE_CHECKING:
    from ..imaging import Volume
    from ..inference import Segmentation
    from ..measure import Measurements
    from .case_run import Order

Label = Mapping[str, Any]


def write_files(
    place: Path,
    label: Label,
    volume: Volume,
    found: Segmentation,
    order: Order,
    threshold: float,
    measurements: Measurements,
) -> tuple[dict[str, Any], sitk.Image]:
    """Write what every case has into the folder `place`; return the names by what they are, and the mask.

    `label` is an entry of the model manifest's "labels". The mask (uint8, 0 or 1) lies on the probability's voxels.

    Raises
    ------
    CannotWrite : a file cannot be written.
    """
    from ..imaging import keep_largest_component, write_image
    from ..models import SegmentLabel
    from .part_segments import COLOURS, write_parts
    from .picture import CONTOUR, draw
    from .segmentation_nrrd import write_segmentation_nrrd

    inside = sitk.GetArrayFromImage(found.probability) >= threshold * 255
    mask = sitk.GetImageFromArray((keep_largest_component(inside) if order.keep_largest else inside).astype(np.uint8))
    mask.CopyInformation(found.probability)
    names = {"segmentation": f"{STEM}_pancreas.seg.nrrd", "probability": f"{STEM}_{PROBABILITY_FILE}"}
    write_segmentation_nrrd(mask, [SegmentLabel.of_manifest(label)], place / names["segmentation"])
    write_image(found.probability, place / names["probability"], compress=True)
    if found.spread is not None:
        names["spread"] = f"{STEM}_{SPREAD_FILE}"
        write_image(found.spread, place / names["spread"], compress=True)
    attention = [f"{STEM}_{attention_file(n)}" for n in range(1, len(found.attention) + 1)]
    for name, image in zip(attention, found.attention, strict=True):
        write_image(image, place / name, compress=True)
    parts = None
    if measurements.centre_line is not None:
        names["parts"] = f"{STEM}_parts.seg.nrrd"
        parts = write_parts(mask, measurements.centre_line, place / names["parts"])
    if order.picture:
        names["overview"] = f"{STEM}_overview.png"
        colours = (CONTOUR,) if parts is None else tuple(COLOURS.values())
        draw(volume.image, mask if parts is None else parts, place / names["overview"], colours)
    return {**names, "attention": attention, "report": REPORT}, mask


def write_dicom(
    place: Path,
    label: Label,
    volume: Volume,
    found: Segmentation,
    mask: sitk.Image,
    order: Order,
    model: Mapping[str, str],
    threshold: float,
    measurements: Measurements,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Write the DICOM objects of a case; return their names, and the report's entry "dicom".

    Where there are none the entry says why: the CT is no DICOM series, or its headers allow none ("failed"). The case
    has its result all the same.
    """
    from ..dicom_out import write_result_objects
    from ..models import SegmentLabel

    if not volume.dicom_files:
        reason = "The CT is no DICOM series, so there is nothing that a DICOM SEG could refer to."
        return {}, {"written": False, "failed": False, "reason": reason}
    probability = found.probability if order.fractional else None
    try:
        files = write_result_objects(
            place, STEM, mask, probability, volume.dicom_files, model, threshold, measurements,
            label=SegmentLabel.of_manifest(label),
        )  # fmt: skip
    except Exception as error:  # a bug of ours or of a library must not cost the result that is there
        for left in place.glob("*.dcm"):  # a SEG without its SR would pass for all there is
            left.unlink()
        known = isinstance(error, AttentionUNetSegError)
        reason = str(error) if known else f"Unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        return {}, {"written": False, "failed": True, "reason": reason}
    return {key: path.name for key, path in files.items()}, {"written": True, "failed": False, "reason": ""}


def lacks_objects(report: Mapping[str, Any]) -> bool:
    """Tell whether DICOM objects of a case were asked for and could not be made."""
    return bool((report.get("dicom") or {}).get("failed"))
