"""Measuring a result in a process of its own: masks and CT go out in a folder, the numbers come back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import AttentionUNetSegError, BadInput, InternalError
from ..measure import Measurements
from ..measure.apart import write_masks
from ..scene import ResultNodes, masks_of_result, measurement_table, state_of_segment
from ..temporary_folder import make_folder
from ..worker.launch import worker_command
from ..worker.transport import ProcessExit
from .answering_process import AnsweringProcess
from .interpreter import slicer_python


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
        self._state = ""
        self._running: AnsweringProcess | None = None

    def start(self) -> None:
        """Start the process.

        Raises
        ------
        BadInput : the result cannot be measured (see `scene.measure_result`).
        InternalError : there is no place for temporary files.
        """
        self._state = state_of_segment(self.nodes)
        masks = masks_of_result(self.nodes)
        used = folder_with(lambda folder: write_masks(*masks, folder))
        worker = worker_command(slicer_python())
        arguments = (worker.arguments[0], "-m", "AttentionUNetSegLib.measure", str(used))
        self._running = AnsweringProcess(replace(worker, arguments=arguments), self._take, used)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda error: None
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, said: str, last_words: str) -> None:
        try:
            error = None
            measurements = _measurements_of(exit, said, last_words)
            if self.nodes.segmentation.GetScene() is None:
                raise BadInput("The result was removed from the scene while it was being measured.")
            measurement_table(self.nodes, measurements, self._state)
        except AttentionUNetSegError as raised:
            error = raised
        self._on_end(error)


def folder_with(write: Callable[[Path], None]) -> Path:
    """Return a new temporary folder that `write` has filled.

    Raises
    ------
    InternalError : there is no place for it.
    """
    folder = None
    try:
        folder = make_folder("measure")
        write(folder)
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise InternalError(f"There is no place for temporary files ({error}).", "Free some disk space.") from error
    return folder


def _measurements_of(exit: ProcessExit, said: str, last_words: str) -> Measurements:
    try:
        answer = json.loads(said)
        if "error" not in answer:
            return Measurements.of_json(answer)
    except (ValueError, KeyError, TypeError):
        reason = ": ".join(part for part in (exit.describe(), last_words) if part)
        raise InternalError(f"The segment could not be measured ({reason}).") from None
    raise BadInput(answer["error"])
