"""The card of a model, in a window of its own."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from ..models import ModelPackage, model_card


def show_card(package: ModelPackage) -> Any:
    """Open a window with all about a model, beside which Slicer goes on; return it."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setModal(False)
    box.text = f"{package.name} {package.version}"
    box.informativeText = f"{package.intended_use}\n\n{package.manifest['limitations']}"
    box.detailedText = model_card(package)
    box.show()
    return box
