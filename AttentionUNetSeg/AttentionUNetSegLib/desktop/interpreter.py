"""Which Python runs the worker, and the environment it starts from."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import slicer

from ..worker.launch import WorkerCommand, worker_command
from . import settings

ENVIRONMENT_VARIABLE = "ATTENTIONUNETSEG_PYTHON"


def other_interpreter() -> str:
    """Return the Python that was chosen instead of Slicer's own, or ""; the environment variable comes first."""
    return os.environ.get(ENVIRONMENT_VARIABLE) or settings.interpreter()


def interpreter_command() -> WorkerCommand:
    """Return how to start the worker with the Python that is chosen now.

    Another Python than Slicer's own starts from the environment that Slicer was started from: Slicer's library
    paths would make it load Slicer's Qt, HDF5 and Python modules.
    """
    chosen = other_interpreter()
    if chosen and not _is_slicers_own(chosen):
        return worker_command(chosen, inherited=slicer.util.startupEnvironment())
    return worker_command(slicer_python())


def slicer_python() -> str:
    """Return Slicer's own interpreter: the PythonSlicer launcher, which sets up the libraries it needs."""
    beside_slicer = str(Path(slicer.app.slicerHome) / "bin")
    return shutil.which("PythonSlicer") or shutil.which("PythonSlicer", path=beside_slicer) or sys.executable


def has_torch() -> bool:
    """Whether a run can be tried: Slicer's Python has PyTorch, or another Python is chosen (it says itself)."""
    return bool(other_interpreter()) or importlib.util.find_spec("torch") is not None


def _is_slicers_own(program: str) -> bool:
    own = {Path(each).resolve() for each in (slicer_python(), sys.executable)}
    return Path(program).resolve() in own
