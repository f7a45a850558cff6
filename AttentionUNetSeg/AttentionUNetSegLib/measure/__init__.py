"""Numbers about a segmented pancreas: size, attenuation, fat, shape, centre line, thickness, head, body and tail.

Needs numpy and scipy; images are SimpleITK's. Every quantity is defined, with its source, where it is computed.

The contrast phase of the CT is a guess, from the gland and from an aorta that is found by its geometry.
"""

from .centre_line import CentreLine
from .contrast_phase import PHASES, ContrastPhase
from .measure import RANGE, Masks, measure, measure_masks
from .measurements import Measurements, Quantity
from .part_map import PARTS, part_map
from .surroundings import box_with_surroundings

__all__ = [
    "PARTS",
    "PHASES",
    "RANGE",
    "CentreLine",
    "ContrastPhase",
    "Masks",
    "Measurements",
    "Quantity",
    "box_with_surroundings",
    "measure",
    "measure_masks",
    "part_map",
]
