"""Clicks and strokes on a probability map: a corrected map, computed locally and without the network.

Arrays are KJI. Needs numpy, scipy and SimpleITK only. `seeds` says what a click is here, `marks` what
strokes, lassos and boxes mean, `influence` (on a
`block_grid`) how far one click reaches into the tissue around it, `neighbouring_clicks` how they share an error,
`field` how all of them change the probability, `random_field` what the tissue between them makes of it,
`starting_field` how any mask becomes a field.
"""

from .field import CLICK_RULES, InfluenceCache, correct_probability
from .influence import surroundings
from .marks import box_seed, lasso_seed, one_per_block, painted_seed, stroke_seed
from .seeds import BACKGROUND, FOREGROUND, Seed, latest_per_place
from .starting_field import (
    MASK_THRESHOLD,
    SATURATION_MM,
    change_between,
    changed_field,
    field_of_depth,
    signed_depth,
)

__all__ = [
    "BACKGROUND",
    "CLICK_RULES",
    "FOREGROUND",
    "MASK_THRESHOLD",
    "SATURATION_MM",
    "InfluenceCache",
    "Seed",
    "box_seed",
    "change_between",
    "changed_field",
    "correct_probability",
    "field_of_depth",
    "lasso_seed",
    "one_per_block",
    "painted_seed",
    "latest_per_place",
    "signed_depth",
    "stroke_seed",
    "surroundings",
]
