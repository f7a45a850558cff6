"""Layouts `btcv`, `amos` and `flare`: one image of many organs per CT.

btcv
    Abdomen/RawData of "Multi-Atlas Labeling Beyond the Cranial Vault" (Synapse syn3193805): `img/img0001.nii.gz` and
    `label/label0001.nii.gz`, perhaps in `RawData/Training`. The folders averaged-training-images and -labels of the
    same project are its cardiac CTs, and are refused.
amos
    AMOS22 (doi 10.5281/zenodo.7262581): `dataset.json`, `imagesTr/amos_0001.nii.gz`, `labelsTr`, and the labelled
    validation cases in `imagesVa` and `labelsVa` where they are there. Cases from 500 on are MRI (its readme), and
    left out.
flare
    The 50 labelled cases of FLARE22 (doi 10.5281/zenodo.7860267): `images/FLARE22_Tr_0001_0000.nii.gz` and
    `labels/FLARE22_Tr_0001.nii.gz` (also imagesTr, labelsTr). Their CTs are MSD Task07's under other numbers, so
    `flare` and `msd` cannot be used in one run: a patient would be on both sides of a split.

Values: Synapse syn3193805/wiki/217789; dataset.json of AMOS22; flare22.grand-challenge.org.
The labels of AMOS and FLARE were drafted by a network and corrected by radiologists (Ji et al. 2022; Ma et al. 2024).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadInput
from ...imaging.image_file import name_without_ending
from ..labelled_scan import LabelledScan
from .folders import DRAFTED_BY_A_MODEL, files_of, first_folder, not_this_layout, read_dataset_json, require_files
from .label_map import LabelMap, scan_loader
from .licences import AMOS, BTCV, FLARE, DatasetLicence

MRI_FROM = 500  # AMOS22, readme.md: "id numbers less than 500 belong to CT data, otherwise they belong to MRI data"


@dataclass(frozen=True)
class _Organs:
    """The values of a multi-organ label map; values up to `highest` that no structure has are other organs."""

    values: Mapping[str, int]
    highest: int

    def label_map(self, path: Path) -> LabelMap:
        values = {structure: (value,) for structure, value in self.values.items()}
        return LabelMap(path, values, frozenset(range(1, self.highest + 1)) - set(self.values.values()))


# Beside these: 2 right kidney, 5 oesophagus, 8 aorta, 9 inferior vena cava, 12 and 13 adrenal glands. No duodenum.
BTCV_ORGANS = _Organs(
    {
        "spleen": 1,
        "left_kidney": 3,
        "gallbladder": 4,
        "liver": 6,
        "stomach": 7,
        "portal_and_splenic_vein": 10,
        "pancreas": 11,
    },
    highest=13,
)
# Beside these: 2 right kidney, 5 oesophagus, 8 aorta, 9 inferior vena cava, 11 and 12 adrenal glands, 14 bladder,
# 15 prostate or uterus.
AMOS_ORGANS = _Organs(
    {"spleen": 1, "left_kidney": 3, "gallbladder": 4, "liver": 6, "stomach": 7, "pancreas": 10, "duodenum": 13},
    highest=15,
)
# Beside these: 2 right kidney, 5 aorta, 6 inferior vena cava, 7 and 8 adrenal glands, 10 oesophagus.
FLARE_ORGANS = _Organs(
    {"liver": 1, "spleen": 3, "pancreas": 4, "gallbladder": 9, "stomach": 11, "duodenum": 12, "left_kidney": 13},
    highest=13,
)


def open_btcv(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the 30 labelled abdominal CTs.

    Raises
    ------
    BadInput : no such folder, the cardiac CTs of the same project, or a CT without its label.
    """
    folder = first_folder(path, ("RawData/Training", "Training")) or path
    images = files_of(folder / "img", "img[0-9]*.nii.gz")
    if not images:
        if (path / "averaged-training-images").is_dir() or path.name.startswith("averaged-"):
            raise BadInput(
                f"{path} holds averaged-training-images: those are the cardiac CTs of the BTCV project.",
                "The layout `btcv` wants img and label of Abdomen/RawData.zip.",
            )
        raise not_this_layout("btcv", path, "img/img0001.nii.gz (perhaps in RawData/Training)")
    pairs = [(image, folder / "label" / image.name.replace("img", "label", 1)) for image in images]
    return _scans("btcv", prefix, pairs, BTCV_ORGANS, BTCV, "manual")


def open_amos(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the labelled CTs of the training and, where it is there, the validation part.

    Raises
    ------
    BadInput : no such folder, label values other than AMOS22's, or a CT without its label.
    """
    _, labels = read_dataset_json("amos", path)
    pancreas = [value for value, name in labels.items() if "pancrea" in name]
    if pancreas != [AMOS_ORGANS.values["pancreas"]]:
        raise BadInput(
            f"{path / 'dataset.json'} is not AMOS22's: there the pancreas is {AMOS_ORGANS.values['pancreas']}, "
            f"here {pancreas or 'none'}."
        )
    pairs = [
        (image, path / f"labels{part}" / image.name)
        for part in ("Tr", "Va")
        for image in files_of(path / f"images{part}", "amos_[0-9]*.nii.gz")
        if int(re.sub(r"\D", "", name_without_ending(image))) < MRI_FROM
    ]
    if not pairs:
        raise not_this_layout("amos", path, f"CT such as imagesTr/amos_0001.nii.gz (numbers below {MRI_FROM})")
    return _scans("amos", prefix, pairs, AMOS_ORGANS, AMOS, DRAFTED_BY_A_MODEL)


def open_flare(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the 50 labelled CTs.

    Raises
    ------
    BadInput : no such folder, or a label without its CT.
    """
    for images, labels in (("images", "labels"), ("imagesTr", "labelsTr")):
        # From the labels on: most of FLARE22's CTs have none.
        pairs = [
            (path / images / f"{name_without_ending(label)}_0000.nii.gz", label)
            for label in files_of(path / labels, "FLARE22_Tr_[0-9]*.nii.gz")
        ]
        if pairs:
            return _scans("flare", prefix, pairs, FLARE_ORGANS, FLARE, DRAFTED_BY_A_MODEL)
    raise not_this_layout("flare", path, "labels/FLARE22_Tr_0001.nii.gz")


def _scans(
    layout: str,
    prefix: str,
    pairs: Iterable[tuple[Path, Path]],
    organs: _Organs,
    licence: DatasetLicence,
    labels_by: str,
) -> list[LabelledScan]:
    pairs = list(pairs)
    require_files(layout, [file for pair in pairs for file in pair])
    scans = []
    for image, label in pairs:
        name = f"{prefix}/{name_without_ending(image).removesuffix('_0000')}"
        load = scan_loader(name, image, organs.label_map(label))
        scans.append(LabelledScan(name, name, load, labels_by, 1.0, licence.licence, licence.attribution))
    return scans
