"""A folder of synthetic CTs with labels, in the generic table layout that training reads.

Contrast phase and anatomy of a CT stand in its file's meta data.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...imaging import write_image
from ...phantom import make_phantom
from ..datasets.phantoms import PHANTOM_STRUCTURES
from ..datasets.table import TABLE_NAME, structures_cell, write_table
from .anatomy_collection import AnatomyCollection
from .generator import LABELS, Variety, synthesize

_VALUES = {structure: value for structure, (value, _) in LABELS.items()}


@dataclass(frozen=True)
class SyntheticSet:
    """What to make.

    Attributes
    ----------
    folder : where the table, ``images`` and ``labels`` go.
    anatomies : folder of an `AnatomyCollection`, or None: phantoms only.
    count : number of CTs.
    first_seed : seeds run from here, one a CT.
    phantom_share : share of procedural phantoms, 0..1 (1 where there are no anatomies).
    variety : how often the others show what is rare.
    """

    folder: Path
    anatomies: Path | None
    count: int
    first_seed: int = 0
    phantom_share: float = 0.2
    variety: Variety = field(default_factory=Variety)


def write_synthetic_set(
    wanted: SyntheticSet, processes: int = 1, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Make the set and return the path of its table; CTs that are there already are kept, so a broken run goes on.

    The same seeds and anatomies give the same voxels, in whatever order and number of processes.
    """
    for name in ("images", "labels"):
        (wanted.folder / name).mkdir(parents=True, exist_ok=True)
    jobs = [(wanted, seed) for seed in range(wanted.first_seed, wanted.first_seed + wanted.count)]
    rows = []
    for row in _rows(jobs, processes):
        rows.append(row)
        if progress:
            progress(len(rows), len(jobs))
    return write_table(wanted.folder / TABLE_NAME, sorted(rows, key=lambda row: row["name"]))


def _rows(jobs: Sequence[tuple[SyntheticSet, int]], processes: int) -> Iterator[dict[str, str]]:
    if processes <= 1:
        yield from map(_make, jobs)
        return
    # Spawn: a forked child would inherit ITK's thread pools in an unusable state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        for finished in as_completed([pool.submit(_make, job) for job in jobs]):
            yield finished.result()


def _make(job: tuple[SyntheticSet, int]) -> dict[str, str]:
    wanted, seed = job
    rng = np.random.default_rng([seed, 7])
    is_phantom = wanted.anatomies is None or rng.random() < wanted.phantom_share
    name = f"{'phantom' if is_phantom else 'synthetic'}_{seed:06d}"
    image, label = (wanted.folder / kind / f"{name}.nrrd" for kind in ("images", "labels"))
    row = {
        "name": name,
        "image": f"images/{name}.nrrd",
        "label": f"labels/{name}.nrrd",
        "structures": structures_cell(
            {name: _VALUES[name] for name in (PHANTOM_STRUCTURES if is_phantom else _VALUES)}
        ),
        "patient": name,
        "labels_by": "synthetic",
    }
    if is_phantom:
        row |= {"licence": "Apache-2.0", "attribution": "The AttentionUNetSeg authors"}
    else:
        entry = _collection(wanted.anatomies).entries
        row |= {"licence": entry[0]["licence"], "attribution": _attribution(entry)}
    if not (image.exists() and label.exists()):
        ct, labels, phase, anatomy = _phantom(seed, rng) if is_phantom else _from_anatomy(wanted, seed)
        ct.SetMetaData("phase", phase)
        ct.SetMetaData("anatomy", anatomy)
        write_image(labels, label)
        write_image(ct, image)
    return row


def _phantom(seed: int, rng: np.random.Generator) -> tuple[sitk.Image, sitk.Image, str, str]:
    plane, slices = rng.uniform(1.6, 2.4), float(rng.choice((1.5, 2.0, 2.5, 3.0, 4.0, 5.0)))
    phantom = make_phantom(seed, (plane, plane, slices))
    lookup = np.zeros(256, np.uint8)
    for structure, label in PHANTOM_STRUCTURES.items():
        lookup[label] = _VALUES[structure]
    labels = sitk.GetImageFromArray(lookup[sitk.GetArrayViewFromImage(phantom.labels)])
    labels.CopyInformation(phantom.ct)
    return phantom.ct, labels, phantom.phase, "phantom"


def _from_anatomy(wanted: SyntheticSet, seed: int) -> tuple[sitk.Image, sitk.Image, str, str]:
    made = synthesize(seed, _collection(wanted.anatomies), wanted.variety)
    return made.ct, made.labels, made.phase, made.anatomy


@lru_cache(maxsize=1)
def _collection(folder: Path) -> AnatomyCollection:
    return AnatomyCollection(folder)


def _attribution(entries: Sequence[dict[str, str]]) -> str:
    return "; ".join(
        dict.fromkeys(part for entry in entries for part in entry["attribution"].split("; surroundings: "))
    )


def _one_thread() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
