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
