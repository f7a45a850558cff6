"""Clicks and strokes on a probability map: a corrected map, computed locally and without the network.

Arrays are KJI. Needs numpy, scipy and SimpleITK only. `seeds` says what a click is here, `influence` (on a
`block_grid`) how far one click reaches into the tissue around it, `rivalry` how neighbouring clicks share an error,
`field` how all of them change the probability, `random_field` what the tissue between them makes of it, `refinement`
how what the adapted network says is added.
"""

from .field import InfluenceCache, correct_probability
from .influence import FURTHEST, surroundings
from .refinement import add_refinement
from .seeds import BACKGROUND, FOREGROUND, Seed, settle

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "FURTHEST",
    "InfluenceCache",
    "Seed",
    "add_refinement",
    "correct_probability",
    "settle",
    "surroundings",
]
