"""The anatomies of a synthesis on disk: each made from its label map when a CT first needs it, and read from then on.

Some organ maps completed with some trunks are many anatomies, each of which takes many seconds; a small set of CTs
draws a few of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import SimpleITK as sitk

from ...errors import BadInput
from ...imaging import write_image
from ...whole_file import whole_file
from .anatomy import Anatomy, read_multiorgan_parts, read_totalsegmentator_parts, wall_distance
from .completion import complete

INDEX = "anatomies.json"
TOTALSEGMENTATOR_LICENCE = "CC BY 4.0"
TOTALSEGMENTATOR_ATTRIBUTION = "TotalSegmentator data set, J. Wasserthal et al. 2023, doi 10.5281/zenodo.6802613"
MULTIORGAN_LICENCE = "CC BY 4.0"
MULTIORGAN_ATTRIBUTION = "Multi-organ reference segmentations, E. Gibson et al. 2018, doi 10.5281/zenodo.1169361"


class AnatomyCollection(Sequence[Anatomy]):
    """Anatomies in a folder, in the order of its index; a few are kept in memory.

    Several processes may read from one folder: at worst each makes the same anatomy.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that `collect_anatomies` wrote.

        Raises
        ------
        BadInput : there is no index.
        """
        self.folder = Path(folder)
        try:
            self.entries = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BadInput(f"{self.folder} holds no anatomies.", "Collect them from label maps first.") from error
        self._read = lru_cache(maxsize=6)(self._read_entry)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Anatomy: ...
    @overload
    def __getitem__(self, index: slice) -> list[Anatomy]: ...
    def __getitem__(self, index: int | slice) -> Anatomy | list[Anatomy]:
        """Return one anatomy, or several, made now if they are not there yet.

        Raises
        ------
        BadInput : it is not there yet, and its label map is gone or cannot be used.
        CannotWrite : the file system refuses.
        """
        numbers = range(len(self))[index]
        return [self._read(number) for number in numbers] if isinstance(numbers, range) else self._read(numbers)

    def _read_entry(self, index: int) -> Anatomy:
        entry = self.entries[index]
        parts_file, wall_file = (self.folder / f"{entry['name']}_{kind}.nrrd" for kind in ("parts", "wall"))
        if not (parts_file.is_file() and wall_file.is_file()):
            anatomy = _made(entry)
            write_image(anatomy.parts, parts_file)
            write_image(anatomy.wall_distance, wall_file)
        parts, wall = (sitk.ReadImage(str(file)) for file in (parts_file, wall_file))
        return Anatomy(entry["name"], parts, wall, entry["licence"], entry["attribution"])


def collect_anatomies(
    trunks: Sequence[Path], organs: Sequence[Path], folder: Path, hosts_per_map: int = 2
) -> AnatomyCollection:
    """List below `folder` which anatomies the label maps give; what was made there before is kept.

    Parameters
    ----------
    trunks : folders with ``labels.nii.gz`` and ``labels.tsv`` (value, name) of whole-trunk maps.
    organs : multi-organ maps; each is completed with `hosts_per_map` of the trunks, in turn.

    Raises
    ------
    BadInput : no trunk.
    CannotWrite : the file system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not trunks:
        raise BadInput("No whole-trunk label map was given.", "Name at least one with --trunk.")
    entries = [_entry(f"trunk_{path.name}", path, None) for path in trunks]
    for number, path in enumerate(organs):
        for turn in range(min(hosts_per_map, len(trunks))):
            host = trunks[(number + turn) % len(trunks)]
            entries.append(_entry(f"{path.name.split('.')[0]}_in_{host.name}", path, host))
    with whole_file(folder / INDEX) as beside:
        beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    return AnatomyCollection(folder)


def _entry(name: str, path: Path, host: Path | None) -> dict[str, Any]:
    surroundings = f"{MULTIORGAN_ATTRIBUTION}; surroundings: {TOTALSEGMENTATOR_ATTRIBUTION}"
    return {
        "name": name,
        "patient": path.name.split(".")[0],
        "licence": TOTALSEGMENTATOR_LICENCE if host is None else MULTIORGAN_LICENCE,
        "attribution": TOTALSEGMENTATOR_ATTRIBUTION if host is None else surroundings,
        "label_map": str(path.absolute()),
        "host": None if host is None else str(host.absolute()),
    }


def _made(entry: dict[str, Any]) -> Anatomy:
    for needed in (entry["label_map"], entry["host"]):
        if needed is not None and not Path(needed).exists():
            raise BadInput(
                f"The anatomy {entry['name']} is made from {needed}, which is not there.", "Put the label map back."
            )
    name, path = entry["name"], Path(entry["label_map"])
    if entry["host"] is None:
        return _trunk(name, path)
    host = Path(entry["host"])
    surroundings = _trunk(f"trunk_{host.name}", host)
    return complete(read_multiorgan_parts(path), surroundings, name, entry["licence"], entry["attribution"])


@lru_cache(maxsize=4)
def _trunk(name: str, path: Path) -> Anatomy:
    parts = read_totalsegmentator_parts(path / "labels.nii.gz", path / "labels.tsv")
    return Anatomy(name, parts, wall_distance(parts), TOTALSEGMENTATOR_LICENCE, TOTALSEGMENTATOR_ATTRIBUTION)
