"""Intensities: Hounsfield units to the network's input range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BadInput


@dataclass(frozen=True)
class HUWindow:
    """An intensity window in Hounsfield units: `low` becomes 0, `high` becomes 1, everything beyond is clipped."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise BadInput(
                f"The intensity window {self.low:g} .. {self.high:g} HU is empty: its low end must be the smaller one."
            )

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return a new float32 array of the same shape with values in 0..1; `array` (HU, any type) is left as it is."""
        scaled = np.array(array, dtype=np.float32)
        scaled -= np.float32(self.low)
        scaled *= np.float32(1.0 / (self.high - self.low))
        return np.clip(scaled, 0.0, 1.0, out=scaled)
