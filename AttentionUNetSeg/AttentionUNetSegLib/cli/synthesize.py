"""Write labelled synthetic CTs for training: deformed, painted and scanned label maps, and phantoms."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import BadInput
from .terminal import Terminal


def run(options: Namespace, terminal: Terminal) -> None:
    """Make the CTs, and the anatomies that they need; print where the table is.

    Raises
    ------
    BadInput : a label map is missing or cannot be used, or a number makes no sense.
    """
    from ..training.synthesis import SyntheticSet, Variety, collect_anatomies, write_synthetic_set

    if options.count < 1 or options.first_seed < 0:
        raise BadInput("A set needs at least one CT, and seeds from 0 on.", "See --count and --first-seed.")
    shares = {
        "phantoms": options.phantom_share, "shrunken glands": options.atrophy_share,
        "fatty glands": options.fatty_share, "wide veins": options.wide_veins_share,
        "CTs without contrast medium": options.non_contrast_share,
    }  # fmt: skip
    for what, share in shares.items():
        if not 0 <= share <= 1:
            raise BadInput(f"The share of {what} is {share:g}.", "Give a number from 0 to 1.")
    trunks, organs = [_trunk(path) for path in options.trunk], _label_maps(options.organs)
    if organs and not trunks:
        raise BadInput("Organ maps need a whole trunk around them.", "Name at least one with --trunk.")
    anatomies = options.out / "anatomies" if trunks else None
    options.out.mkdir(parents=True, exist_ok=True)
    variety = Variety(options.atrophy_share, options.fatty_share, options.wide_veins_share, options.non_contrast_share)
    wanted = SyntheticSet(options.out, anatomies, options.count, options.first_seed, options.phantom_share, variety)
    if anatomies:
        collect_anatomies(trunks, organs, anatomies, options.hosts_per_map)
    with terminal.progress() as line:
        line.show(0.0, f"CT 1 of {options.count}")
        table = write_synthetic_set(
            wanted, options.processes, lambda made, all_: line.show(made / all_, f"CT {made} of {all_}")
        )
    terminal.answer(
        {"table": str(table), "count": options.count},
        f"Wrote {options.count} synthetic CTs; train on them with --dataset table:{table}",
    )


def _trunk(folder: Path) -> Path:
    for name in ("labels.nii.gz", "labels.tsv"):
        if not (folder / name).is_file():
            raise BadInput(
                f"{folder} lacks {name}.",
                "A whole-trunk map is a folder with labels.nii.gz and labels.tsv (value, name).",
            )
    return folder


def _label_maps(folders: list[Path]) -> list[Path]:
    found = []
    for folder in folders:
        maps = sorted(folder.glob("*.nii.gz")) if folder.is_dir() else [folder] if folder.is_file() else []
        if not maps:
            raise BadInput(f"There is no .nii.gz label map at {folder}.", "Name a file, or a folder that holds some.")
        found += maps
    return found
