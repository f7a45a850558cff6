"""Data sets in their published layouts, as scans with labels; and what is wrong with them, before training starts."""

from .opening import LAYOUTS, open_datasets

__all__ = ["LAYOUTS", "open_datasets"]
