"""What clicks ask of the network around them: where they are measured, and what has to stay."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..imaging import Geometry
from .click_fit import Aim
from .refined_fields import Clicks, fades, log_odds_range, squared_distances

# A click is measured in a ball of about this radius: one standard deviation of its weights.
CLICK_MM = 3.0
# Certainty beyond this is the same to the fit.
LARGEST_LOG_ODDS = 6.0


def aim_of_clicks(own: np.ndarray, grid: Geometry, probability: sitk.Image, clicks: Clicks) -> tuple[Aim, torch.Tensor]:
    """The aim at those places of a patch that clicks may change, and their flat indices.

    Parameters
    ----------
    own : (K, J, I), the network's own log odds on the patch.
    grid : the patch's grid.
    probability : uint8 0..255, what the clicks were made on; it counts where it says more than `own`.
    """
    resampled = sitk.Resample(
        probability, grid.size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction, 0.0,
        sitk.sitkFloat32,
    )  # fmt: skip
    base = np.clip(own, *log_odds_range(sitk.GetArrayViewFromImage(resampled)))
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
