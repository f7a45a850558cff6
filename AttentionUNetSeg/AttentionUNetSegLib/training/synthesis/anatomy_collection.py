"""The anatomies of a synthesis on disk: made once from the label maps, read one by one while CTs are drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

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


class AnatomyCollection(Sequence):
    """Anatomies in a folder, in the order of its index; a few are kept in memory."""

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

    def __getitem__(self, index: int) -> Anatomy:
        return self._read(range(len(self))[index])

    def _read_entry(self, index: int) -> Anatomy:
        entry = self.entries[index]
        parts, wall = (sitk.ReadImage(str(self.folder / f"{entry['name']}_{kind}.nrrd")) for kind in ("parts", "wall"))
        return Anatomy(entry["name"], parts, wall, entry["licence"], entry["attribution"])


def collect_anatomies(
    trunks: Sequence[Path],
    organs: Sequence[Path],
    folder: Path,
    hosts_per_map: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> AnatomyCollection:
    """Turn label maps into anatomies below `folder`; what is there already is kept.

    Parameters
    ----------
    trunks : folders with ``labels.nii.gz`` and ``labels.tsv`` (value, name) of whole-trunk maps.
    organs : multi-organ maps; each is completed with `hosts_per_map` of the trunks, in turn.
    progress : called with (made, all).

    Raises
    ------
    BadInput : no trunk, or a map that cannot be used.
    InternalError : the file system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not trunks:
        raise BadInput("No whole-trunk label map was given.", "Name at least one with --trunk.")
    jobs = [(f"trunk_{path.name}", path, None) for path in trunks]
    for number, path in enumerate(organs):
        for turn in range(min(hosts_per_map, len(trunks))):
            host = trunks[(number + turn) % len(trunks)]
            jobs.append((f"{path.name.split('.')[0]}_in_{host.name}", path, host))
    entries = []
    for number, (name, path, host) in enumerate(jobs):
        if not (folder / f"{name}_wall.nrrd").exists():
            anatomy = _trunk(name, path) if host is None else _completed(name, path, host)
            write_image(anatomy.parts, folder / f"{name}_parts.nrrd")
            write_image(anatomy.wall_distance, folder / f"{name}_wall.nrrd")
        entries.append(
            {
                "name": name,
                "patient": path.name.split(".")[0],
                "licence": TOTALSEGMENTATOR_LICENCE if host is None else MULTIORGAN_LICENCE,
                "attribution": TOTALSEGMENTATOR_ATTRIBUTION
                if host is None
                else f"{MULTIORGAN_ATTRIBUTION}; surroundings: {TOTALSEGMENTATOR_ATTRIBUTION}",
            }
        )
        if progress:
            progress(number + 1, len(jobs))
    with whole_file(folder / INDEX) as beside:
        beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    return AnatomyCollection(folder)


@lru_cache(maxsize=4)
def _trunk(name: str, path: Path) -> Anatomy:
    parts = read_totalsegmentator_parts(path / "labels.nii.gz", path / "labels.tsv")
    return Anatomy(name, parts, wall_distance(parts), TOTALSEGMENTATOR_LICENCE, TOTALSEGMENTATOR_ATTRIBUTION)


def _completed(name: str, path: Path, host: Path) -> Anatomy:
    return complete(
        read_multiorgan_parts(path),
        _trunk(f"trunk_{host.name}", host),
        name,
        MULTIORGAN_LICENCE,
        MULTIORGAN_ATTRIBUTION,
    )
