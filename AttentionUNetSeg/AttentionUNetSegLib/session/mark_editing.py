"""Strokes, lassos and boxes that teach, and walls: what `ResultEditor` takes beside single clicks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..contracts import Position
from ..errors import BadInput

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsROINode

    from ..scene import CroppedField, Mark, ResultNodes
    from .history import History, Step

MOST_POINTS = 5000


class MarkEditing:
    """The part of `ResultEditor` that is about marks and walls; what it needs of the rest is declared here."""

    nodes: ResultNodes
    _history: History

    if TYPE_CHECKING:

        @property
        def _step(self) -> Step: ...
        def _require_scene(self) -> bool: ...
        def _require_place(self) -> None: ...
        def _append(self, step: Step) -> None: ...
        def _apply(self, step: Step) -> None: ...
        def absorb_strokes(self) -> bool: ...  # noqa: D102

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The strokes, lassos and boxes that teach, in the order in which they were made."""
        return self._step.marks

    @property
    def is_corrected(self) -> bool:
        """Whether clicks, marks or strokes count now."""
        return bool(self._step.clicks or self._step.marks or self._step.strokes is not None)

    def add_stroke(self, positions_ras_world: Sequence[Position], positive: bool, radius_mm: float = 0.0) -> str:
        """Add tissue, or remove it, along a line through world RAS positions in mm; return the mark's id.

        It acts as a row of clicks would, from all of its voxels at once; these themselves are certain.

        Raises
        ------
        BadInput : it lies outside the CT, CT and result lie apart, or the result is no longer in the scene. Nothing has
            changed then.
        """
        if not 0.0 <= radius_mm <= 50.0:
            raise BadInput(f"The stroke's radius of {radius_mm:g} mm is not between 0 and 50 mm.")
        return self._add_mark("stroke", positions_ras_world, positive, radius_mm)

    def add_lasso(self, positions_ras_world: Sequence[Position], positive: bool) -> str:
        """Add what a closed line around a missed part means, or remove all that it encloses; as `add_stroke`.

        The line lies in one plane. Where it adds, what looks otherwise than along the line is meant.
        """
        return self._add_mark("lasso", positions_ras_world, positive)

    def add_box(self, corner: Position, opposite: Position, positive: bool) -> str:
        """Do the same in a box along the CT's axes; nothing changes outside of it."""
        return self._add_mark("box", (corner, opposite), positive)

    def add_region(self, region: vtkMRMLMarkupsROINode, positive: bool) -> str:
        """Do as `add_box` in the smallest box along the CT's axes that holds an ROI; raises as `add_stroke`."""
        from ..scene import world_position_of_voxel
        from ..scene.geometry import box_of_region

        self._require_scene()
        self._require_place()
        box = box_of_region(self.nodes.volume, region)
        first, last = (world_position_of_voxel(self.nodes, [side[end] - end for side in box]) for end in (0, 1))
        return self.add_box(first, last, positive)

    def remove_mark(self, id: str) -> None:
        """Take one mark back, whichever it is; raises BadInput where there is no such mark."""
        self._require_scene()
        left = tuple(mark for mark in self._step.marks if str(mark.order) != id)
        if len(left) == len(self._step.marks):
            raise BadInput(f"There is no stroke {id} to remove.", "It may have been undone.")
        self.absorb_strokes()
        self._append(replace(self._step, marks=left, moved=0))

    @property
    def strokes_teach(self) -> bool:
        """Whether what is painted and erased from now on acts beyond its own voxels too, as clicks do."""
        from ..scene.provenance import read

        return read(self.nodes.segmentation, "strokes_teach") == "true"

    @strokes_teach.setter
    def strokes_teach(self, value: bool) -> None:
        from ..scene.provenance import write

        self._require_scene()
        self.absorb_strokes()  # what was painted before was not meant to
        write(self.nodes.segmentation, "strokes_teach", str(bool(value)).lower())

    @property
    def walls(self) -> tuple[str, ...]:
        """IDs of the segments of the result's node that clicks and strokes do not enter. Setting applies them anew.

        Undo and redo go through it too.

        Raises
        ------
        BadInput : there is no such segment, or it is the result's own.
        """
        from ..scene import read_walls

        return read_walls(self.nodes)

    @walls.setter
    def walls(self, segment_ids: Iterable[str]) -> None:
        from ..scene import write_walls

        self._require_scene()
        wanted, before = tuple(segment_ids), self.walls
        if wanted == before:
            return
        self.absorb_strokes()
        write_walls(self.nodes, wanted)  # refuses what is no segment, or the result's own
        try:
            self._append(replace(self._step, walls=wanted, moved=0))
        except BaseException:
            write_walls(self.nodes, before)
            raise

    def _add_mark(self, kind: str, positions: Sequence[Position], positive: bool, radius_mm: float = 0.0) -> str:
        import slicer

        from ..scene import Mark, indices_of
        from ..scene.marks import spacing_of

        self._require_scene()
        self._require_place()
        if len(positions) > MOST_POINTS:
            raise BadInput(f"A line of {len(positions)} points is too long.", f"Give at most {MOST_POINTS}.")
        # As the scene keeps them, so that a loaded one goes on with the same.
        points = tuple(map(tuple, np.round(indices_of(self.nodes, positions), 2).tolist()))
        mark = Mark(self._history.last_order + 1, kind, positive, points, radius_mm)
        mark.seed(slicer.util.arrayFromVolume(self.nodes.volume), spacing_of(self.nodes.volume))  # refuses it, or not
        self.absorb_strokes()
        mark = replace(mark, order=self._history.last_order + 1)
        self._append(replace(self._step, marks=(*self._step.marks, mark), moved=0))
        return str(mark.order)

    def _taught_by(self, strokes: CroppedField) -> tuple[Mark, ...]:
        """Return the marks that new strokes are; none where strokes do not teach."""
        from ..correction import BACKGROUND, FOREGROUND, one_per_block
        from ..scene import Mark, joined_box
        from ..scene.marks import PAINTED, spacing_of

        if not self.strokes_teach:
            return ()
        stored = self._step.strokes
        box = strokes.box if stored is None else joined_box(strokes.box, stored.box)
        now = strokes.on(box)
        is_new = now != 0 if stored is None else now != stored.on(box)
        marks: list[Mark] = []
        for value in (FOREGROUND, BACKGROUND):
            voxels = np.argwhere(is_new & (now == value)) + [part.start for part in box]
            if len(voxels):
                points = one_per_block(voxels, spacing_of(self.nodes.volume)).astype(float).tolist()
                order = self._history.last_order + 1 + len(marks)
                marks.append(Mark(order, PAINTED, value == FOREGROUND, tuple(map(tuple, points))))
        return tuple(marks)
