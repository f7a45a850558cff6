"""Layout `nih`: Pancreas-CT of The Cancer Imaging Archive (doi 10.7937/K9/TCIA.2016.tNB1kqBU).

Folders `PANCREAS_0001/<study>/<series>/*.dcm` and files `label0001.nii.gz`, both anywhere below the folder given (as
the archive's download tools leave them: manifest-.../Pancreas-CT and TCIA_pancreas_labels-02-05-2017). A label
without its CT is passed over (there are 82 labels and 80 CTs), a CT without its label is refused. Cases 25 and 70
were withdrawn from the archive (their folders are empty there), and are left out also where an old copy still holds
them.

**The labels' affines are not to be trusted**: read by them, the pancreas lies mirrored. Their voxels are in the order
of the DICOM images instead: columns, rows from the front of the patient to the back, slices from the feet to the
head. That is how published preparations use them (OrganSegC2F transposes them onto `pixel_array`; deedsBCV flips the
rows after dcm2niix, which turns the images' rows round). So the label takes the CT's geometry, and because copies of
the data set differ, the order of rows and slices is found anew for every case: of the four ways to turn them round,
one has to put the label on soft tissue with less of it around (fat lies around a pancreas), clearly better than the
other three. Otherwise the case is refused. Left and right need no check: nobody found them exchanged.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, find_objects

from ...errors import BadInput
from ...imaging import read_volume
from ...imaging.image_file import read_image_file
from ..labelled_scan import LabelledScan, LoadedScan
from .folders import not_this_layout
from .label_map import mask_on_grid, whole_numbers
from .licences import NIH_PANCREAS

WITHDRAWN = (25, 70)
SOFT_TISSUE_HU = (-20, 200)
AROUND_VOXELS = 4
# How much more soft tissue (as a fraction) the label has to hold than its surroundings, compared with other orders. On
# four CTs with labels of other networks the right order leads by 0.14 or more.
CLEAR_LEAD = 0.05
SMALLEST_CLUE = 200  # voxels
ORDERS = ((), (0,), (1,), (0, 1))  # KJI axes to turn round: slices, rows


def open_nih(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the cases that have a CT.

    Raises
    ------
    BadInput : no such folders, or a CT without its label.
    """
    cts, labels = _found(path)
    cases = sorted(number for number in cts if number not in WITHDRAWN)
    if not cases or not labels:
        looked_for = "label such as label0001.nii.gz" if cases else "folder such as PANCREAS_0001 with DICOM files"
        raise not_this_layout("nih", path, looked_for)
    without = [number for number in cases if number not in labels]
    if without:
        raise BadInput(
            f"There is no label{without[0]:04d}.nii.gz for {cts[without[0]]} ({len(without)} of {len(cases)} CTs have "
            "no label).",
            "Put the archive's labels into the same folder.",
        )
    return [_scan(f"{prefix}/PANCREAS_{number:04d}", cts[number], labels[number]) for number in cases]


def _scan(name: str, ct: Path, label: Path) -> LabelledScan:
    return LabelledScan(
        name=name,
        patient=name,
        load=partial(_load, name, ct, label),
        licence=NIH_PANCREAS.licence,
        attribution=NIH_PANCREAS.attribution,
    )


def _found(path: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """Return the CT folders that hold files, and the labels, by case number."""
    cts: dict[int, Path] = {}
    labels: dict[int, Path] = {}
    for parent, folders, files in os.walk(path):
        for folder in list(folders):
            if match := re.fullmatch(r"PANCREAS_(\d{4})", folder):
                folders.remove(folder)
                if any(names for _, _, names in os.walk(Path(parent, folder))):
                    _once(cts, int(match[1]), Path(parent, folder))
        for file in files:
            if match := re.fullmatch(r"label(\d{4})\.nii(\.gz)?", file):
                _once(labels, int(match[1]), Path(parent, file))
    return cts, labels


def _once(found: dict[int, Path], number: int, path: Path) -> None:
    if number in found:
        raise BadInput(f"Case {number} is there twice: {found[number]} and {path}.", "Keep one of them.")
    found[number] = path


def _load(name: str, ct_folder: Path, label_file: Path) -> LoadedScan:
    try:
        ct = read_volume(ct_folder).image
        label, _ = read_image_file(label_file)
        if label.GetSize() != ct.GetSize():
            raise BadInput(
                f"The label {label_file.name} has {label.GetSize()} voxels and its CT {ct.GetSize()}.",
                "Download both again: files of two cases may have been mixed up.",
            )
        mask = whole_numbers(label, label_file)
        if mask.max() > 1:
            raise BadInput(f"The label {label_file.name} holds the value {mask.max()}, which nothing explains.")
        return LoadedScan(ct, {"pancreas": mask_on_grid(in_order_of_ct(mask > 0, ct, label_file.name), ct)})
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", error.hint) from error


def in_order_of_ct(mask: np.ndarray, ct: sitk.Image, label_name: str) -> np.ndarray:
    """Return a label's voxels (KJI) in the order of the CT's voxels.

    Parameters
    ----------
    mask : boolean, KJI, in the order of the file.
    ct : the same number of voxels, in the order of its DICOM images.

    Raises
    ------
    BadInput : no order, or more than one, puts the label where a pancreas can be.
    """
    if np.count_nonzero(mask) < SMALLEST_CLUE:
        raise BadInput(f"The label {label_name} is empty or holds only a few voxels: its order cannot be found.")
    hu = sitk.GetArrayViewFromImage(ct)
    contrast = [_contrast(np.flip(mask, axes), hu) for axes in ORDERS]
    best, second = np.argsort(contrast)[:-3:-1]
    if contrast[best] - contrast[second] < CLEAR_LEAD:
        raise BadInput(
            f"It is not clear how the label {label_name} lies on its CT: in two of the four orders of rows and slices "
            f"it fits about as well ({contrast[best]:.2f} and {contrast[second]:.2f} more soft tissue inside).",
            "Look at the case, write the label with the CT's geometry, and use the layout `table` for it.",
        )
    return np.flip(mask, ORDERS[best])


def _contrast(mask: np.ndarray, hu: np.ndarray) -> float:
    """Return how much more of the mask than of its surroundings in the same slices is soft tissue (-1..1)."""
    box = find_objects(mask.astype(np.uint8))[0]
    box = (box[0], *(slice(max(0, side.start - AROUND_VOXELS), side.stop + AROUND_VOXELS) for side in box[1:]))
    inside = mask[box]
    around = binary_dilation(inside, np.ones((1, 3, 3), dtype=bool), iterations=AROUND_VOXELS) & ~inside
    soft = (hu[box] > SOFT_TISSUE_HU[0]) & (hu[box] < SOFT_TISSUE_HU[1])
    return float(soft[inside].mean() - soft[around].mean())
