"""Sets of choices for a person with data and a GPU: what the field's reference does, and what the paper did.

Everything that a preset does not name keeps `TrainingConfiguration`'s default; single options override a preset.
Memory and time are those of a data centre's GPU; how long a step takes is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# After nnU-Net's 3d_fullres (F. Isensee et al., Nature Methods 2021, and its published code, version 2): 1,000 epochs
# of 250 steps of two patches, SGD with Nesterov momentum from 0.01 with a polynomial decay, instance normalization,
# channels from 32 to 320 on six levels, deep supervision, turned by up to 30 degrees and scaled by 0.7 to 1.4.
# Otherwise here: voxels are isotropic (nnU-Net's have 2.5 x 0.8 x 0.8 mm), so that the patch's 96 x 192 x 192 mm, about
# what its 40 x 224 x 224 voxels cover, take half the memory; no mirroring, because the abdomen's sides differ; the
# weights are averaged.
_MSD = {
    "structures": ("pancreas",), "spacing_mm": 1.5, "patch": (64, 128, 128), "features": (32, 64, 128, 256, 320, 320),
    "norm": "instance", "batch": 2, "steps": 250_000, "optimizer": "sgd", "rate": 0.01, "schedule": "polynomial",
    "weight_decay": 3e-5, "averaging": 0.999, "augmentation": "strong", "largest_package_mb": 80.0,
}  # fmt: skip

# After O. Oktay et al. 2018, section 4 (CTs at 2 mm, grid gates, batch normalization, batches of 2 to 4, Adam, deep
# supervision, affine transformations and flips), with the numbers that the authors' code gives where the text has
# none: 160 x 160 x 96 voxels, 16 to 256 channels, a rate of 0.0001 that is halved every 250 of 1,000 epochs, which are
# 60 steps each with 120 CTs. Otherwise here: cross-entropy beside the Dice loss, AdamW's decay in place of L2, averaged
# weights, a fixed window of HU in place of each CT's own mean and deviation.
_PAPER = {
    "spacing_mm": 2.0, "patch": (96, 160, 160), "features": (16, 32, 64, 128, 256), "gate": "grid", "norm": "batch",
    "batch": 2, "steps": 60_000, "optimizer": "adamw", "rate": 1e-4, "schedule": "halving", "weight_decay": 1e-6,
    "averaging": 0.999, "augmentation": "affine", "flip_left_right": True, "pancreas_weight": 1.0,
    "largest_package_mb": 16.0,
}  # fmt: skip

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"msd": MappingProxyType(_MSD), "paper": MappingProxyType(_PAPER)}
)


def described(preset: str, given: Mapping[str, Any]) -> str:
    """A sentence with all that a preset chooses, and what was chosen otherwise (`given`, by the same names)."""
    chosen = PRESETS[preset]
    own = ", ".join(f"{name} {_words(value)}" for name, value in chosen.items() if name not in given)
    other = ", ".join(
        f"{name} {_words(given[name])} instead of {_words(value)}" for name, value in chosen.items() if name in given
    )
    return f"Preset {preset}: {own}{f'; chosen otherwise: {other}' if other else ''}."


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
