"""Deformed anatomies on disk, not painted: training paints a patch of one anew, each time it is drawn.

A painted CT can be seen a few times before a network knows it. A part map takes a twentieth of its time to make and is
never seen twice in the same contrast phase, with the same bowel contents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import BadInput
from ...whole_file import whole_file
from ..labelled_scan import STRUCTURES, LabelledScan, LoadedScan
from .anatomy import GRID_MM
from .anatomy_collection import AnatomyCollection
from .generator import LABELS, Variety, draw_body

INDEX = "part_maps.json"
MOST_PLACES = 512


@dataclass(frozen=True)
class PartMap:
    """One deformed anatomy.

    Attributes
    ----------
    name : of the file.
    parts : uint8 (K, J, I) of `parts.Part`, axes along S, P, L, `GRID_MM` isotropic.
    places : voxels (n, 3; KJI) in each of `STRUCTURES`, at most 512 each.
    """

    name: str
    parts: np.ndarray
    places: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> PartMap:
        """Read one that `write_part_maps` wrote.

        Raises
        ------
        BadInput : it cannot be read.
        """
        try:
            with np.load(path) as arrays:
                parts = arrays["parts"]
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(f"{path} is no part map.", "Make it anew.") from error
        return cls(path.stem, parts, {name: _places(parts == part) for name, (_, part) in LABELS.items()})


def write_part_maps(
    anatomies: AnatomyCollection, folder: Path, seeds: Sequence[int], variety: Variety, whole_trunk_share: float = 0.15
) -> Path:
    """Draw one part map a seed into `folder` and list them in its index; those that are there are kept.

    Parameters
    ----------
    anatomies : to draw from; the first ones, without a host, are whole trunks.
    whole_trunk_share : part of the maps that show a trunk from pelvis to chest, most of which holds no pancreas.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trunks = [index for index, entry in enumerate(anatomies.entries) if entry["host"] is None]
    entries = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 23])
        is_trunk = rng.random() < whole_trunk_share
        index = int(rng.choice(trunks)) if is_trunk else int(rng.integers(len(anatomies)))
        entry = anatomies.entries[index]
        name = f"parts_{seed:06d}"
        path = folder / f"{name}.npz"
        if not path.is_file():
            body = draw_body(seed, [anatomies[index]], variety, is_trunk)
            with whole_file(path) as beside:
                np.savez_compressed(beside, parts=body.parts)
        entries.append({"name": name, **{key: entry[key] for key in ("patient", "licence", "attribution")}})
    with whole_file(folder / INDEX) as beside:
        beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    return folder / INDEX


def open_part_maps(
    folder: Path, prefix: str = "painted", patients: Mapping[str, str] | None = None
) -> list[LabelledScan]:
    """Return the part maps of a folder as scans; `patients` renames those that another data set knows by another name.

    Raises
    ------
    BadInput : there is no index.
    """
    try:
        entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder} is not a data set in the layout `painted`: there is no {INDEX}.",
            "Make part maps with `write_part_maps`.",
        ) from error
    return [
        LabelledScan(
            name=f"{prefix}/{entry['name']}",
            patient=(patients or {}).get(entry["patient"], entry["patient"]),
            load=partial(_painted, folder / f"{entry['name']}.npz"),
            labels_by="synthetic",
            licence=entry["licence"],
            attribution=entry["attribution"],
            part_map=folder / f"{entry['name']}.npz",
        )
        for entry in entries
    ]


def _painted(path: Path) -> LoadedScan:
    """The whole map, painted once, by its name: for looking at and for measuring on."""
    import torch

    from .patch_painting import paint_patch

    parts = PartMap.read(path).parts
    seed = int(path.stem.rsplit("_", 1)[-1])
    generator = torch.Generator().manual_seed(seed)
    painted, hu = paint_patch(torch.from_numpy(parts).long(), GRID_MM, np.random.default_rng(seed), generator)
    ct = sitk.GetImageFromArray(np.rint(hu.numpy()).astype(np.int16))
    ct.SetSpacing((GRID_MM,) * 3)
    structures = {}
    for name in STRUCTURES:
        mask = sitk.GetImageFromArray((painted == int(LABELS[name][1])).numpy().astype(np.uint8))
        mask.CopyInformation(ct)
        structures[name] = mask
    return LoadedScan(ct, structures)


def _places(mask: np.ndarray) -> np.ndarray:
    inside = np.flatnonzero(mask)
    chosen = inside[np.linspace(0, max(len(inside) - 1, 0), min(len(inside), MOST_PLACES)).astype(int)]
    return np.stack(np.unravel_index(chosen, mask.shape), axis=1).astype(np.int16)
