"""Which clicks are asked about before they act: into air, far from the segment, outside the ROI; for all front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..contracts import Click, Position
from ..errors import BadInput

if TYPE_CHECKING:
    from ..scene import CroppedField, ResultNodes

# No tissue of the abdomen is as dark: gas, the air around the patient, padding. Fat has -100 HU.
AIR_HU = -300.0
# An organ's missing part lies beside what was found. Further away most clicks are slips of the hand.
FAR_MM = 50.0
# A Remove click this far from the segment removes nothing.
BESIDE_MM = 5.0


class DoubtfulClick(BadInput):
    """A click that a person may not have meant; nothing has changed. `ResultEditor.apply_anyway` lets it act.

    Attributes
    ----------
    doubts : why, as sentences.
    position_ras_world, positive : where and which.
    id : of the click that was dragged there; None for a new one.
    """

    def __init__(self, kind: str, doubts: str, position_ras_world: Position, positive: bool, id: str | None) -> None:
        self.doubts = doubts
        text = f"The {kind} click was not applied. {doubts}"
        super().__init__(text, "Click again inside the organ, or let it act all the same.")
        self.position_ras_world, self.positive, self.id = position_ras_world, positive, id


def doubts_of_click(nodes: ResultNodes, click: Click) -> tuple[str, ...]:
    """Return why a person may not have meant a click, as sentences; none for an ordinary one.

    Raises
    ------
    BadInput : the click lies outside the CT.
    """
    import slicer

    from ..scene import voxel_of
    from ..scene.geometry import limits_of
    from ..scene.strokes import segment_on_ct

    k, j, i = voxel = voxel_of(nodes, click)
    doubts = []
    if click.positive:
        value = float(slicer.util.arrayFromVolume(nodes.volume)[k, j, i])
        if value < AIR_HU:
            doubts.append(f"There is air or padding ({value:.0f} HU), no tissue.")
        limits = limits_of(nodes)
        if limits is not None and not all(low <= n < end for n, (low, end) in zip((i, j, k), limits, strict=True)):
            doubts.append("This is outside the ROI that the result was limited to.")
    distance = _distance_mm(nodes, segment_on_ct(nodes), voxel)
    if distance is not None and click.positive and distance > FAR_MM:
        doubts.append(f"This is {distance:.0f} mm from the segment.")
    if distance is not None and not click.positive and distance > BESIDE_MM:
        doubts.append(f"There is nothing to remove: the segment is {distance:.0f} mm away.")
    return tuple(doubts)


def require_no_doubts(nodes: ResultNodes, click: Click, id: str | None) -> None:
    """Raise `DoubtfulClick` where a person should be asked first; `id` is that of a click that was dragged."""
    from ..scene import world_position

    doubts = doubts_of_click(nodes, click)
    if doubts:
        raise DoubtfulClick(click.kind, " ".join(doubts), world_position(nodes, click), click.positive, id)


def _distance_mm(nodes: ResultNodes, segment: CroppedField, voxel: tuple[int, int, int]) -> float | None:
    """Return how far a voxel is from the nearest one of the segment; None for an empty segment."""
    from ..scene.geometry import ct_grid

    to_ras = ct_grid(nodes)[:3, :3]
    lengths = np.linalg.norm(to_ras, axis=0)[::-1]
    place = np.array(voxel) - np.array(segment.start)
    # The nearest first: going through all voxels of a large segment takes longer than a person is ready to wait.
    for reach_mm in (BESIDE_MM, FAR_MM, np.inf):
        reach = [min(reach_mm / length, 1e6) for length in lengths]  # in voxels
        low = [max(0, int(n - more)) for n, more in zip(place, reach, strict=True)]
        high = [max(0, int(n + more) + 1) for n, more in zip(place, reach, strict=True)]
        inside = np.argwhere(segment.values[tuple(map(slice, low, high))]) + low
        if len(inside):
            distance = float(np.linalg.norm((inside - place)[:, ::-1] @ to_ras.T, axis=1).min())
            if distance <= reach_mm:
                return distance
    return None
