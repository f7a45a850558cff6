"""The measurements of the segment: made when asked for, beside the event loop, and marked old by any change."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

from ..errors import BadInput, CannotWrite
from ..measure import Measurements, Quantity, measure_masks
from ..scene import masks_of_result, measurement_table, state_of_segment
from .background import in_background
from .workspace import Workspace

NONE, WORKING, READY, OLD = "", "working", "ready", "old"


class GlandNumbers:
    """Measures the workspace's result, one time after the other.

    State: `numbers`, rows of a table (key, name, value, range); `numbers_notes`, sentences; `numbers_state` ("",
    "working", "ready", "old": the segment has changed since).
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._measured: Measurements | None = None
        self._about: str | None = None
        self._lock = asyncio.Lock()
        workspace.server.state.update({"numbers": [], "numbers_notes": [], "numbers_state": NONE})
        workspace.server.controller.add("measure")(self.measure)

    def forget(self) -> None:
        """There is another result, or none."""
        self._measured = self._about = None
        self._workspace.show(numbers=[], numbers_notes=[], numbers_state=NONE)

    def compare(self) -> None:
        """Mark the numbers as old where the segment is no longer the measured one, and as good where it is again."""
        state = self._workspace.server.state.numbers_state
        if state in (READY, OLD) and self._workspace.result is not None:
            now = READY if self._about == _state(self._workspace) else OLD
            if now != state:
                self._workspace.show(numbers_state=now)

    def measure(self) -> None:
        """Measure the segment as it is now, in the background."""
        self._workspace.start(self._measure())

    async def current(self) -> Measurements:
        """Return the numbers of the segment as it is now, measured anew where need be.

        Raises
        ------
        BadInput : there is no result, or it was changed while it was measured.
        """
        self._workspace.require_result()
        async with self._lock:
            if self._measured is None or self._about != _state(self._workspace):
                await self._measure_now()
            if self._measured is None or self._workspace.server.state.numbers_state != READY:
                raise BadInput("The segment was changed while it was measured.", "Try again.")
            return self._measured

    async def _measure(self) -> None:
        if self._workspace.result is not None and not self._lock.locked():
            async with self._lock:
                await self._measure_now()

    async def _measure_now(self) -> None:
        workspace, nodes = self._workspace, self._workspace.require_result()
        before = workspace.server.state.numbers_state
        workspace.show(numbers_state=WORKING)
        try:
            await workspace.breathe()
            state, given = _state(workspace), masks_of_result(nodes)
            measured = await in_background(measure_masks, *given)
        except BaseException:
            workspace.show(numbers_state=OLD if before in (READY, OLD) else NONE)
            raise
        if workspace.result is not nodes:
            return  # another CT or result has come, and forgot about this one
        self._measured, self._about = measured, state
        measurement_table(nodes, measured, state)
        workspace.show(
            numbers=[_row(each) for each in measured], numbers_notes=list(measured.sentences), numbers_state=READY
        )
        self.compare()


def write_numbers(measured: Measurements, about: dict[str, Any], path: Path) -> None:
    """Write measurements as .json (everything, below `about`) or .csv (a quantity a line).

    Raises
    ------
    CannotWrite : the file cannot be written.
    """
    try:
        if path.suffix == ".json":
            text = json.dumps({**about, "measurements": measured.as_json()}, indent=2)
            path.write_text(text + "\n", encoding="utf-8")
            return
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["key", "name", "value", "low", "high", "unit"])
            for each in measured:
                writer.writerow([each.key, each.name, each.value, each.low, each.high, each.printed_unit])
    except OSError as error:
        raise CannotWrite(f"The measurements cannot be written ({error.strerror}).") from error


def _state(workspace: Workspace) -> str | None:
    return None if workspace.result is None else state_of_segment(workspace.result)


def _row(quantity: Quantity) -> dict[str, str]:
    value, unit = quantity.value, quantity.printed_unit
    text = "–" if value is None else f"{value:.3g} {unit}".strip()
    is_ranged = quantity.low is not None and quantity.high is not None
    return {
        "key": quantity.key,
        "name": quantity.name,
        "value": text,
        "range": f"{quantity.low:.3g} to {quantity.high:.3g}" if is_ranged else "",
    }
