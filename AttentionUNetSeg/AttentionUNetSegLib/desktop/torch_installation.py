"""Installing PyTorch into Slicer's Python: only after a person agreed, and only through the PyTorch extension."""

from __future__ import annotations

import importlib

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, InternalError
from .interpreter import has_torch

TORCH_REQUIREMENT = ">=2.2"


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
    if slicer.app.testingEnabled():
        raise InternalError(
            _("PyTorch is not installed, and nothing is installed while Slicer runs tests."),
            _("Choose a Python that has it."),
        )
    try:
        torch_utilities = importlib.import_module("PyTorchUtils")
    except ImportError:
        raise InternalError(
            _("PyTorch is missing, and so is the PyTorch extension that installs it."),
            _("Install the extension PyTorch in the Extensions Manager and restart Slicer, or choose another Python "
              "under Advanced."),
        ) from None  # fmt: skip
    if not slicer.util.confirmOkCancelDisplay(question(), _("Install PyTorch?")):
        raise Cancelled(_("PyTorch was not installed, so nothing was segmented."), _("Retry asks again."))
    try:
        with slicer.util.WaitCursor():
            torch_utilities.PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT
            )
    except Exception as error:
        raise InternalError(
            _("PyTorch could not be installed ({error}).").format(error=" ".join(str(error).split())[:300]),
            _("Check the internet connection and the free disk space, then retry."),
        ) from error
    importlib.invalidate_caches()
    if not has_torch():
        raise InternalError(_("PyTorch was installed, but Slicer does not find it."), _("Restart Slicer and retry."))


def question() -> str:
    """What the person is asked before anything is downloaded."""
    return _(
        "The network that finds the pancreas runs with PyTorch, which is not part of Slicer.\n\n"
        "Slicer's PyTorch extension would now download and install it: about 250 MB for the processor alone, 2 to 3 GB "
        "with an NVIDIA graphics card. It takes some minutes, happens once, and Slicer does not respond meanwhile.\n\n"
        "Your images stay on this computer. Install PyTorch now?"
    )
