"""Between stored probabilities, uint8 0..255, and log odds, in which evidence adds up."""

from __future__ import annotations

import numpy as np

# What a stored 0 or 255 stands for: a click has to be able to outweigh a network that is sure.
NETWORK_LOG_ODDS = 6.0


def _log_odds_table() -> np.ndarray:
    share = np.arange(256) / 255.0
    with np.errstate(divide="ignore"):
        odds = np.log(share) - np.log1p(-share)
    return np.clip(odds, -NETWORK_LOG_ODDS, NETWORK_LOG_ODDS).astype(np.float32)


# Log odds (float32) by stored value.
LOG_ODDS = _log_odds_table()


def stored_probability(odds: np.ndarray) -> np.ndarray:
    """The stored values, uint8 0..255, of log odds."""
    return np.rint(255.0 / (1.0 + np.exp(-odds))).astype(np.uint8)
