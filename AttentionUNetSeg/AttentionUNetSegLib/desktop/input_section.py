"""The panel's input: which volume, which model, which region, and whether they go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..models import BrokenPackage, ModelPackage, measured_line, model_card
from ..session import SegmentRequest
from .choosable_volumes import hide_own_volumes, is_own
from .messages import Messages
from .parameters import Selection
from .sample_phantom import PhantomMaking


class InputSection:
    """Volume, model, region.

    Parameters
    ----------
    on_changed : called when any of them has changed.
    on_volume : called when another volume was chosen.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        selection: Selection,
        messages: Messages,
        on_changed: Callable[[], None],
        on_volume: Callable[[], None],
    ) -> None:
        self._ui, self._logic, self._selection, self._messages = ui, logic, selection, messages
        self._on_changed, self._on_other_volume = on_changed, on_volume
        self._packages: tuple[ModelPackage, ...] = ()
        self._is_filling = False
        self._doubts: tuple[str, ...] = ()
        self._phantom: PhantomMaking | None = None  # being made
        self.card: Any = None  # the window about a model that was opened last; Python would delete it
        ui.inputVolumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_volume)
        ui.modelComboBox.connect("currentIndexChanged(int)", self._on_model)
        ui.modelCardButton.clicked.connect(self._on_card)
        ui.addModelFileButton.clicked.connect(self._on_add_file)
        ui.addModelFolderButton.clicked.connect(self._on_add_folder)
        ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._on_new_region)
        ui.loadPhantomButton.clicked.connect(self._on_load_phantom)
        ui.segmentAnywayCheckBox.toggled.connect(self._on_anyway)
        self.fill_models()

    @property
    def package(self) -> ModelPackage | None:
        """The selected model."""
        index = self._ui.modelComboBox.currentIndex
        return self._packages[index] if 0 <= index < len(self._packages) else None

    @property
    def obstacle(self) -> str:
        """Why nothing can be segmented now; "" where it can."""
        if self._selection.volume is None:
            return _("Select a CT volume first.")
        if self.package is None:
            return _("No model is installed: add one.")
        if self._doubts and not self._ui.segmentAnywayCheckBox.checked:
            return _("Read the warning above, then tick “Segment it anyway”.")
        return ""

    @property
    def is_ct(self) -> bool:
        """Whether nothing speaks against the selected volume being a CT."""
        return self._selection.volume is not None and not self._logic.volumeDoubts(self._selection.volume)

    def hide_own_volumes(self) -> None:
        """Offer no probability, attention map or strokes of a result as a CT."""
        hide_own_volumes(self._ui.inputVolumeSelector)

    def request(self) -> SegmentRequest:
        """Return what the person asks for."""
        parameters = self._selection.require_parameters()
        return SegmentRequest(
            model=self.package,
            device=parameters.device,
            tta=parameters.testTimeAugmentation,
            keep_largest=self._ui.keepLargestCheckBox.checked,
            region=self._ui.roiSelector.currentNode(),
            any_intensity=bool(self._doubts),
        )

    def fill_models(self) -> None:
        """Read the installed models anew; the selected one stays selected."""
        self._packages = self._logic.models()
        self._is_filling = True
        self._ui.modelComboBox.clear()
        for package in self._packages:
            self._ui.modelComboBox.addItem(f"{package.name} {package.version}")
        self._is_filling = False
        self.follow_parameters()
        self.update()

    def follow_parameters(self) -> None:
        """Show the model that the parameter node names; the default one where it is not installed."""
        wanted = self._selection.parameters.model if self._selection.parameters is not None else ""
        ids = [package.id for package in self._packages]
        if wanted not in ids and ids:
            wanted = self._logic.defaultModel().id
        index = ids.index(wanted) if wanted in ids else -1
        if self._ui.modelComboBox.currentIndex != index:
            self._is_filling = True
            self._ui.modelComboBox.setCurrentIndex(index)
            self._is_filling = False
            self.update()

    def update(self) -> None:
        """Look at volume and model again, and say what is doubtful about them."""
        self._ui.modelInformationLabel.text = _information(self.package, self._logic.brokenModels())
        self._ui.modelInformationLabel.toolTip = self._ui.modelInformationLabel.text
        self._ui.modelCardButton.enabled = self.package is not None
        doubts = (
            self._logic.volumeDoubts(self._selection.volume, self.package) if self._selection.volume is not None else ()
        )
        if doubts != self._doubts:
            self._doubts = doubts
            self._ui.segmentAnywayCheckBox.checked = False
        self._ui.inputWarningLabel.text = "\n".join(doubts)
        self._ui.inputWarningWidget.visible = bool(doubts)
        self._on_changed()

    # --- What the person does ---

    def _on_volume(self, node: object) -> None:
        if is_own(node):  # as Slicer's list does where the selected CT is deleted
            self._ui.inputVolumeSelector.setCurrentNode(None)
            return
        self._ui.segmentAnywayCheckBox.checked = False
        self.update()
        self._on_other_volume()

    def _on_card(self) -> None:
        if self.package is not None:
            self.card = show_card(self.package)

    def _on_model(self, _index: int) -> None:
        if self._is_filling:
            return
        if self._selection.parameters is not None and self.package is not None:
            self._selection.parameters.model = self.package.id
        self.update()

    def _on_anyway(self, _checked: bool) -> None:
        self._on_changed()

    def _on_add_file(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Add a model"), "", _("Model package (*.zip)")
        )
        self._add(path)

    def _on_add_folder(self) -> None:
        self._add(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Add a model")))

    def _add(self, path: str) -> None:
        if not path:
            return
        with self._messages.errors():
            addition = self._logic.addModel(path)
            self._messages.show(addition.message)
            if self._selection.parameters is not None:
                self._selection.parameters.model = addition.package.id
            self.fill_models()

    def _on_new_region(self, region: slicer.vtkMRMLMarkupsROINode) -> None:
        """Let a new ROI begin as the whole volume, ready to be made smaller by its handles."""
        if self._selection.volume is None:
            return
        bounds = [0.0] * 6
        self._selection.volume.GetRASBounds(bounds)
        region.SetCenter(*((bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)))
        region.SetSize(*(bounds[axis + 1] - bounds[axis] for axis in (0, 2, 4)))

    def _on_load_phantom(self) -> None:
        if self._phantom is not None:
            self.cancel_phantom()
            self._messages.clear()
            return
        with self._messages.errors():
            making = PhantomMaking(slicer.mrmlScene, self._on_phantom)
            making.start()
            self._phantom = making
            self._messages.show(_("A synthetic CT is being made. It takes some seconds."))
        self._show_phantom_button()

    def _on_phantom(self, outcome: object) -> None:
        self._phantom = None
        self._show_phantom_button()
        if isinstance(outcome, Exception):
            self._messages.report(outcome, retry=self._on_load_phantom)
            return
        self._messages.clear()
        self._ui.inputVolumeSelector.setCurrentNode(outcome)

    def cancel_phantom(self) -> None:
        """Stop making a phantom; its scene closes, or nobody wants it any more."""
        if self._phantom is not None:
            self._phantom.cancel()
            self._phantom = None
            self._show_phantom_button()

    def _show_phantom_button(self) -> None:
        is_made = self._phantom is not None
        self._ui.loadPhantomButton.text = _("Cancel phantom") if is_made else _("Load phantom")


def _information(package: ModelPackage | None, broken: tuple[BrokenPackage, ...]) -> str:
    """Return the selected model in one line, and which models cannot be used."""
    none = [_("No model is installed. Add a model package to segment.")]
    lines = none if package is None else [measured_line(package)]
    lines += [_("Cannot be used: {reason}").format(reason=each.reason) for each in broken]
    return "\n".join(lines)


def show_card(package: ModelPackage) -> Any:
    """Open a window with all about a model, beside which Slicer goes on; return it."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setModal(False)
    box.text = f"{package.name} {package.version}"
    box.informativeText = f"{package.intended_use}\n\n{package.manifest['limitations']}"
    box.detailedText = model_card(package)
    box.show()
    return box
