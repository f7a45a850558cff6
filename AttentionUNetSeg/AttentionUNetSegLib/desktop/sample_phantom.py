"""A synthetic abdominal CT as sample data: made on this computer, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import slicer

from ..errors import AttentionUNetSegError, CannotWrite, InternalError
from ..imaging import Volume, read_volume
from ..scene import add_volume
from ..temporary_folder import make_folder
from ..worker.transport import ProcessExit, worker_command
from .interpreter import slicer_python
from .processes import AnsweringProcess

SAMPLE_NAME = "AbdomenPhantom"
# Coarser than a usual CT: made within seconds, and the phantom model works at 3 mm anyway.
_SPACING_MM = (2.0, 2.0, 3.0)
_SEED = 7


def add_phantom(scene: slicer.vtkMRMLScene, seed: int = _SEED) -> slicer.vtkMRMLScalarVolumeNode:
    """Make a phantom and add it to the scene, marked as one. Takes some seconds, in which nothing else happens."""
    from ..phantom import make_phantom

    phantom = make_phantom(seed, _SPACING_MM)
    return add_volume(scene, Volume(phantom.ct, SAMPLE_NAME, is_phantom=True))


def show_phantom(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """Add the phantom and lay it behind all slice views; the cursor says that it takes a while."""
    with slicer.util.WaitCursor():
        node = add_phantom(scene)
        slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


class PhantomMaking:
    """Makes the same phantom in a process of its own, while Slicer goes on.

    Parameters
    ----------
    scene : where the phantom is added.
    on_end : called once with the new volume node, or with an error; never after `cancel`.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        on_end: Callable[[slicer.vtkMRMLScalarVolumeNode | AttentionUNetSegError], None],
    ) -> None:
        self._scene, self._on_end = scene, on_end
        self._folder: Path  # made by `start`
        self._running: AnsweringProcess | None = None

    def start(self) -> None:
        """Start the process.

        Raises
        ------
        CannotWrite : there is no place for temporary files.
        """
        try:
            self._folder = make_folder("phantom")
        except OSError as error:
            raise CannotWrite(f"The phantom's folder cannot be made ({error}).") from error
        worker = worker_command(slicer_python())
        program = [worker.arguments[0], "-m", "AttentionUNetSegLib.desktop.phantom_process"]
        spacing = ",".join(str(each) for each in _SPACING_MM)
        command = replace(worker, arguments=(*program, str(self._path), str(_SEED), spacing))
        self._running = AnsweringProcess(command, self._take, self._folder)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda outcome: None
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, _said: str, last_words: str) -> None:
        """Bring the phantom into the scene, or tell why there is none."""
        self._on_end(self._outcome(exit, last_words))

    # --- helpers ---

    @property
    def _path(self) -> Path:
        return self._folder / f"{SAMPLE_NAME}.nrrd"

    def _outcome(self, exit: ProcessExit, last_words: str) -> slicer.vtkMRMLScalarVolumeNode | AttentionUNetSegError:
        if exit.code != 0:
            reason = ": ".join(part for part in (exit.describe(), last_words) if part)
            return InternalError(f"The phantom could not be made ({reason}).")
        try:
            volume = read_volume(self._path)
        except AttentionUNetSegError as error:
            return error
        return add_volume(self._scene, replace(volume, name=SAMPLE_NAME))
