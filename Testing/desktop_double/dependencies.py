"""What other modules and extensions offer to ours: PyTorchUtils, packaging, SampleData. Nothing is installed."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import slicer


class TorchInstallation:
    """The state of torch in "Slicer's Python", and what was done about it. Tests set it."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """As in the test's own interpreter: torch is there, nothing was asked."""
        self.is_installed = True
        self.is_confirmed = True
        self.failure: Exception | None = None
        self.requests: list[dict[str, Any]] = []
        self.registered_samples: list[dict[str, Any]] = []


torch_installation = TorchInstallation()


class PyTorchUtilsLogic:
    """The extension PyTorch's logic: https://github.com/fepegar/SlicerPyTorch, PyTorchUtils.py."""

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """Install torch: returns its module, None if the person declined; raises if it fails."""
        torch_installation.requests.append({"ask": askConfirmation, "torch": torchVersionRequirement})
        if askConfirmation and not slicer.util.confirmOkCancelDisplay("PyTorch will be downloaded and installed"):
            return None
        if torch_installation.failure is not None:
            raise torch_installation.failure
        torch_installation.is_installed = True
        return ModuleType("torch")


class SampleDataLogic:
    """SampleData's registration of data sets; the names are those of its keyword arguments."""

    _KEYWORDS = (  # noqa: SIM905
        "category sampleName sampleDescription uris fileNames nodeNames customDownloader "
        "thumbnailFileName loadFileType loadFileProperties checksums loadFiles loadFileTypes "
    ).split()

    @staticmethod
    def registerCustomSampleDataSource(**options: Any) -> None:
        """Note a data set."""
        if unknown := set(options).difference(SampleDataLogic._KEYWORDS):
            raise TypeError(f"registerCustomSampleDataSource has no {sorted(unknown)}.")
        lists = [options.get(name) for name in ("uris", "fileNames", "nodeNames")]
        if not isinstance(lists[0], str) and len({len(each) for each in lists}) != 1:
            raise ValueError("All fields of sample data source must have the same length")
        torch_installation.registered_samples.append(options)


def modules() -> dict[str, ModuleType]:
    """Return the modules by the name under which they are imported."""
    torch_utils = ModuleType("PyTorchUtils")
    torch_utils.PyTorchUtilsLogic = PyTorchUtilsLogic
    sample_data = ModuleType("SampleData")
    sample_data.SampleDataLogic = SampleDataLogic
    return {"PyTorchUtils": torch_utils, "SampleData": sample_data}


def module_logics(app: Any) -> dict[str, Any]:
    """Return real logics by the name that `slicer.modules` has them under."""
    core = app._d.core
    found = {
        "segmentations": core.segmentations_logic,
        "volumes": core.volumes_logic,
        "terminologies": core.terminologies_logic,
        "colors": slicer.vtkSlicerColorLogic(),  # for its legends; the tables are those of the core's own
        "subjecthierarchy": core.subject_hierarchy_logic,
    }
    markups = app.applicationLogic().GetModuleLogic("Markups")
    return {**found, "markups": markups} if markups is not None else found
