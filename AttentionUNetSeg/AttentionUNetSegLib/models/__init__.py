"""Model packages: what is in one, which are installed, how one is added. Standard library only."""

from .card import measured_line, measured_table, model_card, model_note, package_summary
from .catalogue import Addition, BrokenPackage, Catalogue, bundled_models_folder, user_models_folder
from .package import ModelPackage, QualityLimits, load_package, verify_weights, write_package
from .segment_label import SegmentLabel

__all__ = [
    "ModelPackage",
    "QualityLimits",
    "SegmentLabel",
    "load_package",
    "verify_weights",
    "write_package",
    "Catalogue",
    "Addition",
    "BrokenPackage",
    "bundled_models_folder",
    "user_models_folder",
    "package_summary",
    "measured_line",
    "measured_table",
    "model_card",
    "model_note",
]
