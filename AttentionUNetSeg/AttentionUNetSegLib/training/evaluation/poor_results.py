"""From which results on a person is warned of a poor one: the limits that a model card should give.

Within its segment a network has a mean probability and, with test-time augmentation, a mean spread. Both go with the
Dice (Roy et al. 2019, "Bayesian QuickNAT", NeuroImage 195, structure-wise uncertainty); the limit is the one that best
tells poor segments from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .case_result import CaseResult

# Below this a segment has to be drawn anew rather than corrected by a few clicks.
POOR_DICE = 0.6
# A limit found from fewer would be that of these cases alone.
FEWEST_OF_A_KIND = 3
# A warning that comes with more of the good results than this is soon not read any more.
MOST_IN_VAIN = 0.25


def warning_limits(results: Sequence[CaseResult]) -> dict[str, dict[str, Any] | None]:
    """Limits of "mean_spread" (poor above) and "mean_probability" (poor below), each as JSON values.

    Returns
    -------
    By name, None where there are fewer than three poor or three other segments, or no limit that warns of at most a
    quarter of the others tells them apart better than chance; else a dict of "limit", "poor" and "others" (how many
    cases), "poor_found" and "others_warned" (how many of each are beyond the limit). Cases without a segment, a label
    or the measure are left out: of an empty result people are told anyway.
    """
    return {
        "mean_spread": _limit(results, "mean_spread", 1),
        "mean_probability": _limit(results, "mean_probability", -1),
    }


def _limit(results: Sequence[CaseResult], name: str, sign: int) -> dict[str, Any] | None:
    pairs = [(getattr(case, name), case.metrics.dice) for case in results]
    known = [(sign * value, dice) for value, dice in pairs if value is not None and dice is not None]
    uncertainty = np.array([value for value, _ in known])
    is_poor = np.array([dice < POOR_DICE for _, dice in known], dtype=bool)
    if min(is_poor.sum(), (~is_poor).sum()) < FEWEST_OF_A_KIND:
        return None
    values = np.unique(uncertainty)
    candidates = (values[:-1] + values[1:]) / 2
    # Youden's index: the part of the poor that are found, less the part of the others that are warned of in vain.
    in_vain = np.array([(uncertainty[~is_poor] > limit).mean() for limit in candidates])
    gains = np.array([(uncertainty[is_poor] > limit).mean() for limit in candidates]) - in_vain
    gains[in_vain > MOST_IN_VAIN] = -1
    if not len(gains) or gains.max() <= 0:
        return None
    best = candidates[gains >= gains.max() - 1e-9]
    limit = float(best[len(best) // 2])
    return {
        "limit": round(sign * limit, 4),
        "poor": int(is_poor.sum()),
        "others": int((~is_poor).sum()),
        "poor_found": int((uncertainty[is_poor] > limit).sum()),
        "others_warned": int((uncertainty[~is_poor] > limit).sum()),
    }
