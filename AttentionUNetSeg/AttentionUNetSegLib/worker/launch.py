"""The command line, environment and folder that start a worker, for every transport alike."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class WorkerCommand:
    """What to start: program and arguments, the complete environment, and the folder to start in."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: str


def worker_command(
    python: str | os.PathLike[str] | None = None, inherited: Mapping[str, str] | None = None
) -> WorkerCommand:
    """Return how to start the worker of this very package with `python` (default: the running interpreter).

    The package need not be installed: its parent folder goes on the child's PYTHONPATH, unless the child
    finds it among its installed packages anyway (those must not come before the standard library). The child
    starts in the package's own folder, so that no file in the person's current folder can pass for a module.

    `inherited` is the environment that the child starts from, by default this process's own. Inside an
    application that brings its own Python and libraries (Slicer), another Python needs the one from before it.
    """
    program = os.fspath(python or sys.executable)
    base = os.environ if inherited is None else inherited
    left_out = ("PYTHONINSPECT", "PYTHONSTARTUP")
    environment = {name: value for name, value in base.items() if name not in left_out}
    environment.update(PYTHONUTF8="1", PYTHONUNBUFFERED="1", PYTHONFAULTHANDLER="1", PYTHONSAFEPATH="1")
    # Threads that wait must sleep: beside a busy Slicer, OpenMP's busy waiting makes small layers ten times slower.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not (program == sys.executable and _is_installed()):
        path = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_PACKAGE.parent), *([path] if path else [])])
    # The child looks for packages where we do: in the user's site only if we do.
    if inherited is None and not site.ENABLE_USER_SITE:
        environment["PYTHONNOUSERSITE"] = "1"
    return WorkerCommand((program, "-m", "AttentionUNetSegLib.worker"), environment, str(_PACKAGE))


def _is_installed() -> bool:
    folders = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
    return _PACKAGE.parent in [Path(folder).resolve() for folder in folders]
