"""What was done to a result, step by step: for undo and redo, and kept in the scene so that it outlives saving.

Every step holds all clicks and strokes, so going to a step is a replay from the network's own probability.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts import Click

if TYPE_CHECKING:
    from ..scene import CroppedField, Mark, ResultNodes

STEPS_KEPT = 200
# In the scene file, as text; the oldest steps are left out beyond it. Strokes of one step take some thousand.
BYTES_KEPT = 400_000
ATTRIBUTE = "history"


@dataclass(frozen=True)
class Step:
    """Everything that undo brings back. Fields are never changed in place."""

    clicks: tuple[Click, ...]
    strokes: CroppedField | None
    moved: int = 0  # order number of the click that this step moved, if that is all it did
    marks: tuple[Mark, ...] = ()
    walls: tuple[str, ...] = ()  # IDs of segments


class History:
    """The steps of one result and which of them counts now."""

    def __init__(self, steps: Sequence[Step], current: int = 0) -> None:
        self._steps, self._current = list(steps), current
        # Strokes as text, with the strokes themselves, whose place in memory is the key: each is packed once.
        self._packed: dict[int, tuple[CroppedField, dict[str, Any]]] = {}

    @property
    def step(self) -> Step:
        """The step that counts now."""
        return self._steps[self._current]

    @property
    def last_order(self) -> int:
        """The highest order number that any click or mark of any step has; 0 without any."""
        clicks = (click.order for step in self._steps for click in step.clicks)
        marks = (mark.order for step in self._steps for mark in step.marks)
        return max((*clicks, *marks), default=0)

    def at(self, distance: int) -> Step | None:
        """The step so many steps later (or earlier, if negative); None where there is none."""
        index = self._current + distance
        return self._steps[index] if 0 <= index < len(self._steps) else None

    def go(self, distance: int) -> None:
        """Let the step at this distance count."""
        self._current += distance

    def append(self, step: Step) -> None:
        """Let a new step count, in place of those that were undone."""
        self._steps[self._current + 1 :] = [step]
        del self._steps[:-STEPS_KEPT]
        self._current = len(self._steps) - 1

    def replace(self, step: Step, drop_undone: bool = False) -> None:
        """Put a step in the place of the present one."""
        self._steps[self._current] = step
        if drop_undone:
            del self._steps[self._current + 1 :]

    def moved_by(self, matrix: np.ndarray) -> History:
        """Return the same history with all clicks moved by a 4x4 matrix: the frame that they are in has changed."""

        def moved_step(step: Step) -> Step:
            return replace(step, clicks=tuple(click.moved_by(matrix) for click in step.clicks))

        return History([moved_step(step) for step in self._steps], self._current)

    def write(self, nodes: ResultNodes) -> None:
        """Keep the history on the result's segmentation."""
        from ..scene.provenance import write

        first = max(0, self._current - STEPS_KEPT // 2)
        text = self._as_text(first)
        while len(text) > BYTES_KEPT and first < self._current:
            first = (first + self._current + 1) // 2
            text = self._as_text(first)
        write(nodes.segmentation, ATTRIBUTE, text)

    def _as_text(self, first: int) -> str:
        from ..scene.marks import listed

        strokes: dict[int, CroppedField] = {}
        marks: dict[int, Mark] = {}
        steps = []
        for step in self._steps[first:]:
            if step.strokes is not None:
                strokes[id(step.strokes)] = step.strokes
            clicks = [[click.order, list(click.ras), click.positive] for click in step.clicks]
            place = None if step.strokes is None else list(strokes).index(id(step.strokes))
            kept: dict[str, Any] = {"clicks": clicks, "strokes": place, "moved": step.moved}
            if step.marks:
                marks.update((id(mark), mark) for mark in step.marks)
                kept["marks"] = [list(marks).index(id(mark)) for mark in step.marks]
            if step.walls:
                kept["walls"] = list(step.walls)
            steps.append(kept)
        self._packed = {key: self._packed.get(key) or (field, _packed(field)) for key, field in strokes.items()}
        fields = [packed for _, packed in self._packed.values()]
        history = {"current": self._current - first, "steps": steps, "strokes": fields}
        if marks:
            history["marks"] = listed(tuple(marks.values()))
        return json.dumps(history, separators=(",", ":"))


def read_history(nodes: ResultNodes) -> History:
    """Return the history that the scene holds; only the present state where it holds none, or one of another state."""
    from ..scene import read_clicks, read_marks, read_strokes, read_walls
    from ..scene.provenance import read

    strokes = read_strokes(nodes)
    # A copy: the node's own voxels change when strokes are written.
    strokes = None if strokes is None else replace(strokes, values=strokes.values.copy())
    present = Step(read_clicks(nodes), strokes, marks=read_marks(nodes), walls=read_walls(nodes))
    try:
        kept = json.loads(read(nodes.segmentation, ATTRIBUTE) or "null")
        history = None if kept is None else _unpacked_history(kept)
    except (AttributeError, ValueError, KeyError, TypeError, IndexError, zlib.error):
        history = None  # written by another version, or by hand
    if history is None or not _is_same(history.step, present):
        return History([present])
    history.replace(replace(history.step, strokes=present.strokes, walls=present.walls))
    return history


def _unpacked_history(kept: dict[str, Any]) -> History:
    from ..scene.marks import marks_of

    marks = marks_of(kept.get("marks", []))
    strokes = [_unpacked(field) for field in kept["strokes"]]
    steps = [
        Step(
            tuple(Click(int(order), tuple(ras), bool(positive)) for order, ras, positive in step["clicks"]),
            None if step["strokes"] is None else strokes[step["strokes"]],
            int(step["moved"]),
            tuple(marks[n] for n in step.get("marks", [])),
            tuple(map(str, step.get("walls", []))),
        )
        for step in kept["steps"]
    ]
    if not 0 <= kept["current"] < len(steps):
        raise IndexError("The present step is none of the steps.")
    return History(steps, kept["current"])


def _is_same(one: Step, other: Step) -> bool:
    clicks = len(one.clicks) == len(other.clicks) and all(
        a.is_same(b) for a, b in zip(one.clicks, other.clicks, strict=True)
    )
    clicks = clicks and one.marks == other.marks
    if one.strokes is None or other.strokes is None:
        return clicks and one.strokes is other.strokes
    same_box = one.strokes.start == other.strokes.start and one.strokes.values.shape == other.strokes.values.shape
    return clicks and same_box and np.array_equal(one.strokes.values, other.strokes.values)


def _packed(field: CroppedField) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(field.values).tobytes(), 1)).decode("ascii")
    return {"start": [int(n) for n in field.start], "shape": list(field.values.shape), "data": data}


def _unpacked(kept: dict[str, Any]) -> CroppedField:
    from ..scene import CroppedField

    k, j, i = (int(n) for n in kept["start"])
    shape = tuple(int(n) for n in kept["shape"])
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(base64.b64decode(kept["data"]), int(np.prod(shape)) + 1)  # no bombs
    return CroppedField((k, j, i), np.frombuffer(data, np.uint8).reshape(shape).copy())
