"""Head, body and tail: where they are divided along the centre line.

Anatomy divides at vessels: the head lies right of the left border of the superior mesenteric vein, the tail left of
that of the aorta (UICC, TNM Classification of Malignant Tumours, 8th edition 2017, pancreas). A mask of the gland
alone knows no vessels. So the places are those that the line itself shows:

- head | body: the neck, the narrowest place (area across the line) between a fifth and three fifths of the length; the
  vein runs behind it. Where nothing is narrowest there, at two fifths of the length, and a note says so.
- body | tail: halfway between the neck and the tip of the tail, as the older Japanese rule has it (Japan Pancreas
  Society, General Rules for the Study of Pancreatic Cancer, 6th edition 2009).

They are places along a line, good for comparing glands with each other, and not the surgeon's borders.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

SEARCHED = 0.2, 0.6  # of the length
WITHOUT_A_NECK = 0.4
# A neck is narrower than what lies on both sides of it, by this much at least.
NARROWER = 0.9
_SMOOTHING_MM = 5.0


def find_neck(distance_mm: np.ndarray, section_mm2: np.ndarray) -> float | None:
    """Return where the neck is along the line in mm from the head's end; None where the line shows none.

    Parameters
    ----------
    distance_mm : (n,) equally spaced.
    section_mm2 : (n,) area across the line.
    """
    smooth = gaussian_filter1d(section_mm2, _SMOOTHING_MM / (distance_mm[1] - distance_mm[0]), mode="nearest")
    low, high = np.searchsorted(distance_mm, np.multiply(SEARCHED, distance_mm[-1]))
    at = low + int(smooth[low:high].argmin())
    sides = smooth[: at + 1].max(), smooth[at:].max()
    return float(distance_mm[at]) if smooth[at] <= NARROWER * min(sides) else None


def part_shares(nearest: np.ndarray, distance_mm: np.ndarray, neck_mm: float, tail_mm: float) -> dict[str, float]:
    """Return the shares (0..1) of head, body and tail among samples whose nearest stations (m,) are given."""
    along = distance_mm[nearest]
    head, tail = float(np.mean(along < neck_mm)), float(np.mean(along >= tail_mm))
    return {"head": head, "body": 1.0 - head - tail, "tail": tail}
