"""The aorta by its geometry: a round bright disc in front of the spine, at the same place in slice after slice.

No network knows it here. It is looked for where it lies in everybody: in front of the lumbar spine, in the middle or
to the left of it, 12 to 34 mm wide (normal to an aneurysm), more or less straight. A disc is what stands out, at any
HU from 70 on, as one round part of a slice; the aorta is the longest chain of discs of one width and one HU. Blood
without contrast medium is no brighter than the muscle beside it, and so is never found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .surroundings import STEP_MM, Surroundings

_WIDTH, _HEIGHT = STEP_MM[0], STEP_MM[2]
LEVELS_HU = range(70, 430, 12)
DIAMETER_MM = 12.0, 34.0
# Of the disc's centre, from the spine's: towards the left, and towards the front.
_LEFT_MM, _FRONT_MM = (-16.0, 40.0), (10.0, 50.0)
SHORTEST_MM = 24.0
# From a slice to the next one: the centre's way in mm, the change of HU (a part, or at least so much), of diameter.
_STEP_ASIDE_MM, _STEP_HU, _STEP_HU_AT_LEAST, _STEP_DIAMETER_MM = 3.5, 0.08, 12.0, 6.0
_SLICES_MISSED = 1

_BONE_HU = 200.0
_SPINE_SIGMA_MM = 14.0
# Of the slices' voxels about the spine's axis, spread by that sigma.
_LEAST_BONE = 0.08
# The spine's centre from the gland's: at least so far behind it, and aside of it at most so far, right and left.
_BEHIND_MM, _ASIDE_MM = 16.0, (70.0, 60.0)

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


class _Disc(NamedTuple):
    x: float  # mm to the left and to the back, within the surroundings
    y: float
    diameter: float
    hu: float


def spine_of(around: Surroundings) -> tuple[float, float] | None:
    """Return the place (left, back; mm) of the spine's axis within the surroundings; None where there is no spine.

    It is where bone is found in most slices, behind the gland: bowel with contrast medium is as bright, in front.
    """
    if not around.gland.any():
        return None
    _, back, left = (float(np.mean(where)) for where in np.nonzero(around.gland))
    share = ndimage.gaussian_filter((around.hu > _BONE_HU).mean(axis=0, dtype=np.float32), _SPINE_SIGMA_MM / _WIDTH)
    right, left_end = (round(left + aside / _WIDTH) for aside in (-_ASIDE_MM[0], _ASIDE_MM[1]))
    share[: round(back + _BEHIND_MM / _WIDTH)] = 0
    share[:, : max(0, right)] = share[:, left_end:] = 0
    y, x = np.unravel_index(int(share.argmax()), share.shape)
    return (x * _WIDTH, y * _WIDTH) if share[y, x] >= _LEAST_BONE else None


def find_aorta(around: Surroundings, spine: tuple[float, float]) -> np.ndarray | None:
    """Return the aorta's HU (median within it) slice by slice, from below; None where there is no such chain."""
    chain = _longest_chain(_discs(around.hu, spine))
    return np.array([disc.hu for disc in chain]) if len(chain) * _HEIGHT >= SHORTEST_MM else None


def _discs(hu: np.ndarray, spine: tuple[float, float]) -> list[list[_Disc]]:
    """What looks like a disc where the aorta may lie, slice by slice."""
    margin = DIAMETER_MM[1] / 2 + _WIDTH
    (x0, x1), (y0, y1) = (
        (max(0, int((place + low - margin) / _WIDTH)), int((place + high + margin) / _WIDTH) + 1)
        for place, (low, high) in zip(spine, (_LEFT_MM, (-_FRONT_MM[1], -_FRONT_MM[0])), strict=True)
    )
    part = hu[:, y0:y1, x0:x1]
    smooth = ndimage.gaussian_filter(part, (0, 0.7, 0.7))
    found: list[list[_Disc]] = [[] for _ in part]
    for level in LEVELS_HU:
        labels, count = ndimage.label(smooth > level, structure=_IN_PLANE)
        areas = np.bincount(labels.ravel(), minlength=count + 1) * _WIDTH**2
        for number, (k, j, i) in enumerate(ndimage.find_objects(labels), start=1):
            if not _is_round((j.stop - j.start) * _WIDTH, (i.stop - i.start) * _WIDTH, areas[number]):
                continue
            disc = _disc(labels[k.start, j, i] == number, part[k.start, j, i])
            if disc is None:
                continue
            disc = disc._replace(x=disc.x + (x0 + i.start) * _WIDTH, y=disc.y + (y0 + j.start) * _WIDTH)
            left, front = disc.x - spine[0], spine[1] - disc.y
            here = found[k.start]
            is_new = all(np.hypot(disc.x - other.x, disc.y - other.y) >= 2 * _WIDTH for other in here)
            if _LEFT_MM[0] <= left <= _LEFT_MM[1] and _FRONT_MM[0] <= front <= _FRONT_MM[1] and is_new:
                here.append(disc)  # at a higher level the same one is smaller, not another
    return found


def _is_round(height: float, width: float, area: float) -> bool:
    """Whether a part of a slice may be a disc, by its box (mm) and its area (mm²)."""
    is_as_wide = DIAMETER_MM[0] <= 0.5 * (height + width) <= DIAMETER_MM[1]
    return is_as_wide and max(height, width) <= 1.6 * min(height, width) and area >= 0.68 * height * width * np.pi / 4


def _disc(shape: np.ndarray, hu: np.ndarray) -> _Disc | None:
    """The disc that a part of a slice is (its place counted from its own box); None where it is too thin for one."""
    diameter = 0.5 * sum(shape.shape) * _WIDTH
    inner = ndimage.binary_erosion(shape)
    if np.count_nonzero(inner) < 4:
        return None
    y, x = (float(np.mean(where)) * _WIDTH for where in np.nonzero(shape))
    return _Disc(x, y, diameter, float(np.median(hu[inner])))


def _longest_chain(slices: list[list[_Disc]]) -> list[_Disc]:
    """The longest chain of discs that go on from slice to slice, of which single ones may be missing."""
    lengths: list[list[int]] = []
    before: dict[tuple[int, int], tuple[int, int]] = {}
    for k, discs in enumerate(slices):
        lengths.append([1] * len(discs))
        for n, disc in enumerate(discs):
            for gap in range(1, min(k, 1 + _SLICES_MISSED) + 1):
                for m, last in enumerate(slices[k - gap]):
                    if lengths[k - gap][m] >= lengths[k][n] and _goes_on(last, disc, gap):
                        lengths[k][n], before[k, n] = lengths[k - gap][m] + 1, (k - gap, m)
    ends = [(length, (k, n)) for k, row in enumerate(lengths) for n, length in enumerate(row)]
    if not ends:
        return []
    place: tuple[int, int] | None = max(ends)[1]
    chain = []
    while place is not None:
        chain.append(slices[place[0]][place[1]])
        place = before.get(place)
    return chain[::-1]


def _goes_on(last: _Disc, disc: _Disc, gap: int) -> bool:
    return (
        np.hypot(last.x - disc.x, last.y - disc.y) <= _STEP_ASIDE_MM * gap
        and abs(last.hu - disc.hu) <= max(_STEP_HU_AT_LEAST, _STEP_HU * last.hu)
        and abs(last.diameter - disc.diameter) <= _STEP_DIAMETER_MM
    )
