"""Layout `totalsegmentator`: the TotalSegmentator data set (doi 10.5281/zenodo.6802613), versions 1 and 2.

One folder per subject: `s0000/ct.nii.gz` and `s0000/segmentations/<structure>.nii.gz`, one mask each. An empty mask
says that the structure is not in the field of view; a mask that is not there, that it was not annotated. Where there is
a `meta.csv` (semicolons; column image_id), only the subjects that it lists are used.

The labels were drafted by a network and corrected by physicians (Wasserthal et al. 2023).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ...errors import BadInput
from ...imaging import read_volume
from ..labelled_scan import LabelledScan, LoadedScan
from .folders import DRAFTED_BY_A_MODEL, not_this_layout, require_files
from .label_map import read_mask
from .licences import TOTALSEGMENTATOR

FILE_OF_STRUCTURE = {
    "pancreas": "pancreas.nii.gz",
    "duodenum": "duodenum.nii.gz",
    "stomach": "stomach.nii.gz",
    "spleen": "spleen.nii.gz",
    "left_kidney": "kidney_left.nii.gz",
    "liver": "liver.nii.gz",
    "gallbladder": "gallbladder.nii.gz",
    "portal_and_splenic_vein": "portal_vein_and_splenic_vein.nii.gz",
}


def open_totalsegmentator(path: Path, prefix: str) -> list[LabelledScan]:
    """Return all subjects, also those whose field of view holds no pancreas.

    Raises
    ------
    BadInput : no subject folder, or one without its pancreas mask.
    """
    subjects = sorted(folder for folder in path.glob("s[0-9]*") if (folder / "ct.nii.gz").is_file())
    if not subjects:
        raise not_this_layout("totalsegmentator", path, "folder such as s0000 with a ct.nii.gz")
    listed = _listed(path / "meta.csv")
    if listed is not None:
        subjects = [subject for subject in subjects if subject.name in listed]
        if not subjects:
            raise BadInput(f"{path / 'meta.csv'} lists none of the subjects in {path}.")
    require_files("totalsegmentator", [subject / "segmentations" / "pancreas.nii.gz" for subject in subjects])
    return [_scan(subject, f"{prefix}/{subject.name}") for subject in subjects]


def _scan(subject: Path, name: str) -> LabelledScan:
    masks = {structure: subject / "segmentations" / file for structure, file in FILE_OF_STRUCTURE.items()}
    annotated = {structure: mask for structure, mask in masks.items() if mask.is_file()}
    return LabelledScan(
        name=name,
        patient=name,
        load=partial(_load, name, subject / "ct.nii.gz", annotated),
        labels_by=DRAFTED_BY_A_MODEL,
        licence=TOTALSEGMENTATOR.licence,
        attribution=TOTALSEGMENTATOR.attribution,
    )


def _load(name: str, image: Path, masks: Mapping[str, Path]) -> LoadedScan:
    try:
        ct = read_volume(image).image
        return LoadedScan(ct, {structure: read_mask(mask, ct) for structure, mask in masks.items()})
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", error.hint) from error


def _listed(meta: Path) -> set[str] | None:
    if not meta.is_file():
        return None
    try:
        with open(meta, newline="", encoding="utf-8-sig") as file:
            return {row["image_id"].strip() for row in csv.DictReader(file, delimiter=";")}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise BadInput(f"{meta} cannot be read: no table with semicolons and a column image_id ({error}).") from error
