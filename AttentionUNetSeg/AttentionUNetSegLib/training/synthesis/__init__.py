"""Labelled CTs without patients: real label maps deformed, painted and scanned; and procedural phantoms."""

from .anatomy_collection import AnatomyCollection, collect_anatomies
from .generator import SyntheticCT, Variety, synthesize
from .synthetic_set import SyntheticSet, write_synthetic_set

__all__ = [
    "AnatomyCollection",
    "SyntheticCT",
    "SyntheticSet",
    "Variety",
    "collect_anatomies",
    "synthesize",
    "write_synthetic_set",
]
