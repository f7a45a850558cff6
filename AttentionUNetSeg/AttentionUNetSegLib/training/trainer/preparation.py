"""Labelled scans on the model's grid: the pre-processing of inference, and a cache on disk.

A scan goes through what `inference.Segmenter` does to its input (`to_model_grid`, `body_box`), so that the network is
trained on what it will see. The window is applied later, because augmentation works on Hounsfield units.
"""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import BadInput, CannotWrite
from ...imaging import body_box, bounding_box, to_model_grid
from ...whole_file import whole_file
from ..labelled_scan import LabelledScan, LoadedScan

# Part of every cache entry's name: raise it when what `prepared` computes changes.
CACHE_VERSION = 2
# So many places of a structure are kept for patches to be centred on.
MOST_PLACES = 512


@dataclass(frozen=True)
class BoxedMask:
    """Fractions 0..255 of a structure (uint8, KJI) within its bounding box, which begins at voxel `start`."""

    start: tuple[int, int, int]
    fractions: np.ndarray

    def window(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The part between the voxels `low` and `high` (KJI, exclusive) of the whole field; 0 outside the box."""
        result = np.zeros(high - low, np.uint8)
        start = np.array(self.start)
        first, last = np.maximum(low, start), np.minimum(high, start + self.fractions.shape)
        if (last > first).all():
            into = tuple(slice(a, b) for a, b in zip(first - low, last - low, strict=True))
            out_of = tuple(slice(a, b) for a, b in zip(first - start, last - start, strict=True))
            result[into] = self.fractions[out_of]
        return result


@dataclass(frozen=True)
class StoredArray:
    """An array in a .npy file, of which parts are read when they are needed.

    The system keeps in memory what is used often, so that more scans can be trained on than memory holds. The file is
    opened for every part: a map that stays open would cost a file descriptor per scan.
    """

    path: Path
    shape: tuple[int, ...]

    def __getitem__(self, window: tuple[slice, ...]) -> np.ndarray:
        return np.array(np.load(self.path, mmap_mode="r")[window])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(np.load(self.path), dtype)


@dataclass(frozen=True)
class PreparedCase:
    """One scan on the model's grid, cut to the body box.

    Attributes
    ----------
    name : that of the `LabelledScan`.
    hu : int16 (K, J, I), in memory or on disk.
    masks : the part of each voxel that is the structure, by name; fractions, because a voxel on the surface is neither
        inside nor outside, and a threshold of 0.5 then lies on the true surface. A structure that is missing was not
        annotated.
    ignore : where the pancreas label says nothing, or None.
    places : voxels (n, 3; KJI) that lie mostly in the structure, by name; at most 512 each.
    """

    name: str
    hu: np.ndarray | StoredArray
    masks: Mapping[str, BoxedMask]
    ignore: BoxedMask | None
    places: Mapping[str, np.ndarray]


def prepare_cases(
    scans: Sequence[LabelledScan],
    spacing_mm: float,
    cache: Path,
    processes: int = 1,
    report: Callable[[int, int, str], None] | None = None,
    share: tuple[int, int] = (0, 1),
) -> list[PreparedCase]:
    """All scans on the model's grid, in order, from the cache where they are there already.

    Several programs with one cache share the work without a word: each begins with scans of its own, then reads what
    the others made, the last first, and makes what is still missing. None has to wait for another.

    Parameters
    ----------
    scans : to prepare.
    spacing_mm : isotropic spacing of the grid.
    cache : folder for one file per scan, named after the scan, the spacing and what the scan's files hold.
    processes : how many scans to prepare at the same time.
    report : is called with (done, total, name) after each.
    share : the number of this program and how many there are.

    Raises
    ------
    BadInput : a scan cannot be read.
    CannotWrite : the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The folder {cache} cannot be made: {error.strerror or error}.") from error
    cases: dict[int, PreparedCase] = {}
    number, count = share
    own = list(range(number, len(scans), count))
    rest = sorted(set(range(len(scans))) - set(own), reverse=True)
    # Threads: SimpleITK and numpy's loops leave the interpreter's lock, and a scan's `load` need not be picklable.
    with ThreadPoolExecutor(max(1, processes)) as pool:
        jobs = {index: pool.submit(_cached, scans[index], spacing_mm, cache) for index in own + rest}
        try:
            for index, job in jobs.items():
                cases[index] = job.result()
                if report:
                    report(len(cases), len(scans), scans[index].name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [cases[index] for index in range(len(scans))]


def prepared(name: str, scan: LoadedScan, spacing_mm: float) -> PreparedCase:
    """Bring one loaded scan to the model's grid."""
    spacing = (spacing_mm,) * 3
    coarse = to_model_grid(scan.ct, spacing)
    box = body_box(coarse)
    hu = np.rint(sitk.GetArrayViewFromImage(coarse)[box]).astype(np.int16)
    masks = {structure: _boxed(_fractions(mask, spacing, box)) for structure, mask in scan.structures.items()}
    ignore = None if scan.ignore is None else _boxed(_fractions(scan.ignore, spacing, box))
    places = {structure: _places(mask) for structure, mask in masks.items()}
    return PreparedCase(name, hu, masks, ignore, places)


def identity_of(scan: LabelledScan, loaded: LoadedScan | None = None) -> str:
    """What changes when a scan's files do: from their sizes and times where `load` names them, else from the voxels."""
    digest = hashlib.sha256()
    files = files_of(scan)
    if files and isinstance(scan.load, functools.partial):
        digest.update(repr((scan.load.args, scan.load.keywords)).encode())
        for path in files:
            status = path.stat()
            digest.update(f"{path}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    else:
        loaded = loaded or scan.load()
        images = {"ct": loaded.ct, **loaded.structures, **({"ignore": loaded.ignore} if loaded.ignore else {})}
        for key, image in sorted(images.items()):
            digest.update(f"{key}|{image.GetSpacing()}|{image.GetOrigin()}|{image.GetDirection()}".encode())
            digest.update(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).data)
    return digest.hexdigest()[:16]


def is_prepared(scan: LabelledScan, spacing_mm: float, cache: Path) -> bool:
    """Whether the cache holds this scan as its files are now (False where that cannot be told without reading it)."""
    return bool(files_of(scan)) and _path(scan, None, spacing_mm, cache).exists()


def files_of(scan: LabelledScan) -> list[Path]:
    """The files that a scan is read from, as far as its `load` (a `functools.partial`) names them."""
    if not isinstance(scan.load, functools.partial):
        return []
    files: list[Path] = []
    for path in _paths_in((scan.load.args, scan.load.keywords)):
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in files if path.is_file()]


def _paths_in(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _paths_in([getattr(value, each.name) for each in fields(value)])
    elif isinstance(value, Mapping):
        yield from _paths_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _paths_in(each)


def available_processes() -> int:
    """How many scans to prepare at the same time: the processors that this process may use, at most 8."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else multiprocessing.cpu_count()
    return min(8, count)


def _cached(scan: LabelledScan, spacing_mm: float, cache: Path) -> PreparedCase:
    loaded = None if files_of(scan) else scan.load()
    path = _path(scan, loaded, spacing_mm, cache)
    if path.exists():
        try:
            return _read(path, scan.name)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # damaged: make it anew
    try:
        case = prepared(scan.name, loaded or scan.load(), spacing_mm)
    except BadInput as error:
        raise BadInput(f"The scan {scan.name} cannot be used: {error.message}", error.hint) from error
    _write(path, case)
    return _read(path, scan.name)


def _path(scan: LabelledScan, loaded: LoadedScan | None, spacing_mm: float, cache: Path) -> Path:
    words = f"{CACHE_VERSION}|{scan.name}|{spacing_mm:g}|{identity_of(scan, loaded)}"
    readable = "".join(letter if letter.isalnum() else "-" for letter in scan.name)[-60:]
    return cache / f"{readable}-{hashlib.sha256(words.encode()).hexdigest()[:16]}.npz"


def _fractions(mask: sitk.Image, spacing: tuple[float, float, float], box: tuple[slice, ...]) -> np.ndarray:
    coarse = to_model_grid(sitk.NotEqual(mask, 0), spacing)
    part = sitk.GetArrayViewFromImage(coarse)[box]
    return np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8)


def _boxed(fractions: np.ndarray) -> BoxedMask:
    box = bounding_box(fractions)
    if box is None:
        return BoxedMask((0, 0, 0), np.zeros((0, 0, 0), np.uint8))
    return BoxedMask(tuple(side.start for side in box), fractions[box].copy())


def _places(mask: BoxedMask) -> np.ndarray:
    inside = np.argwhere(mask.fractions >= 128)
    if not len(inside):
        inside = np.argwhere(mask.fractions >= max(1, int(mask.fractions.max(initial=0))))
    chosen = np.linspace(0, len(inside) - 1, min(len(inside), MOST_PLACES)).astype(int)
    return (inside[chosen] + np.array(mask.start)).astype(np.int16)


def _write(path: Path, case: PreparedCase) -> None:
    arrays, starts = {}, {}
    for name, mask in (*case.masks.items(), *((("ignore", case.ignore),) if case.ignore else ())):
        arrays[f"mask:{name}"], starts[name] = mask.fractions, mask.start
        if name in case.places:
            arrays[f"places:{name}"] = case.places[name]
    arrays["starts"] = np.frombuffer(json.dumps(starts).encode(), np.uint8)
    with whole_file(_hu_path(path)) as beside:
        np.save(beside, case.hu)
    with whole_file(path) as beside:  # the last one: where it is, both are
        np.savez(beside, **arrays)  # not compressed: reading hundreds of cases at the start has to be quick


def _hu_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-hu.npy")


def _read(path: Path, name: str) -> PreparedCase:
    hu = StoredArray(_hu_path(path), np.load(_hu_path(path), mmap_mode="r").shape)
    with np.load(path) as arrays:
        starts = json.loads(arrays["starts"].tobytes())
        masks = {key: BoxedMask(tuple(start), arrays[f"mask:{key}"]) for key, start in starts.items()}
        ignore = masks.pop("ignore", None)
        return PreparedCase(name, hu, masks, ignore, {key: arrays[f"places:{key}"] for key in masks})
