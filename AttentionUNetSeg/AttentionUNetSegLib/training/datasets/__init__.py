"""Data sets in their published layouts, as scans with labels; and what is wrong with them, before training starts."""

from .label_problems import LabelProblem, label_problems
from .opening import LAYOUTS, open_datasets

__all__ = ["LAYOUTS", "LabelProblem", "label_problems", "open_datasets"]
