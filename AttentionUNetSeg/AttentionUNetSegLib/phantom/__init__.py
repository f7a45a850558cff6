"""Procedural abdominal CTs with ground truth: what the demo, the tests and *Self-Test* segment."""

from .phantom import DEFAULT_EXTENT_MM, DEFAULT_SPACING_MM, Phantom, make_phantom, write_phantom
from .tissues import PHASES, Label, Phase

__all__ = [
    "DEFAULT_EXTENT_MM",
    "DEFAULT_SPACING_MM",
    "PHASES",
    "Label",
    "Phantom",
    "Phase",
    "make_phantom",
    "write_phantom",
]
