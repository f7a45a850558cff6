"""Device, Python, log, added models, versions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .. import __version__
from ..models import ModelPackage
from ..session import WorkerReady
from ..temporary_folder import kept_folders
from .interpreter import (
    ENVIRONMENT_VARIABLE,
    chosen_interpreter,
    keep_worker_warm,
    other_interpreter,
    set_interpreter,
    set_keep_worker_warm,
    slicer_python,
)
from .messages import Messages
from .parameters import Selection
from .runs import RunListener


class AdvancedSection(RunListener):
    """What most people never need.

    Parameters
    ----------
    package : returns the model that is chosen.
    on_models_changed : called when an added model was removed.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        selection: Selection,
        messages: Messages,
        package: Callable[[], ModelPackage | None],
        on_models_changed: Callable[[], None],
    ) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._package, self._on_models_changed = package, on_models_changed
        self._devices: list[str] = []
        self._is_filling = False
        overridden = os.environ.get(ENVIRONMENT_VARIABLE)
        ui.interpreterPathLineEdit.currentPath = overridden or chosen_interpreter()
        if overridden:
            ui.interpreterPathLineEdit.enabled = False
            ui.interpreterPathLineEdit.toolTip = _("Set by the environment variable {name}.").format(
                name=ENVIRONMENT_VARIABLE
            )
        ui.keepWorkerWarmCheckBox.checked = keep_worker_warm()
        ui.interpreterPathLineEdit.currentPathChanged.connect(self._on_interpreter)
        ui.keepWorkerWarmCheckBox.toggled.connect(set_keep_worker_warm)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._on_device)
        ui.copyLogButton.clicked.connect(self._on_copy_log)
        ui.openModelFolderButton.clicked.connect(self._on_open_folder)
        ui.removeModelButton.clicked.connect(self._on_remove_model)
        ui.openKeptFolderButton.clicked.connect(self._on_open_kept)
        ui.deleteKeptFoldersButton.clicked.connect(self._on_delete_kept)
        ui.advancedCollapsibleButton.toggled.connect(lambda _checked: self.show_kept_folders())
        self.show_kept_folders()
        ui.modelFolderValueLabel.text = str(self._logic.modelFolder())
        self.update()

    def update(self) -> None:
        """Show the devices and versions that are known now."""
        worker = self._logic.worker()
        found = dict(worker.devices) if worker is not None else {}
        names = {"auto": _("Automatic"), **found}
        names.setdefault("cpu", _("Processor (CPU)"))
        chosen = self._selection.parameters.device if self._selection.parameters is not None else "auto"
        names.setdefault(chosen, _("{device} (not found on this computer yet)").format(device=chosen))
        self._is_filling = True
        if list(names) != self._devices:
            self._devices = list(names)
            self._ui.deviceComboBox.clear()
            for name in names.values():
                self._ui.deviceComboBox.addItem(name)
        self._ui.deviceComboBox.setCurrentIndex(self._devices.index(chosen))
        self._is_filling = False
        self._ui.versionsLabel.text = self._versions()

    def show_kept_folders(self) -> None:
        """Show what was kept of failed runs, of earlier sessions too."""
        kept = kept_folders()
        self._ui.keptFoldersValueLabel.text = ", ".join(str(each) for each in reversed(kept)) or _("none")
        self._ui.keptFoldersValueLabel.toolTip = "\n".join(str(each) for each in kept) or _("Nothing was kept.")
        self._ui.openKeptFolderButton.enabled = self._ui.deleteKeptFoldersButton.enabled = bool(kept)

    # --- RunListener ---

    def on_log_line(self, text: str) -> None:
        """Append a line to the log."""
        self._ui.logText.appendPlainText(text)

    def on_worker_ready(self, event: WorkerReady) -> None:
        """Show the devices and versions that the worker has found."""
        self.update()

    # --- What the person does ---

    def _on_interpreter(self, path: str) -> None:
        set_interpreter(path.strip())
        self.update()

    def _on_device(self, index: int) -> None:
        if not self._is_filling and self._selection.parameters is not None and 0 <= index < len(self._devices):
            self._selection.parameters.device = self._devices[index]

    def _on_copy_log(self) -> None:
        text = "\n".join([self._versions(), self._settings(), "", self._ui.logText.plainText])
        slicer.app.clipboard().setText(text)

    def _on_open_folder(self) -> None:
        with self._messages.errors():
            folder = self._logic.modelFolder()
            folder.mkdir(parents=True, exist_ok=True)
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _on_open_kept(self) -> None:
        for folder in kept_folders()[-1:]:  # the newest; the others lie beside it
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _on_delete_kept(self) -> None:
        kept = kept_folders()
        question = _("Delete {count} folders of failed runs, with the copies of their CTs?\n\n{names}").format(
            count=len(kept), names="\n".join(str(each) for each in kept)
        )
        if kept and slicer.util.confirmOkCancelDisplay(question, _("Delete what was kept?")):
            for folder in kept:
                shutil.rmtree(folder, ignore_errors=True)
            self._messages.drop_folders()
        self.show_kept_folders()

    def _on_remove_model(self) -> None:
        package = self._package()
        if package is None:
            return
        with self._messages.errors():
            self._logic.removeModel(package.id)
            self._messages.show(_("Removed {name}.").format(name=package.name))
            self._on_models_changed()

    def _settings(self) -> str:
        """What a report needs to know; no names of volumes, which may be those of patients."""
        package, volume = self._package(), self._selection.volume
        parts = [f"Model {package.id} {package.version}" if package is not None else "No model"]
        if volume is not None and volume.GetImageData() is not None:
            size = " x ".join(str(n) for n in volume.GetImageData().GetDimensions())
            spacing = " x ".join(f"{each:.2f}" for each in volume.GetSpacing())
            parts.append(f"{size} voxels of {spacing} mm")
        if self._selection.parameters is not None:
            parts.append(f"device {self._selection.parameters.device}")
            parts.append(f"test-time augmentation {self._selection.parameters.testTimeAugmentation}")
        return " · ".join(parts)

    def _versions(self) -> str:
        worker = self._logic.worker()
        torch = f"PyTorch {worker.torch}" if worker is not None else _("PyTorch: not started yet")
        python = other_interpreter() or slicer_python()
        return " · ".join([f"AttentionUNetSeg {__version__}", f"Slicer {slicer.app.applicationVersion}", torch, python])
