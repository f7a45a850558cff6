"""What a click is to those who drive a session."""

from __future__ import annotations

from dataclasses import dataclass

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Click:
    """One click of a person.

    Attributes
    ----------
    id : names the click in the editor; it stays the same through moving, undo, saving and loading.
    position_ras_world : world RAS position in mm, parent transforms applied.
    positive : True adds tissue, False removes it.
    order : of two clicks on one voxel the one with the higher number counts.
    """

    id: str
    position_ras_world: Position
    positive: bool
    order: int
