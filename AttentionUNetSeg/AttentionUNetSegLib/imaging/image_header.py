"""What the header of an image file says, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .geometry import Geometry
from .voxel_data import VoxelData


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes
    ----------
    data : VoxelData
        The voxels.
    grid : Geometry
        Where they lie (LPS, mm).
    scale : tuple[float, float]
        Slope and intercept that make a stored value what it means.
    fields : Mapping[str, str]
        Further fields by name, for the image's meta data.
    warnings : tuple[str, ...]
        One sentence each.
    """

    data: VoxelData
    grid: Geometry
    scale: tuple[float, float] = (1.0, 0.0)
    fields: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def unsaid_geometry(name: str, has_orientation: bool, has_spacing: bool) -> list[str]:
    """Say what a file leaves open of where its voxels lie, and what was taken instead; nothing where it says all."""
    if has_orientation and has_spacing:
        return []
    missing = {"orientation": has_orientation, "spacing": has_spacing}
    taken = {"orientation": "its axes as left, posterior, superior", "spacing": "its voxels as 1 mm apart"}
    unsaid = [each for each, is_there in missing.items() if not is_there]
    sentence = f"{name} holds no {' and no '.join(unsaid)}: {', and '.join(taken[each] for each in unsaid)} were taken"
    return [sentence + ("." if has_spacing else "; every length and volume hangs on that.")]
