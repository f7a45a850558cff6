"""What clicks ask of the network around them: where they are measured, how far they reach, what has to stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch

from ..imaging import Geometry
from .click_fit import Aim
from .refined_fields import Clicks, ReachingClick, fades, log_odds_range, squared_distances

# A click is measured in a ball of about this radius: one standard deviation of its weights.
CLICK_MM = 3.0
# Certainty beyond this is the same to the fit.
LARGEST_LOG_ODDS = 6.0
# As for the local correction: a click this close (mm) to what it asserts means a small error, and reaches over as many
# mm as it lies apart x 1.5; one where the field was right already means its surroundings only.
REACH_PER_GAP = 1.5
SMALLEST_REACH_MM = 4.0
AGREEING_REACH_MM = 6.0


def reaching(
    clicks: Sequence[tuple[tuple[float, float, float], bool]], probability: sitk.Image, reach_mm: float
) -> list[ReachingClick]:
    """How far each click (LPS position in mm, whether it is positive) reaches, at most `reach_mm`.

    `probability` is uint8 0..255 on a part of the CT, 0 elsewhere.
    """
    grid = Geometry.of(probability)
    inside = sitk.GetArrayViewFromImage(probability) >= 128
    found = []
    for position, positive in clicks:
        squared = squared_distances(grid, [position])[0]
        asserted = squared[inside == positive]
        gap = float(np.sqrt(asserted.min())) if asserted.size else np.inf
        if not positive:
            gap = min(gap, _way_out(grid, position))
        is_agreeing = gap < 0.5 * max(grid.spacing)
        own = AGREEING_REACH_MM if is_agreeing else max(SMALLEST_REACH_MM, REACH_PER_GAP * gap)
        found.append(ReachingClick(tuple(position), bool(positive), float(min(reach_mm, own))))
    return found


def aim_of_clicks(own: np.ndarray, grid: Geometry, probability: sitk.Image, clicks: Clicks) -> tuple[Aim, torch.Tensor]:
    """The aim at those places of a patch that clicks may change, and their flat indices.

    Parameters
    ----------
    own : (K, J, I), the network's own log odds on the patch.
    grid : the patch's grid.
    probability : uint8 0..255, what the clicks were made on; it counts where it says more than `own`.
    """
    stored = sitk.GetArrayFromImage(
        sitk.Resample(
            probability, grid.size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction, 0.0,
            sitk.sitkFloat32,
        )  # fmt: skip
    )
    base = np.clip(own, *log_odds_range(stored))
    base = np.clip(base, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    raised, lowered = fades(grid, clicks)
    places = np.flatnonzero(np.maximum(raised, lowered) > 0)
    squared = squared_distances(grid, [click.position for click in clicks]).reshape(len(clicks), -1)[:, places]
    sigma = max(CLICK_MM, max(grid.spacing) / 2)
    balls = np.exp(-0.5 * (squared - squared.min(axis=1, keepdims=True)) / sigma**2)
    balls /= balls.sum(axis=1, keepdims=True)
    reaches = np.array([[click.reach_mm] for click in clicks])
    away = np.clip((np.sqrt(squared) / reaches).min(axis=0), 0.0, 1.0)
    values = (
        base.ravel()[places],
        balls,
        np.array([1.0 if click.positive else -1.0 for click in clicks]),
        away * np.prod(grid.spacing) / 1000.0,
        raised.ravel()[places],
        lowered.ravel()[places],
    )
    aim = Aim(*(torch.from_numpy(np.ascontiguousarray(each, dtype=np.float64)) for each in values))
    return aim, torch.from_numpy(places)


def _way_out(grid: Geometry, position: Sequence[float]) -> float:
    """Distance in mm from a place in a grid to the outside of it, where there is background; 0 outside."""
    place = grid.index(position)
    size = np.asarray(grid.size)
    ways = np.minimum(place + 1.0, size - place) * np.asarray(grid.spacing)
    return max(0.0, float(ways.min()))
