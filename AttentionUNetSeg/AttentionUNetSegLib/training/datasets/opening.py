"""From "LAYOUT:PATH" to scans with labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...errors import BadInput
from ..labelled_scan import LabelledScan
from ..synthesis.part_map import open_part_maps
from .msd import open_msd
from .multi_organ import open_amos, open_btcv, open_flare
from .nih import open_nih
from .phantoms import open_phantoms
from .table import open_table, table_prefix
from .totalsegmentator import open_totalsegmentator


@dataclass(frozen=True)
class _Layout:
    description: str
    # (path, what the scans' names begin with) -> scans; raises BadInput where the path is not of this layout.
    open: Callable[[Path, str], list[LabelledScan]]
    is_path: bool = True  # whether what follows the colon has to exist on disk


_LAYOUTS = {
    "table": _Layout("a CSV file, or a folder with cases.csv, with columns image, label, ...", open_table),
    "msd": _Layout("Task07_Pancreas of the Medical Segmentation Decathlon: dataset.json, imagesTr, labelsTr", open_msd),
    "nih": _Layout("Pancreas-CT of TCIA: folders PANCREAS_0001 with DICOM files, and label0001.nii.gz", open_nih),
    "totalsegmentator": _Layout(
        "the TotalSegmentator data set: s0000/ct.nii.gz, s0000/segmentations/*.nii.gz", open_totalsegmentator
    ),
    "btcv": _Layout("Abdomen/RawData of Beyond the Cranial Vault: img/img0001.nii.gz, label", open_btcv),
    "amos": _Layout("AMOS22: dataset.json, imagesTr/amos_0001.nii.gz, labelsTr; CT only", open_amos),
    "flare": _Layout("the labelled part of FLARE22: images/FLARE22_Tr_0001_0000.nii.gz, labels", open_flare),
    "painted": _Layout("part maps that `synthesize --part-maps` wrote, painted anew for every patch", open_part_maps),
    "phantom": _Layout("computer-made scans by their seeds, as in phantom:200000-200009", open_phantoms, is_path=False),
}
# FLARE22's labelled CTs are MSD Task07's under other numbers.
_SAME_PATIENTS = {"msd", "flare"}

LAYOUTS: Mapping[str, str] = MappingProxyType({name: layout.description for name, layout in _LAYOUTS.items()})
"""What each layout looks like, in one line."""


def open_datasets(specifications: Sequence[str]) -> list[LabelledScan]:
    """Return the scans of all data sets, in the order given; nothing but names and tables is read yet.

    Parameters
    ----------
    specifications : each "LAYOUT:PATH", such as "msd:/data/Task07_Pancreas"; see `LAYOUTS`.

    Returns
    -------
    Scans with unique names: "msd/pancreas_001", for a table "FOLDER/NAME"; where two data sets would share the first
    part, the second has "msd-2/pancreas_001".

    Raises
    ------
    BadInput : an unknown layout, a missing path, a folder that is not in that layout, a data set given twice, or
        two data sets that hold the same patients.
    """
    parsed = [_parsed(specification) for specification in specifications]
    if {layout for layout, _ in parsed} >= _SAME_PATIENTS:
        raise BadInput(
            "The CTs of `flare` are also in `msd`, under other numbers: a patient would be trained and tested on.",
            "Give one of the two.",
        )
    opened: dict[tuple[str, Path], str] = {}
    scans: list[LabelledScan] = []
    for specification, (layout, path) in zip(specifications, parsed, strict=True):
        key = (layout, path.resolve())
        if key in opened:
            raise BadInput(f"The data set {specification} is given twice.")
        prefix = _free(table_prefix(path) if layout == "table" else layout, opened.values())
        opened[key] = prefix
        scans += _LAYOUTS[layout].open(path, prefix)
    return scans


def _parsed(specification: str) -> tuple[str, Path]:
    layout, colon, path = specification.partition(":")
    known = f"Known layouts are {', '.join(_LAYOUTS)}."
    if not colon or not path:
        raise BadInput(f"`{specification}` is not of the form LAYOUT:PATH, such as msd:/data/Task07_Pancreas.", known)
    if layout not in _LAYOUTS:
        raise BadInput(f"There is no data set layout `{layout}` (in `{specification}`).", known)
    # No shell expands ~ in the middle of a word.
    place = Path(path).expanduser()
    if _LAYOUTS[layout].is_path and not place.exists():
        raise BadInput(
            f"There is no file or folder {place} (in `{specification}`).",
            f"The layout `{layout}` is {_LAYOUTS[layout].description}.",
        )
    return layout, place


def _free(prefix: str, taken: Collection[str]) -> str:
    """Return the prefix, with a number where another data set has it already."""
    candidates = [prefix] + [f"{prefix}-{number}" for number in range(2, len(taken) + 2)]
    return next(candidate for candidate in candidates if candidate not in taken)
