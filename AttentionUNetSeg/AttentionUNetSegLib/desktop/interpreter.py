"""What belongs to this computer and not to a scene: settings, the Python that runs the worker, what is installed in it.

Nothing is installed before a person has agreed, and PyTorch only through the PyTorch extension.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, InternalError
from ..worker.transport import WorkerCommand, worker_command

ENVIRONMENT_VARIABLE = "ATTENTIONUNETSEG_PYTHON"
TORCH_REQUIREMENT = ">=2.2"
_INTERPRETER = "AttentionUNetSeg/Interpreter"
_KEEP_WORKER_WARM = "AttentionUNetSeg/KeepWorkerWarm"


def other_interpreter() -> str:
    """Return the Python that was chosen instead of Slicer's own, or ""; the environment variable comes first."""
    return os.environ.get(ENVIRONMENT_VARIABLE) or chosen_interpreter()


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


def ensure_torch() -> None:
    """Return at once where PyTorch is there (or another Python is chosen); otherwise ask, then install it.

    Never call it but from a person's click.

    Raises
    ------
    Cancelled : the person declined.
    InternalError : PyTorch cannot be installed: no PyTorch extension, no network, or Slicer runs tests.
    """
    if has_torch():
        return
    try:
        torch_utilities = importlib.import_module("PyTorchUtils")
    except ImportError:
        raise InternalError(
            _("PyTorch is missing, and so is the PyTorch extension that installs it."),
            _("Install the extension PyTorch in the Extensions Manager and restart Slicer, or choose another Python "
              "under Advanced."),
        ) from None  # fmt: skip
    install_after_asking(
        "PyTorch",
        torch_question(),
        lambda: torch_utilities.PyTorchUtilsLogic().installTorch(
            askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT
        ),
        has_torch,
        _("PyTorch was not installed, so nothing was segmented."),
    )


def install_after_asking(
    name: str, question: str, install: Callable[[], object], is_there: Callable[[], bool], declined: str
) -> None:
    """Ask whether a library may be installed into Slicer's Python, and install it; `declined` is told otherwise.

    Raises
    ------
    Cancelled : the person declined.
    InternalError : it could not be installed, is not found afterwards, or Slicer runs tests, which install nothing.
    """
    if slicer.app.testingEnabled():
        raise InternalError(
            _("{name} is not installed, and nothing is installed while Slicer runs tests.").format(name=name),
            _("Choose a Python that has it."),
        )
    if not slicer.util.confirmOkCancelDisplay(question, _("Install {name}?").format(name=name)):
        raise Cancelled(declined, _("The next try asks again."))
    try:
        with slicer.util.WaitCursor():
            install()
    except Exception as error:
        raise InternalError(
            _("{name} could not be installed ({error}).").format(name=name, error=" ".join(str(error).split())[:300]),
            _("Check the internet connection and the free disk space, then try again."),
        ) from error
    importlib.invalidate_caches()
    if not is_there():
        text = _("{name} was installed, but Slicer does not find it.").format(name=name)
        raise InternalError(text, _("Restart Slicer and try again."))


def torch_question() -> str:
    """What the person is asked before anything is downloaded."""
    return _(
        "The network that finds the pancreas runs with PyTorch, which is not part of Slicer.\n\n"
        "Slicer's PyTorch extension would now download and install it: about 250 MB for the processor alone, 2 to 3 GB "
        "with an NVIDIA graphics card. It takes some minutes, happens once, and Slicer does not respond meanwhile.\n\n"
        "Your images stay on this computer. Install PyTorch now?"
    )


def chosen_interpreter() -> str:
    """The Python that runs the worker; "" for Slicer's own."""
    return str(slicer.util.settingsValue(_INTERPRETER, "") or "")


def set_interpreter(path: str) -> None:
    """Remember the Python that runs the worker; "" for Slicer's own."""
    qt.QSettings().setValue(_INTERPRETER, path)


def keep_worker_warm() -> bool:
    """Whether the worker stays after the last run."""
    return bool(slicer.util.settingsValue(_KEEP_WORKER_WARM, True, converter=slicer.util.toBool))


def set_keep_worker_warm(keep: bool) -> None:
    """Remember whether the worker stays after the last run."""
    qt.QSettings().setValue(_KEEP_WORKER_WARM, keep)


def _is_slicers_own(program: str) -> bool:
    own = {Path(each).resolve() for each in (slicer_python(), sys.executable)}
    return Path(program).resolve() in own
