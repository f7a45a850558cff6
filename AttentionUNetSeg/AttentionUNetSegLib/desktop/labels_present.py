"""Which labels a volume holds, found a few slices at a time: a large label map would hold up Slicer otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt
import slicer

# More values than any list of organs has: then they are grey values and no labels.
MOST_LABELS = 1000
_VOXELS_AT_ONCE = 4_000_000


class LabelsPresent:
    """Looks through a volume of integers in Qt's event loop.

    Parameters
    ----------
    on_found : called once with the labels above 0, ascending; with none for a volume that is no label map.
    """

    def __init__(
        self, volume_node: slicer.vtkMRMLScalarVolumeNode, on_found: Callable[[tuple[int, ...]], None]
    ) -> None:
        self._on_found = on_found
        voxels = slicer.util.arrayFromVolume(volume_node) if volume_node.GetImageData() is not None else np.zeros(0)
        low, high = volume_node.GetImageData().GetScalarRange() if voxels.size else (0.0, 0.0)
        is_map = voxels.ndim == 3 and low >= 0 and high <= MOST_LABELS and voxels.dtype.kind in "ui"
        self._voxels = voxels if is_map else None
        self._seen = np.zeros(MOST_LABELS + 1, bool)
        self._next = 0
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin; `on_found` follows, from Qt's event loop."""
        self._timer.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._timer.stop()
        self._voxels = None

    def _look(self) -> None:
        if self._voxels is not None and self._next < len(self._voxels):
            slices = max(1, _VOXELS_AT_ONCE // max(1, self._voxels[0].size))
            self._seen[self._voxels[self._next : self._next + slices].ravel()] = True
            self._next += slices
            return
        self._timer.stop()
        self._voxels = None
        self._on_found(tuple(int(label) for label in np.flatnonzero(self._seen) if label))
