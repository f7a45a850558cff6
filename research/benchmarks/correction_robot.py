"""The robot user: clicks into the middle of the largest error, exactly or as a hand does, and counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from AttentionUNetSegLib.correction import Seed
from scipy import ndimage

from .correction_scenarios import Case

Corrector = Callable[[list[Seed]], np.ndarray]  # all clicks so far -> mask


@dataclass
class Round:
    """One run: Dice after 0, 1, 2, ... clicks, and the milliseconds of each click, by the clock and of processors."""

    dice: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    cpu_milliseconds: list[float] = field(default_factory=list)


def play(case: Case, start: np.ndarray, correct: Corrector, clicks: int, jitter: np.random.Generator | None) -> Round:
    """Let the robot click `clicks` times. With `jitter` it misses the middle and sometimes takes a smaller error."""
    mask, seeds = start, []
    done = Round([dice(case.counted(mask), case.truth)])
    while len(seeds) < clicks:
        voxel = _next_click(mask, case, jitter)
        if voxel is None:
            break
        seeds.append(Seed(len(seeds) + 1, voxel, bool(case.truth[voxel])))
        started, used = time.perf_counter(), time.process_time()
        mask = correct(seeds)
        done.milliseconds.append(1000 * (time.perf_counter() - started))
        done.cpu_milliseconds.append(1000 * (time.process_time() - used))
        done.dice.append(dice(case.counted(mask), case.truth))
    done.dice += [done.dice[-1]] * (clicks + 1 - len(done.dice))
    return done


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice overlap of two masks."""
    return float(2 * np.count_nonzero(mask & truth) / max(1, np.count_nonzero(mask) + np.count_nonzero(truth)))


def _next_click(mask: np.ndarray, case: Case, jitter: np.random.Generator | None) -> tuple[int, int, int] | None:
    """Return the middle of the largest error, on slices that count alone: there neighbouring ones of these touch."""
    kept, region, box = largest_error(mask, case, jitter)
    if region is None:
        return None
    region = np.pad(region, 1)
    sampling = list(case.spacing)
    if len(kept) < len(mask):  # slices that stand apart: how deep a place lies is told by its own slice
        sampling[0] = 1e6
    depth = ndimage.distance_transform_edt(region, sampling=sampling)
    if jitter is None:
        inside = np.unravel_index(depth.argmax(), depth.shape)
    else:  # anywhere in the inner half of the error, as a person who aims does
        inner = np.argwhere(depth >= 0.5 * depth.max())
        inside = inner[jitter.integers(len(inner))]
    k, j, i = (int(n) - 1 + part.start for n, part in zip(inside, box, strict=True))
    return int(kept[k]), j, i


def next_stroke(mask: np.ndarray, case: Case) -> tuple[np.ndarray, bool] | None:
    """Return a line (n, 3; k, j, i) along the largest error, on the slice where it is largest, and whether it adds.

    As a person draws it: through the middle, from one end to the other.
    """
    from skimage.graph import MCP_Geometric

    kept, region, box = largest_error(mask, case)
    if region is None:
        return None
    k = int(region.sum(axis=(1, 2)).argmax())
    slice_k = int(kept[k + box[0].start])
    missed = case.truth[slice_k][box[1:]]
    positive = bool(np.count_nonzero(region[k] & missed) * 2 >= np.count_nonzero(region[k]))
    flat = np.pad(region[k] & (missed == positive), 1)
    parts, _ = ndimage.label(flat)
    flat = parts == np.bincount(parts[parts > 0]).argmax()
    depth = ndimage.distance_transform_edt(flat, sampling=case.spacing[1:])
    costs = np.where(flat, (depth.max() / np.maximum(depth, 1e-3)) ** 2, np.inf)
    start = np.unravel_index(depth.argmax(), depth.shape)
    for _ in range(2):  # to the furthest place, and from there to the one furthest from it
        ways = MCP_Geometric(costs, fully_connected=True)
        reached, _ = ways.find_costs([start])
        start = np.unravel_index(np.where(np.isfinite(reached), reached, -1.0).argmax(), reached.shape)
    path = ways.traceback(start)
    middle = depth[path[len(path) // 2]]
    line = np.array([place for place in path if depth[place] >= 0.5 * middle])
    line = line - 1 + [box[1].start, box[2].start]
    return np.column_stack([np.full(len(line), slice_k), line]), positive


def largest_error(
    mask: np.ndarray, case: Case, jitter: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray | None, tuple[slice, slice, slice] | None]:
    """Return the slices that count, and of the largest error on them its voxels in a box, and the box (both KJI)."""
    kept = np.flatnonzero(~case.ignored.all(axis=(1, 2)))
    labels, count = ndimage.label(case.counted(mask != case.truth)[kept])
    if not count:
        return kept, None, None
    sizes = np.bincount(labels.ravel())[1:]
    chosen = int(sizes.argmax())
    if jitter is not None and count > 1 and jitter.random() < 0.25:
        chosen = int(np.argsort(sizes)[-2])
    box = ndimage.find_objects(labels, max_label=chosen + 1)[chosen]
    return kept, labels[box] == chosen + 1, box
