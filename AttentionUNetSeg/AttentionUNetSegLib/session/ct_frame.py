"""The frame that a result's clicks are in, followed when somebody hardens a transform on the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInput

if TYPE_CHECKING:
    from ..scene import ResultNodes


class CTFrame:
    """Remembers where the CT's voxels were in the result's frame."""

    def __init__(self, nodes: ResultNodes) -> None:
        self._nodes = nodes
        self._grid = self._now()

    def movement(self) -> np.ndarray | None:
        """Return the 4x4 matrix that positions have moved by since the last call; None where they stayed."""
        before, self._grid = self._grid, self._now()
        if before is None or self._grid is None or np.allclose(before, self._grid, atol=1e-6):
            return None
        return self._grid @ np.linalg.inv(before)

    def _now(self) -> np.ndarray | None:
        from ..scene.geometry import ct_grid

        try:
            return ct_grid(self._nodes)
        except BadInput:  # the CT was resampled: clicks are refused, the threshold works on
            return None
