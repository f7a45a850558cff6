"""What a person has to know of a model before using it, in one line; the rest is its card."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..models import ModelPackage, model_card


def model_line(package: ModelPackage) -> str:
    """Return for what it is, how well it measured, against what and on how many: what matters most comes first."""
    purpose = _("Phantoms only") if package.is_phantom_only else _("Abdominal CT")
    entry = _foremost(package.manifest["performance"])
    if entry is None:
        return _("{purpose} · nothing was measured").format(purpose=purpose)
    against = entry.get("labels_by") or (_("phantoms") if "phantom" in entry["data"].lower() else _("its test set"))
    return _("{purpose} · {metric} {mean:.2g} against {labels}, n = {n}").format(
        purpose=purpose, metric=entry["metric"], mean=entry["mean"], labels=against.partition(" (")[0], n=entry["n"]
    )


def show_card(package: ModelPackage) -> Any:
    """Open a window with all about a model, beside which Slicer goes on; return it."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setModal(False)
    box.text = f"{package.name} {package.version}"
    box.informativeText = f"{package.intended_use}\n\n{package.manifest['limitations']}"
    box.detailedText = model_card(package)
    box.show()
    return box


def _foremost(performance: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the overlap with labels of real scans where there is one, or else the first overlap, or else the first."""
    overlaps = [entry for entry in performance if entry["metric"] == "Dice"]
    real = [entry for entry in overlaps if "labels_by" in entry]
    return next(iter([*real, *overlaps, *performance]), None)
