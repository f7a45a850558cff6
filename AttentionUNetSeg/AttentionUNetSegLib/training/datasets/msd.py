"""Layout `msd`: Task07_Pancreas of the Medical Segmentation Decathlon (http://medicaldecathlon.com).

A folder with `dataset.json`, whose "training" list decides the cases and whose "labels" decide the values, `imagesTr`
and `labelsTr`. Pancreas and mass (value 2, "cancer") together are the pancreas, as is usual: the mass grows in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ...imaging.image_file import name_without_ending
from ..labelled_scan import LabelledScan
from .folders import read_dataset_json, require_files
from .label_map import LabelMap, scan_loader
from .licences import MSD_PANCREAS

MASS = re.compile("cancer|tumou?r|lesion|mass|cyst")


def open_msd(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the training cases.

    Raises
    ------
    BadInput : no such folder, no pancreas among its labels, or a case of its list is missing.
    """
    content, labels = read_dataset_json("msd", path)
    pancreas = tuple(value for value, name in labels.items() if "pancrea" in name or MASS.search(name))
    if not any("pancrea" in labels[value] for value in pancreas):
        raise BadInput(
            f"{path / 'dataset.json'} names no pancreas among its labels (it has {', '.join(labels.values())}).",
            "The layout `msd` wants Task07_Pancreas.",
        )
    others = frozenset(labels) - set(pancreas)
    pairs = [(path / image, path / label) for image, label in _training(path, content)]
    require_files("msd", [file for pair in pairs for file in pair])
    return [
        LabelledScan(
            name=f"{prefix}/{name_without_ending(image)}",
            patient=f"{prefix}/{name_without_ending(image)}",
            load=scan_loader(
                f"{prefix}/{name_without_ending(image)}", image, LabelMap(label, {"pancreas": pancreas}, others)
            ),
            licence=MSD_PANCREAS.licence,
            attribution=MSD_PANCREAS.attribution,
        )
        for image, label in pairs
    ]


def _training(path: Path, content: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        listed = [(str(case["image"]), str(case["label"])) for case in content["training"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f'{path / "dataset.json"} has no list "training" of image and label.') from error
    cases = [pair for pair in listed if not Path(pair[0]).name.startswith("._")]
    if not cases:
        raise BadInput(f'The list "training" of {path / "dataset.json"} is empty.')
    return cases
