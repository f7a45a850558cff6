"""What belongs to this computer and not to a scene: kept in Slicer's application settings."""

from __future__ import annotations

import qt
import slicer

_INTERPRETER = "AttentionUNetSeg/Interpreter"
_KEEP_WORKER_WARM = "AttentionUNetSeg/KeepWorkerWarm"


def interpreter() -> str:
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
