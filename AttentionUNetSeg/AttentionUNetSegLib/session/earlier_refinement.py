"""What "Refine with the network" of an earlier version left in a scene: it stays in the result; nothing makes it anew.

Earlier versions could adapt the network to clicks, which brought no gain and was removed (Documentation/measured.md).
Clicks act on a refined result as they did: the change that the adapted network made to the log odds of its own
probability adds up with theirs, as long as all clicks that it was adapted to are there, at the same reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..contracts import Click
from ..errors import BadInput

if TYPE_CHECKING:
    from ..correction import Seed
    from ..scene import CroppedField, ResultNodes

Box = tuple[slice, slice, slice]
ADAPTED_TO = "refined_for"
NOTICE = (
    "An earlier version refined this result with the network. That tool was removed, because it brought no gain. The "
    "result stays as it was, and so do its attention volumes; the network's own are those named “not refined”. Moving "
    "the clicks of then, taking them back or changing their reach leaves the refinement out."
)


@dataclass(frozen=True)
class EarlierRefinement:
    """The probability of a network that was adapted to clicks.

    Attributes
    ----------
    probability : on the CT's voxels.
    clicks, reach_mm : what the network was adapted to.
    """

    probability: CroppedField
    clicks: tuple[Click, ...]
    reach_mm: float

    def counts_for(self, clicks: Sequence[Click], reach_mm: float) -> bool:
        """Whether all clicks that it was made for are among these. Others may have come since."""
        return reach_mm == self.reach_mm and all(any(own.is_same(other) for other in clicks) for own in self.clicks)

    def moved_by(self, matrix: np.ndarray) -> EarlierRefinement:
        """Return the same with its clicks moved by a 4x4 matrix: the frame that they are in has changed."""
        return replace(self, clicks=tuple(click.moved_by(matrix) for click in self.clicks))

    def added_to(
        self,
        corrected: np.ndarray,
        network: np.ndarray,
        box: Box,
        seeds: Iterable[Seed],
        strokes: np.ndarray | None,
        walls: np.ndarray | None,
    ) -> np.ndarray:
        """Return the corrected probability (uint8, on a box of the CT) with the refinement added.

        Clicked and painted voxels stay as clicks and strokes made them, and walls as they are.

        Parameters
        ----------
        network : the network's own probability; uint8, as all here on the box.
        seeds : the clicks and marks, on the CT's voxels.
        strokes : not 0 where somebody painted or erased.
        walls : bool, where nothing is added.
        """
        from ..correction.log_odds import LOG_ODDS, stored_probability

        refined = self.probability.on(box)
        changed = refined != network
        if strokes is not None:
            changed &= strokes == 0
        if walls is not None:
            changed &= ~walls
        for seed in seeds:
            changed[tuple((seed.voxels - [part.start for part in box]).T)] = False
        alone, both = changed & (corrected == network), changed & (corrected != network)
        joined = corrected.copy()
        joined[alone] = refined[alone]
        log_odds = LOG_ODDS[corrected[both]] + LOG_ODDS[refined[both]] - LOG_ODDS[network[both]]
        joined[both] = stored_probability(log_odds)
        return joined


def read_earlier_refinement(nodes: ResultNodes) -> EarlierRefinement | None:
    """Return the refinement that the scene holds; None where there is none, or none that can be used."""
    from ..scene import read_field
    from ..scene.provenance import read

    node = nodes.refined
    made_for = None if node is None else read(node, ADAPTED_TO)
    if made_for is None:
        return None
    try:
        fields = json.loads(made_for)
        clicks = tuple(Click(int(order), tuple(ras), bool(positive)) for order, ras, positive in fields["clicks"])
        field = read_field(node, nodes.volume)
        return EarlierRefinement(replace(field, values=field.values.copy()), clicks, float(fields["reach_mm"]))
    except (BadInput, KeyError, TypeError, ValueError):  # the CT was resampled, or the scene was changed by hand
        return None


def note_movement(nodes: ResultNodes, refinement: EarlierRefinement) -> None:
    """Write where the clicks are that the scene's refinement is for, after they were moved."""
    from ..scene.provenance import write

    clicks = [(click.order, click.ras, click.positive) for click in refinement.clicks]
    if nodes.refined is not None:
        write(nodes.refined, ADAPTED_TO, json.dumps({"clicks": clicks, "reach_mm": refinement.reach_mm}))
