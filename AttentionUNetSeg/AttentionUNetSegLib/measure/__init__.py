"""Numbers about a segmented pancreas: size, attenuation, fat, shape, centre line, thickness, head, body and tail.

Needs numpy and scipy; images are SimpleITK's. Every quantity is defined, with its source, where it is computed.

The contrast phase is not guessed: that takes aorta and kidneys, and the models know the pancreas alone.
"""

from .centre_line import CentreLine
from .measure import RANGE, Masks, measure, measure_masks
from .measurements import Measurements, Quantity
from .part_map import PARTS, part_map

__all__ = [
    "PARTS",
    "RANGE",
    "CentreLine",
    "Masks",
    "Measurements",
    "Quantity",
    "measure",
    "measure_masks",
    "part_map",
]
