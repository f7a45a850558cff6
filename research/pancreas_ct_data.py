"""The data sets of `pancreas_ct_recipe`: synthetic CTs and the development data's real ones, made where missing."""

from __future__ import annotations

import os
from pathlib import Path

from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.datasets.table import TABLE_NAME
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.synthesis import (
    AnatomyCollection,
    SyntheticSet,
    Variety,
    collect_anatomies,
    write_synthetic_set,
)
from AttentionUNetSegLib.training.synthesis.anatomy_collection import INDEX as ANATOMY_INDEX

from .development_scans import development_data, write_development_tables
from .reduced_scans import write_reduced_scans

ANATOMIES = "anatomies"
TRUNKS = ("totalsegmentator_s0327", "totalsegmentator_s0328")
HOSTS_PER_MAP = 2


def synthetic_sets(work: Path) -> dict[str, SyntheticSet]:
    """The sets by name: what to train on first, what to train on too, and what not to train on ("unseen")."""
    anatomies = work / ANATOMIES
    return {
        "first": SyntheticSet(work / "first", anatomies, 176, 0, 0.15, Variety(0.25, 0.15, 0.15)),
        "more": SyntheticSet(work / "more", anatomies, 320, 1000, 0.15, Variety(0.25, 0.15, 0.15)),
        # What the first networks took for pancreas: wide veins beside a shrunken, fatty gland, without contrast medium.
        "hard": SyntheticSet(work / "hard", anatomies, 96, 3000, 0.0, Variety(0.7, 0.6, 0.6, 0.5)),
        # With portal vein, splenic hilum and jejunum, which the second network took for gland on real CTs.
        "beside": SyntheticSet(work / "beside", anatomies, 64, 7000, 0.15, Variety(0.4, 0.25, 0.25, 0.35)),
        "unseen": SyntheticSet(work / "unseen", anatomies, 40, 5000, 0.0, Variety(0.25, 0.15, 0.15)),
    }


def synthetic_scans(work: Path, *names: str) -> list[LabelledScan]:
    """The scans of these sets, in order.

    Raises
    ------
    BadInput : they have to be made, and there are no label maps.
    """
    scans = []
    for name in names:
        wanted = synthetic_sets(work)[name]
        if not (wanted.folder / TABLE_NAME).is_file():
            collected_anatomies(work)
            write_synthetic_set(wanted, os.cpu_count() or 1)
        scans += open_datasets([f"table:{wanted.folder / TABLE_NAME}"])
    return scans


def real_scans(work: Path) -> list[LabelledScan]:
    """The labelled real CTs as they are, to measure on.

    Raises
    ------
    BadInput : there is no development data.
    """
    table = work / "real" / TABLE_NAME
    if not table.is_file():
        write_development_tables(_data(), table.parent)
    return open_datasets([f"table:{table}"])


def reduced_real_scans(work: Path) -> list[LabelledScan]:
    """The same, to train on: small enough to be taken to another machine."""
    table = work / "reduced" / TABLE_NAME
    if not table.is_file():
        write_reduced_scans(real_scans(work), table.parent)
    return open_datasets([f"table:{table}"])


def collected_anatomies(work: Path) -> AnatomyCollection:
    """The anatomies that the development data's label maps give, listed where they are not yet.

    Raises
    ------
    BadInput : they have to be listed, and there are no label maps.
    """
    folder = work / ANATOMIES
    if (folder / ANATOMY_INDEX).is_file():
        return AnatomyCollection(folder)
    maps = _data() / "labelmaps"
    organs = sorted((maps / "multiorgan_18").glob("*.nii.gz"))
    return collect_anatomies([maps / name for name in TRUNKS], organs, folder, HOSTS_PER_MAP)


def _data() -> Path:
    data = development_data()
    if not data.is_dir():
        raise BadInput(f"There are no label maps and CTs at {data}.", "Set ATTENTIONUNETSEG_DATA to their folder.")
    return data
