"""Tables of the labelled real CTs in the development data, for the data set layout `table`.

``python -m research.development_scans --out FOLDER`` writes, from the folder in the environment
variable ATTENTIONUNETSEG_DATA:

cases.csv
    For training: three CTs, all labelled by other networks. Agreement with these labels is not accuracy.
evaluation_only.csv
    One CT of which only fragments of the pancreas are labelled. Not for training: it holds no outline to learn. What
    can be told there is whether the fragments are found, and whether pancreas is seen in stomach, duodenum, small bowel
    or lung, which were contoured by hand; everything else is ignored.

Label maps and ignore masks are written beside the tables; the CTs stay where they are.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from AttentionUNetSegLib.errors import AttentionUNetSegError, BadInput
from AttentionUNetSegLib.imaging import Geometry, image_on_grid, read_volume, write_image
from AttentionUNetSegLib.training.datasets.label_map import read_on_grid, whole_numbers
from AttentionUNetSegLib.training.datasets.licences import TOTALSEGMENTATOR
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME, structures_cell, write_table
from AttentionUNetSegLib.training.labelled_scan import STRUCTURES

DATA_VARIABLE = "ATTENTIONUNETSEG_DATA"
EVALUATION_TABLE_NAME = "evaluation_only.csv"
OBELISK = "OBELISK-Net (Heinrich et al. 2019)"
OBELISK_ATTRIBUTION = (
    "labels by OBELISK-Net: Heinrich, Oktay, Bouteldja, OBELISK-Net: fewer layers to solve 3D multi-organ segmentation "
    "with sparse deformable convolutions, Medical Image Analysis 54:1 (2019), trained on NIH Pancreas-CT"
)
# Values of teacher_organs, without what is rough in it (duodenum, oesophagus).
OBELISK_VALUES = {"spleen": 1, "left_kidney": 3, "gallbladder": 4, "liver": 6, "stomach": 7}
TOTALSEGMENTATOR_NAMES = {
    "pancreas": "pancreas",
    "duodenum": "duodenum",
    "stomach": "stomach",
    "spleen": "spleen",
    "left_kidney": "kidney_left",
    "liver": "liver",
    "gallbladder": "gallbladder",
    "portal_and_splenic_vein": "portal_vein_and_splenic_vein",
}
# Around the right end of a label of body and tail, where the head begins (mm; LPS: right is -x, up is +z): 70 to
# the right, a little to the left for the uncinate process behind the vessels, down to the end of the field of view.
HEAD_RIGHT_MM, HEAD_LEFT_MM, HEAD_FRONT_BACK_MM, HEAD_UP_MM, HEAD_DOWN_MM = 70.0, 30.0, 60.0, 20.0, 90.0

# From this slice on, what is labelled in pancreas_cb_001 lies in the liver and along the hepatic artery.
FIRST_SLICE_ABOVE_CB_001 = 28

Row = dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables; return the exit code."""
    parser = argparse.ArgumentParser(prog="development_scans", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write the tables and labels into")
    options = parser.parse_args(arguments)
    try:
        for table in write_development_tables(development_data(), options.out):
            print(table)
    except AttentionUNetSegError as error:
        parser.exit(1, f"{error}\n")
    return 0


def development_data() -> Path:
    """The folder with label maps and CTs for development, from the environment; it may be missing."""
    return Path(os.environ.get(DATA_VARIABLE, "../shared/data"))


def write_development_tables(data: Path, folder: Path) -> tuple[Path, Path]:
    """Write `cases.csv` and `evaluation_only.csv` with their labels into `folder`; return their paths.

    Parameters
    ----------
    data : the folder of the development data, with `ct/<case>/ct.nii.gz`.

    Raises
    ------
    BadInput : a CT or label of the development data is missing or unreadable.
    """
    scans = data.resolve() / "ct"
    if not scans.is_dir():
        raise BadInput(f"There are no development scans in {scans}.", f"Set {DATA_VARIABLE} to the folder of ct/.")
    folder.mkdir(parents=True, exist_ok=True)
    training = [
        _crlm_1006(scans / "crlm_1006", folder),
        _cptac_c3l00189(scans / "cptac_c3l00189", folder),
        _totalsegmentator_example(scans / "totalsegmentator_example", folder),
    ]
    evaluation = [_pancreas_cb_001(scans / "pancreas_cb_001", folder)]
    return write_table(folder / TABLE_NAME, training), write_table(folder / EVALUATION_TABLE_NAME, evaluation)


def _crlm_1006(case: Path, folder: Path) -> Row:
    """The whole gland; its topmost labelled slice is doubtful, and ignored where it is labelled."""
    ct = read_volume(case / "ct.nii.gz").image
    pancreas = _values(case / "teacher_pancreas.nii.gz", ct) == 1
    organs = _values(case / "teacher_organs.nii.gz", ct)
    masks = {"pancreas": pancreas} | {structure: organs == value for structure, value in OBELISK_VALUES.items()}
    top = _topmost_slice(pancreas, ct)
    doubtful = np.zeros_like(pancreas)
    doubtful[top] = pancreas[top]
    return _row(case, folder, ct, masks, ignore=doubtful) | {
        "patient": "TCIA Colorectal-Liver-Metastases CRLM-CT-1006",
        "labels_by": OBELISK,
        "licence": "CC BY 4.0",
        "attribution": "TCIA Colorectal-Liver-Metastases, doi 10.7937/QXK2-QG03; " + OBELISK_ATTRIBUTION,
    }


def _cptac_c3l00189(case: Path, folder: Path) -> Row:
    """Body and tail; the head, with the tumour, is not labelled, and ignored."""
    ct = read_volume(case / "ct.nii.gz").image
    pancreas = _values(case / "teacher_pancreas.nii.gz", ct) == 1
    return _row(case, folder, ct, {"pancreas": pancreas}, ignore=around_missing_head(pancreas, ct)) | {
        "patient": "TCIA CPTAC-PDA C3L-00189",
        "labels_by": OBELISK,
        "licence": "CC BY",
        "attribution": "TCIA CPTAC-PDA; " + OBELISK_ATTRIBUTION,
    }


def _totalsegmentator_example(case: Path, folder: Path) -> Row:
    ct = read_volume(case / "ct.nii.gz").image
    organs = _values(case / "totalsegmentator_organs.nii.gz", ct)
    value_of = _values_by_name(case / "totalsegmentator_organs.tsv")
    masks = {structure: organs == value_of[name] for structure, name in TOTALSEGMENTATOR_NAMES.items()}
    return _row(case, folder, ct, masks) | {
        "patient": "TotalSegmentator example_ct",
        "labels_by": "TotalSegmentator",
        "licence": "CC BY 4.0",
        "attribution": "example CT of github.com/wasserth/TotalSegmentator; labels by TotalSegmentator: "
        + TOTALSEGMENTATOR.attribution.partition(": ")[2],
    }


def _pancreas_cb_001(case: Path, folder: Path) -> Row:
    """Fragments; known to be something else is only what was contoured by hand."""
    ct = read_volume(case / "ct.nii.gz").image
    pancreas = _values(case / "teacher_pancreas.nii.gz", ct) == 1
    pancreas[FIRST_SLICE_ABOVE_CB_001:] = False
    contours = _values(case / "rtstruct_labels.nii.gz", ct)
    value_of = _values_by_name(case / "rtstruct_labels.tsv")
    others = np.isin(contours, [value for name, value in value_of.items() if name != "ROI"])
    # Where a fragment lies in a contour of something else, the contour by hand is not what is on trial.
    return _row(case, folder, ct, {"pancreas": pancreas & ~others}, ignore=~(pancreas ^ others)) | {
        "patient": "TCIA Pancreatic-CT-CBCT-SEG Pancreas-CT-CB_001",
        "labels_by": OBELISK + ", fragments; stomach, duodenum, small bowel and lungs by hand",
        "licence": "CC BY 4.0",
        "attribution": "TCIA Pancreatic-CT-CBCT-SEG, doi 10.7937/TCIA.ESHQ-4D90; " + OBELISK_ATTRIBUTION,
    }


def around_missing_head(pancreas: np.ndarray, ct: sitk.Image) -> np.ndarray:
    """Return where the head of a pancreas may be of which only body and tail are labelled (boolean, KJI).

    Parameters
    ----------
    pancreas : boolean, KJI: body and tail.
    ct : on the same grid.

    A generous box around the right end of the label, without the labelled voxels.
    """
    grid = Geometry.of(ct)
    labelled = grid.physical(np.argwhere(pancreas)[:, ::-1])
    end = labelled[labelled[:, 0] <= labelled[:, 0].min() + 5].mean(axis=0)
    low = end - [HEAD_RIGHT_MM, HEAD_FRONT_BACK_MM, HEAD_DOWN_MM]
    high = end + [HEAD_LEFT_MM, HEAD_FRONT_BACK_MM, HEAD_UP_MM]
    inside = np.ones(pancreas.shape, dtype=bool)
    # Positions are a sum of one term per array axis, so no array of all positions is needed.
    steps = [np.outer(np.arange(n), grid.index_to_physical[:, axis]) for axis, n in enumerate(grid.size)]
    for patient_axis in range(3):
        i, j, k = (step[:, patient_axis] for step in steps)
        position = grid.origin[patient_axis] + k[:, None, None] + j[:, None] + i
        inside &= (position >= low[patient_axis]) & (position <= high[patient_axis])
    return inside & ~pancreas


def _topmost_slice(mask: np.ndarray, ct: sitk.Image) -> int:
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(slices[-1] if Geometry.of(ct).axes[2, 2] > 0 else slices[0])


def _values(path: Path, ct: sitk.Image) -> np.ndarray:
    return whole_numbers(read_on_grid(path, ct), path)


def _values_by_name(path: Path) -> dict[str, int]:
    """Return the values of a label map by name, from a table without header: value, name, ..."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    rows = csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t")
    return {row[1]: int(row[0]) for row in rows if row}


def _row(
    case: Path, folder: Path, ct: sitk.Image, masks: Mapping[str, np.ndarray], ignore: np.ndarray | None = None
) -> Row:
    """Write label map and ignore mask of a case; return its row, without what is known about the data."""
    value_of = {structure: STRUCTURES.index(structure) + 1 for structure in masks}
    labels = np.zeros(ct.GetSize()[::-1], dtype=np.uint8)
    # The pancreas last: where two label maps overlap, it is what the table is for.
    for structure in sorted(masks, key=STRUCTURES.index, reverse=True):
        labels[masks[structure]] = value_of[structure]
    write_image(image_on_grid(labels, ct), folder / f"{case.name}_labels.nii.gz")
    row = {
        "name": case.name,
        "image": str(case / "ct.nii.gz"),
        "label": f"{case.name}_labels.nii.gz",
        "structures": structures_cell(value_of),
    }
    if ignore is not None:
        write_image(image_on_grid(ignore.astype(np.uint8), ct), folder / f"{case.name}_ignore.nii.gz")
        row["ignore"] = f"{case.name}_ignore.nii.gz"
    return row


if __name__ == "__main__":
    raise SystemExit(main())
