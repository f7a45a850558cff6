"""What lies side by side and looks alike goes the same way: a conditional random field around the clicks.

The evidence of the clicks ends softly somewhere in the tissue, and the network's edge is where the network put it. Here
both learn from the tissue: how the attenuation of what is surely inside differs from that of what is surely outside,
and where between neighbours the attenuation changes (Boykov and Jolly, ICCV 2001). Where a graph cut would give a mask,
some mean field iterations (Kraehenbuehl and Koltun, NIPS 2011) start from the evidence and give log odds again, so that
the threshold stays live. All of it fades with the distance from the clicks.

The constants were chosen with the robot user of research/benchmarks/correction.py on phantoms 1, 2, 5 and 6, on
synthetic CTs from label maps, and on the real CTs crlm_1006 and totalsegmentator_example.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contracts import FURTHEST
from .block_grid import BLOCK_MM, neighbours
from .influence import HIGHEST_HU, LOWEST_HU

# What is left at a click of the log odds that came before, which count up to the limit.
TRUST, MOST_LOG_ODDS = 0.5, 8.0
# Log odds beyond which tissue is an example of inside or outside, and how many voxels of each kind are enough.
SURE_LOG_ODDS, FEWEST_EXAMPLES = 2.0, 5
# The most that the attenuation alone says, in log odds, and the width of the histograms' bins.
MOST_FROM_ATTENUATION, BIN_HU = 3.0, 10.0
# Log odds that a neighbour of the same attenuation adds at most, less if it is further away than `BLOCK_MM`, and the
# difference (HU) at which it adds 0.6 of them.
NEIGHBOUR_LOG_ODDS, ALIKE_HU = 2.0, 20.0
ITERATIONS = 8


def change_around_clicks(
    hu: np.ndarray, log_odds: np.ndarray, distance: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Return by how much the log odds change; float32, exactly 0 where `distance` is `FURTHEST`.

    A voxel changes sides, but never becomes more certain by it than it was or than `SURE_LOG_ODDS`.

    Parameters
    ----------
    hu : np.ndarray
        Attenuation, KJI, between `LOWEST_HU` and `HIGHEST_HU`.
    log_odds : np.ndarray
        float32 on the same voxels, with the evidence of the clicks.
    distance : np.ndarray
        float32 on the same voxels, from the nearest click in units of the reach, at most `FURTHEST`.
    spacing : tuple[float, float, float]
        Size of these voxels in mm along K, J, I.
    """
    before = np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
    nearness = np.sqrt(1.0 - distance / np.float32(FURTHEST))
    own = before + nearness * ((TRUST - 1.0) * before + _from_attenuation(hu, before, nearness > 0))
    after = _mean_field(own, nearness, _bonds(hu, spacing))
    certain = np.maximum(np.abs(before), SURE_LOG_ODDS)
    return np.where(nearness > 0, np.clip(after, -certain, certain) - before, np.float32(0))


def _from_attenuation(hu: np.ndarray, log_odds: np.ndarray, near: np.ndarray) -> np.ndarray | float:
    """Return the log odds by attenuation alone, learnt from the sure ones near clicks; 0: too few are."""
    inside, outside = near & (log_odds > SURE_LOG_ODDS), near & (log_odds < -SURE_LOG_ODDS)
    if min(np.count_nonzero(inside), np.count_nonzero(outside)) < FEWEST_EXAMPLES:
        return 0.0
    bins = int((HIGHEST_HU - LOWEST_HU) / BIN_HU) + 1
    place = ((hu - LOWEST_HU) / BIN_HU).astype(np.intp)
    logs = []
    for examples in (inside, outside):
        counts = ndimage.gaussian_filter1d(np.bincount(place[examples], minlength=bins).astype(float), 1.0) + 0.5
        logs.append(np.log(counts / counts.sum()))
    by_bin = np.clip(logs[0] - logs[1], -MOST_FROM_ATTENUATION, MOST_FROM_ATTENUATION)
    return by_bin.astype(np.float32)[place]


def _bonds(hu: np.ndarray, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """Return, axis by axis, the log odds that each voxel adds to its next one and the next one to it."""
    closest = min(BLOCK_MM, *spacing)
    return [
        np.float32(NEIGHBOUR_LOG_ODDS * closest / step) * np.exp(-((np.diff(hu, axis=axis) / ALIKE_HU) ** 2) / 2)
        for axis, step in enumerate(spacing)
    ]


def _mean_field(own: np.ndarray, nearness: np.ndarray, bonds: list[np.ndarray]) -> np.ndarray:
    """Return the log odds after the iterations, in which every voxel hears what its six neighbours lean to."""
    log_odds = own
    for _ in range(ITERATIONS):
        lean = np.tanh(log_odds / 2)
        heard = np.zeros_like(own)
        for axis, bond in enumerate(bonds):
            first, second = neighbours(axis)
            heard[first] += bond * lean[second]
            heard[second] += bond * lean[first]
        log_odds = own + nearness * heard
    return log_odds
