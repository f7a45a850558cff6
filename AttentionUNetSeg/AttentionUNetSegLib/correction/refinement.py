"""What the network says after it was adapted to clicks, joined with what the clicks do to their surroundings.

Both are changes of log odds against the network's own probability, so they add up, whichever came first.
"""

from __future__ import annotations

import numpy as np

from .log_odds import LOG_ODDS, stored_probability


def add_refinement(
    corrected: np.ndarray, network: np.ndarray, refined: np.ndarray, certain: np.ndarray | None = None
) -> np.ndarray:
    """Return the corrected probability with the refinement added; nothing that is passed in is changed.

    Where the refinement changed nothing, and at certain voxels, the corrected values stay as they are, exactly. Where
    clicks changed nothing, the refined values come out, exactly.

    Parameters
    ----------
    corrected : uint8 0..255, of `correct_probability`, which got `network`.
    network : uint8 on the same voxels, the network's own probability.
    refined : uint8 on the same voxels, the probability of the adapted network.
    certain : bool on the same voxels, what clicks and strokes settled already.
    """
    joined = corrected.copy()
    added = (refined != network) & (corrected != network)
    if certain is not None:
        added &= ~certain
    joined[added] = stored_probability(LOG_ODDS[corrected[added]] + LOG_ODDS[refined[added]] - LOG_ODDS[network[added]])
    alone = (refined != network) & (corrected == network)
    if certain is not None:
        alone &= ~certain
    joined[alone] = refined[alone]
    return joined
