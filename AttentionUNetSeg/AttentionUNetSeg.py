"""AttentionUNetSeg: the Slicer module. Its parts are in `AttentionUNetSegLib.desktop`, imported when first needed."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

if TYPE_CHECKING:
    from AttentionUNetSegLib.desktop.panel import Panel
    from AttentionUNetSegLib.desktop.runs import RunListener
    from AttentionUNetSegLib.models import Addition, ModelPackage
    from AttentionUNetSegLib.session import SegmentRequest, WorkerReady
    from AttentionUNetSegLib.session.editing import ResultEditor


class AttentionUNetSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Attention U-Net Pancreas")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["AttentionUNetSeg contributors"]
        parent.helpText = _(
            "Segments the pancreas on an abdominal CT with a 3D Attention U-Net, shows where the network looked, and "
            "lets you correct the result with a threshold, clicks and Segment Editor. The network runs on this "
            "computer, in a process of its own; no image leaves it. Research use only: not a medical device."
        )
        parent.acknowledgementText = _(
            "The network follows Oktay et al., “Attention U-Net: Learning Where to Look for the Pancreas”, "
            "arXiv:1804.03999 (2018). This module runs on PyTorch, installed by the PyTorch extension of "
            "Fernando Pérez-García and Andras Lasso."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Offer the phantom in the Sample Data module. It is made on this computer: nothing is downloaded."""
    try:
        import SampleData
    except ImportError:  # a Slicer built without it
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="AttentionUNetSeg",
        sampleName="AbdomenPhantom",
        uris=[],
        fileNames=[],
        nodeNames=[],
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "AttentionUNetSeg.png"),
        customDownloader=showPhantom,
    )


def showPhantom(source: Any = None) -> list[Any]:
    """Make the phantom, show it, and return what was loaded, as SampleData's own downloads do."""
    from AttentionUNetSegLib.desktop.sample_phantom import show_phantom

    return [show_phantom(slicer.mrmlScene)]


class AttentionUNetSegWidget(ScriptedLoadableModuleWidget):
    """The shell of the panel: loads the .ui file and passes on what Slicer tells."""

    def __init__(self, parent: Any = None) -> None:
        self.logic: AttentionUNetSegLogic | None = None
        self.panel: Panel | None = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Make the widgets."""
        ScriptedLoadableModuleWidget.setup(self)
        from AttentionUNetSegLib.desktop.panel import Panel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/AttentionUNetSeg.ui"))
        self.layout.addWidget(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.ui.segmentButton.icon = qt.QIcon(self.resourcePath("Icons/AttentionUNetSeg.png"))
        self.logic = AttentionUNetSegLogic()
        self.panel = Panel(self.ui, self.logic)

    def enter(self) -> None:
        """Come to the module."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """Leave the module; runs go on."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """End runs and worker: the module is unloaded or reloaded, or Slicer quits."""
        if self.panel is None or self.logic is None:
            return
        panel, logic, self.panel = self.panel, self.logic, None
        try:
            panel.close()
            # Reloading only hides these widgets, and their selectors would go on following the scene.
            self.uiWidget.setMRMLScene(None)
        finally:
            logic.close()

    def onReload(self) -> None:
        """Reload the panel's parts too, for developers; all other packages work without Slicer and are tested there."""
        self.cleanup()
        for name in [name for name in sys.modules if name.startswith("AttentionUNetSegLib.desktop")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class AttentionUNetSegLogic(ScriptedLoadableModuleLogic):
    """Everything the module can do, without its widget: for the Python console, other modules and scripts.

        logic = AttentionUNetSegLogic()
        segmentation = logic.segmentPancreas(volumeNode, waitForCompletion=True)
        print(logic.setThreshold(segmentation, 0.4), "mL")
        logic.addClick(segmentation, (-12.0, 30.0, 120.0))
        logic.close()

    Every logic has a worker process of its own, started at the first run; `slicer.util.getModuleLogic(
    "AttentionUNetSeg")` gives the one that the panel uses. Positions are world RAS in mm. What goes wrong is raised as
    an `AttentionUNetSegLib.errors.AttentionUNetSegError`, whose text says what to do.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from AttentionUNetSegLib.desktop.results import Results
        from AttentionUNetSegLib.desktop.runs import Runs

        self._runs = Runs()
        self._results = Results()

    # --- Segmenting ---

    def segmentPancreas(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        model: str | None = None,
        device: str = "auto",
        testTimeAugmentation: bool = False,
        roiNode: slicer.vtkMRMLMarkupsROINode | None = None,
        threshold: float | None = None,
        keepLargest: bool = False,
        acceptAnyIntensity: bool = False,
        waitForCompletion: bool = False,
    ) -> str | slicer.vtkMRMLSegmentationNode:
        """Segment the pancreas on a CT; every call makes a new result and changes no other.

        Runs are queued, one at a time. Nothing is installed: PyTorch must be in Slicer's Python, or in the one that
        the environment variable ATTENTIONUNETSEG_PYTHON or the panel's Advanced section names.

        Parameters
        ----------
        model : id of an installed model (see `models`); None: the default one.
        device : "auto", "cpu", "cuda", "cuda:1", "mps".
        roiNode : limits the work to a box.
        threshold : of the probability; None: the model's own.
        acceptAnyIntensity : run on values that are not Hounsfield units too.

        Returns
        -------
        The id of the run, for `cancel` and `waitFor`; with `waitForCompletion` the result's segmentation node.

        Raises
        ------
        AttentionUNetSegError : with `waitForCompletion`, whatever went wrong; otherwise run listeners are told.
        """
        from AttentionUNetSegLib.session import SegmentRequest

        request = SegmentRequest(
            model=model, device=device, tta=testTimeAugmentation, threshold=threshold, keep_largest=keepLargest,
            region=roiNode, any_intensity=acceptAnyIntensity,
        )  # fmt: skip
        job = self.startRun(volumeNode, request)
        return self.waitFor(job) if waitForCompletion else job

    def startRun(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, request: SegmentRequest) -> str:
        """Queue a run and return its id."""
        return self._runs.start(volumeNode, request)

    def waitFor(self, job: str) -> slicer.vtkMRMLSegmentationNode:
        """Wait for a run and return its segmentation node, or raise what went wrong. Slicer stays responsive."""
        return self._runs.wait(job).nodes.segmentation

    def cancel(self, job: str) -> None:
        """Stop a run. Does nothing for one that has ended."""
        self._runs.cancel(job)

    def unfinishedRuns(self) -> tuple[Any, ...]:
        """The run at work and those that wait for it (`desktop.runs.Run`)."""
        return self._runs.unfinished

    def addRunListener(self, listener: RunListener) -> None:
        """Tell `listener` how all runs go."""
        self._runs.add_listener(listener)

    def removeRunListener(self, listener: RunListener) -> None:
        """Tell `listener` nothing more."""
        self._runs.remove_listener(listener)

    def worker(self) -> WorkerReady | None:
        """PyTorch's version and the devices that the worker found; None before it has started."""
        return self._runs.worker

    def deviceName(self, device: str) -> str:
        """Name of the processor that a device stands for, as far as it is known."""
        return self._runs.device_name(device)

    def volumeDoubts(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, package: ModelPackage | None = None
    ) -> tuple[str, ...]:
        """Why a volume, or this model on it, may not give a meaningful result; empty for an ordinary CT."""
        from AttentionUNetSegLib.desktop.choosable_volumes import volume_doubts

        return volume_doubts(volumeNode, package)

    def close(self) -> None:
        """Cancel all runs and end the worker. A later run starts a new one."""
        self._runs.close()
        self._results.forget()

    # --- Results ---

    def results(self) -> list[Any]:
        """Segmentation nodes of all results in the scene, oldest first; those of loaded scenes too."""
        from AttentionUNetSegLib.scene import find_results

        return [nodes.segmentation for nodes in find_results(slicer.mrmlScene)]

    def startFrom(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, node: slicer.vtkMRMLNode, part: str | int | None = None
    ) -> tuple[Any, ...]:
        """Make a result of a segment (`part`: its ID), a label or a probability (None); return node and warnings."""
        from AttentionUNetSegLib.session import start_from_segment, start_from_volume

        if node.IsA("vtkMRMLSegmentationNode"):
            nodes, warnings = start_from_segment(volumeNode, node, "" if part is None else str(part))
        else:
            nodes, warnings = start_from_volume(volumeNode, node, None if part is None else int(part))
        return nodes.segmentation, warnings

    def editor(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> ResultEditor | None:
        """What corrects a result (strokes, lassos, boxes and walls too); None for a node that is none, or no more."""
        return self._results.editor(segmentationNode) if self._results.nodes(segmentationNode) else None

    def setThreshold(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        threshold: float,
        keepLargest: bool | None = None,
        smoothingMm: float | None = None,
    ) -> float:
        """Make the segment anew where the probability is at least `threshold`; return its volume in mL.

        None keeps what the result has. Clicks and strokes are kept.
        """
        editor = self._results.editor(segmentationNode)
        _threshold, largest, smoothing = editor.settings
        largest = largest if keepLargest is None else keepLargest
        return editor.set_threshold(threshold, largest, smoothing if smoothingMm is None else smoothingMm)

    def volumeMl(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> float:
        """Volume of the segment in mL, parent transforms left out."""
        return self._results.editor(segmentationNode).volume_ml

    def addClick(
        self, segmentationNode: slicer.vtkMRMLSegmentationNode, positionRas: tuple[Any, ...], positive: bool = True
    ) -> str:
        """Correct the result around a world RAS position: add (`positive`) or remove; return the click's id."""
        return self._results.editor(segmentationNode).add_click(tuple(positionRas), positive)

    def removeClick(self, segmentationNode: slicer.vtkMRMLSegmentationNode, click: str) -> None:
        """Take one click back."""
        self._results.editor(segmentationNode).remove_click(click)

    def clearCorrections(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Take all clicks and strokes back; `undo` brings them again."""
        self._results.editor(segmentationNode).clear()

    def setClickReach(self, segmentationNode: slicer.vtkMRMLSegmentationNode, reachMm: float) -> None:
        """Set how far clicks act, in mm, and apply them anew."""
        self._results.editor(segmentationNode).reach_mm = reachMm

    def undo(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Take the last click or stroke back; False where there is none."""
        return self._results.editor(segmentationNode).undo()

    def redo(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Do again what `undo` took back; False where there is nothing."""
        return self._results.editor(segmentationNode).redo()

    def deleteResult(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Take a result out of the scene with everything that was made for it; its CT stays."""
        from AttentionUNetSegLib.scene import delete_result

        delete_result(self._results.editor(segmentationNode).nodes)

    def forgetResults(self) -> None:
        """Drop what is kept about results, because their scene closes."""
        self._results.forget()

    # --- Views ---

    def showAttention(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        level: int | Literal["probability", "spread"] | None,
        opacity: float = 0.5,
        colorNode: slicer.vtkMRMLColorNode | None = None,
        lowerThreshold: float | None = None,
        sliceCompositeNodes: list[Any] | None = None,
    ) -> None:
        """Lay a result's attention over the CT in all slice views, or those of the given composite nodes.

        `level` is 1 for the finest gate, 2 for the next, ..., "probability", "spread", or None for nothing; values
        below `lowerThreshold` (a fraction of 1) are not shown.
        """
        from AttentionUNetSegLib.scene import show_attention

        nodes = self._results.editor(segmentationNode).nodes
        show_attention(nodes, level, opacity, colorNode, lowerThreshold, sliceCompositeNodes)

    def showSurface(self, segmentationNode: slicer.vtkMRMLSegmentationNode, visible: bool = True) -> None:
        """Show the segment's surface in the 3D views, or remove it."""
        from AttentionUNetSegLib.scene.surface import show_surface

        show_surface(self._results.editor(segmentationNode).nodes, visible)

    def hasSurface(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether the segment's surface exists now."""
        from AttentionUNetSegLib.scene.surface import has_surface

        return has_surface(self._results.editor(segmentationNode).nodes)

    # --- Models and sample data ---

    def models(self) -> tuple[ModelPackage, ...]:
        """The installed models, those for real scans first."""
        return self._runs.catalogue.packages()

    def brokenModels(self) -> tuple[Any, ...]:
        """Folders among the installed models that cannot be used, each with the reason."""
        return self._runs.catalogue.broken()

    def defaultModel(self) -> ModelPackage:
        """The model that is used where nobody chose one."""
        return self._runs.catalogue.default()

    def addModel(self, path: str | Path) -> Addition:
        """Install a model package from a folder or .zip after checking all of it; returns package and a sentence."""
        return self._runs.catalogue.add(path)

    def removeModel(self, model: str) -> None:
        """Delete an added model."""
        self._runs.catalogue.remove(model)

    def modelFolder(self) -> Path:
        """Where added models are kept."""
        return self._runs.catalogue.user

    def makePhantom(self) -> slicer.vtkMRMLScalarVolumeNode:
        """Make a synthetic abdominal CT with a pancreas, to try everything without anybody's scan. Takes seconds."""
        from AttentionUNetSegLib.desktop.sample_phantom import add_phantom

        return add_phantom(slicer.mrmlScene)


class AttentionUNetSegTest(ScriptedLoadableModuleTest):
    """What `Reload and Test` runs: the whole way once, on a phantom. Testing/Python holds the full tests."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests of this class."""
        self.setUp()
        try:
            self.test_segment_phantom()
        except unittest.SkipTest as reason:  # `Reload and Test` would show it as a failure
            self.delayDisplay(str(reason))

    def test_segment_phantom(self) -> None:
        """Segment a phantom, then move the threshold: a lower one never makes the segment smaller."""
        from AttentionUNetSegLib.desktop.interpreter import has_torch

        if not has_torch():
            self.skipTest("PyTorch is not installed, and tests install nothing.")
        logic = AttentionUNetSegLogic()
        try:
            segmentation = logic.segmentPancreas(logic.makePhantom(), waitForCompletion=True)
            # How much a model finds in a phantom is the model's own business; most were made for patients.
            before = logic.setThreshold(segmentation, 0.5)
            self.assertGreaterEqual(logic.setThreshold(segmentation, 0.2), before)
            self.assertEqual(logic.volumeMl(segmentation), logic.setThreshold(segmentation, 0.2))
        finally:
            logic.close()
