"""Measuring a result in a process of its own: masks and CT go out in a folder, numbers come back into a table node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import AttentionUNetSegError, BadInput, InternalError
from ..measure import Measurements
from ..scene import ResultNodes, measurement_table, write_measured_in_parts
from ..worker.transport import ProcessExit, worker_command
from .filled_folder import FilledFolder
from .interpreter import slicer_python
from .processes import AnsweringProcess


class Measuring:
    """One measurement. The table is about the segment as it was at the start, and old where that has changed since.

    Parameters
    ----------
    nodes : the result.
    on_end : called once with None, or with what went wrong; never after `cancel`.
    """

    def __init__(self, nodes: ResultNodes, on_end: Callable[[AttentionUNetSegError | None], None]) -> None:
        self.nodes = nodes
        self._on_end = on_end
        self._running: AnsweringProcess | None = None
        self._filling = FilledFolder(
            nodes, "measure", "measured", lambda folder: write_measured_in_parts(nodes, folder), self._measure, on_end
        )

    def start(self) -> None:
        """Begin; everything follows from Qt's event loop.

        Raises
        ------
        BadInput : the result cannot be measured (see `scene.measure_result`).
        CannotWrite : there is no place for temporary files.
        """
        self._filling.start()

    def _measure(self, used: Path) -> None:
        worker = worker_command(slicer_python())
        arguments = (worker.arguments[0], "-m", "AttentionUNetSegLib.measure", str(used))
        self._running = AnsweringProcess(replace(worker, arguments=arguments), self._take, used)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda error: None
        self._filling.cancel()
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, said: str, last_words: str) -> None:
        try:
            error = None
            measurements = _measurements_of(exit, said, last_words)
            if self.nodes.segmentation.GetScene() is None:
                raise BadInput("The result was removed from the scene before it was measured.")
            measurement_table(self.nodes, measurements, self._filling.state)
        except AttentionUNetSegError as raised:
            error = raised
        self._on_end(error)


def _measurements_of(exit: ProcessExit, said: str, last_words: str) -> Measurements:
    try:
        answer = json.loads(said)
        if "error" not in answer:
            return Measurements.of_json(answer)
    except (ValueError, KeyError, TypeError):
        reason = ": ".join(part for part in (exit.describe(), last_words) if part)
        raise InternalError(f"The segment could not be measured ({reason}).") from None
    raise BadInput(answer["error"])
