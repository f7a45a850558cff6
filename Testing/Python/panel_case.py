"""What the self-tests share: the module's panel in a running Slicer, a phantom CT, and time for Qt to work.

The same tests run in Slicer (`run_all.py`) and, in CI, on the double in Testing/desktop_double. So nothing here imports
qt at file scope, and nothing sleeps without processing events.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
import unittest
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer

TESTING = Path(__file__).resolve().parents[1]
if str(TESTING) not in sys.path:
    sys.path.insert(0, str(TESTING))

from phantom_package import PHANTOM_MODEL, PHANTOM_MODEL_ID  # noqa: E402

MODULE = "AttentionUNetSeg"
INTERPRETER_VARIABLE = "ATTENTIONUNETSEG_PYTHON"
MODELS_VARIABLE = "ATTENTIONUNETSEG_MODELS"
RUN_SECONDS = 600.0  # a cold worker on a busy machine imports torch for a minute


def process_until(condition: Callable[[], object], what: str, seconds: float = RUN_SECONDS) -> None:
    """Process Qt events until the condition holds; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds:g} s.")
        slicer.app.processEvents()
        time.sleep(0.005)


def process_for(seconds: float) -> None:
    """Process Qt events for some time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.005)


def use_phantom_model(widget: object) -> None:
    """Install the model that finds something in phantoms, unless it is there, and select it in the panel."""
    if PHANTOM_MODEL_ID not in [package.id for package in widget.logic.models()]:
        widget.logic.addModel(PHANTOM_MODEL)
        widget.panel.input.fill_models()
    widget.panel.parameters.model = PHANTOM_MODEL_ID


class PanelTestCase(unittest.TestCase):
    """An empty scene, the module's widget in front, and nothing left running afterwards.

    An exception in a slot or an observer never reaches a test by itself: Qt and VTK print it and go on. It is kept and
    fails the test that caused it.
    """

    @classmethod
    def setUpClass(cls) -> None:
        # Models that tests add never go into the person's own folder. It is read when the panel is made.
        if MODELS_VARIABLE not in os.environ:
            os.environ[MODELS_VARIABLE] = tempfile.mkdtemp(prefix="attention-unet-seg-test-models-")

    def setUp(self) -> None:
        self._unseen: list[str] = []
        self._excepthook = sys.excepthook
        sys.excepthook = self._keep_exception
        self._printed = PrintedByVtk(self._unseen)
        self._log_handler = _ErrorKeeper(self._unseen)
        logging.getLogger("AttentionUNetSegLib.desktop").addHandler(self._log_handler)
        self._environment = {INTERPRETER_VARIABLE: os.environ.get(INTERPRETER_VARIABLE)}
        self._temporary_folder = tempfile.tempdir
        self.folder = Path(tempfile.mkdtemp(prefix="attention-unet-seg-test-"))
        slicer.mrmlScene.Clear(False)
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(MODULE)
        self.take_widget()
        if slicer.util.mainWindow() is None:
            self.widget.enter()
        self.use_phantom_model()

    def use_phantom_model(self) -> None:
        """Install the model that finds something in phantoms, unless it is there, and select it."""
        use_phantom_model(self.widget)
        slicer.app.processEvents()

    def take_widget(self) -> None:
        """Look at the module's present widget; a reload makes a new one."""
        self.widget = slicer.util.getModuleWidget(MODULE)
        self.ui, self.logic, self.panel = self.widget.ui, self.widget.logic, self.widget.panel

    def tearDown(self) -> None:
        try:
            self.take_widget()
            for run in self.logic.unfinishedRuns():
                self.logic.cancel(run.job)
            process_until(lambda: not self.logic.unfinishedRuns(), "the end of all runs", 60.0)
            if slicer.util.mainWindow() is None:
                self.widget.exit()
            slicer.mrmlScene.Clear(False)
            slicer.app.processEvents()
        finally:
            self._printed.stop()
            sys.excepthook = self._excepthook
            logging.getLogger("AttentionUNetSegLib.desktop").removeHandler(self._log_handler)
            tempfile.tempdir = self._temporary_folder
            for name, value in self._environment.items():
                self.set_environment(name, value)
            shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(self._unseen, [], "exceptions in slots or observers, or errors that were only printed")

    def _keep_exception(self, kind: type, error: BaseException, trace: object) -> None:
        self._unseen.append("".join(traceback.format_exception(kind, error, trace)))
        self._excepthook(kind, error, trace)

    @staticmethod
    def set_environment(name: str, value: str | None) -> None:
        """Set or remove a variable."""
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    # --- What a person does ---

    def click(self, button: object) -> None:
        """Click a button, which must be enabled, and let Qt answer."""
        self.assertTrue(button.enabled, f"{button.objectName} is disabled: {button.toolTip}")
        button.click()
        slicer.app.processEvents()

    def add_phantom(self, seed: int = 3, spacing_mm: tuple = (4.0, 4.0, 5.0), name: str = "phantom") -> object:
        """Add a synthetic CT and return its node; `self.truth` is its pancreas, KJI."""
        import SimpleITK as sitk
        from AttentionUNetSegLib.imaging import Volume
        from AttentionUNetSegLib.phantom import make_phantom
        from AttentionUNetSegLib.scene import add_volume

        key = (seed, spacing_mm)
        if key not in _PHANTOMS:
            _PHANTOMS[key] = make_phantom(seed, spacing_mm)
        phantom = _PHANTOMS[key]
        self.truth = sitk.GetArrayFromImage(phantom.pancreas).astype(bool)
        return add_volume(slicer.mrmlScene, Volume(phantom.ct, name, is_phantom=True))

    def add_result(self, volume: object) -> object:
        """Bring a result into the scene and choose it, without the network: the truth, and two gates' attention."""
        import SimpleITK as sitk
        from AttentionUNetSegLib.scene import import_result
        from AttentionUNetSegLib.scene.volumes import image_of_node

        truth = sitk.GetImageFromArray(self.truth.astype(np.float32))
        truth.CopyInformation(image_of_node(volume))
        smooth = sitk.Cast(240.0 * sitk.DiscreteGaussian(truth, 9.0), sitk.sitkUInt8)
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        sitk.WriteImage(smooth, str(folder / "probability.nrrd"))
        for level in (1, 2):
            sitk.WriteImage(sitk.BinShrink(smooth, [2**level] * 3), str(folder / f"attention_{level}.nrrd"))
        segmentation = import_result(slicer.mrmlScene, volume, {"threshold": 0.5}, folder).segmentation
        self.ui.resultSelector.setCurrentNode(segmentation)
        process_for(0.1)
        return segmentation

    def select(self, volume: object) -> None:
        """Choose the input volume."""
        self.ui.inputVolumeSelector.setCurrentNode(volume)
        slicer.app.processEvents()

    def segment(self, volume: object | None = None) -> object:
        """Click Segment Pancreas, wait, and return the new result's segmentation node."""
        if volume is None:
            volume = self.add_phantom()
        self.select(volume)
        before = set(self.logic.results())
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        new = [node for node in self.logic.results() if node not in before]
        self.assertEqual(len(new), 1, self.ui.messageLabel.text)
        return new[0]

    def wait_for_runs(self) -> None:
        """Process events until nothing runs or waits."""
        process_until(lambda: not self.logic.unfinishedRuns(), "the end of the runs")
        slicer.app.processEvents()

    def wait_for_progress(self) -> None:
        """Process events until the network is at work."""
        process_until(lambda: any(run.fraction > 0 for run in self.logic.unfinishedRuns()), "progress of the run")

    def add_slow_model(self) -> None:
        """Install and select the phantom model at a spacing at which a run takes long, on the processor."""
        from AttentionUNetSegLib.models import write_package

        package = next(each for each in self.logic.models() if each.id == PHANTOM_MODEL_ID)
        manifest = {**package.manifest, "id": "slow-phantom", "name": "Slow, for tests", "default": False}
        manifest["input"] = {**manifest["input"], "spacing_mm": [1.2, 1.2, 1.2]}
        manifest["weights"] = {key: value for key, value in manifest["weights"].items() if key != "sha256"}
        if "slow-phantom" not in [each.id for each in self.logic.models()]:
            self.logic.addModel(str(write_package(self.folder / "slow", manifest, package.weights_path).folder))
        self.panel.input.fill_models()
        self.panel.parameters.model = "slow-phantom"
        self.panel.parameters.device = "cpu"
        slicer.app.processEvents()

    # --- What a person sees ---

    def segment_mask(self, segmentation: object) -> np.ndarray:
        """The segment on the voxels of its CT, KJI."""
        volume = next(
            nodes.volume for nodes in _found_results() if nodes.segmentation is segmentation
        )  # fmt: skip
        segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
        return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).astype(bool)

    def dice(self, segmentation: object) -> float:
        """Overlap with the phantom's true pancreas."""
        mask = self.segment_mask(segmentation)
        return 2.0 * np.count_nonzero(mask & self.truth) / (np.count_nonzero(mask) + np.count_nonzero(self.truth))

    def shown_volume(self) -> float:
        """The number of mL in the panel."""
        return float(self.ui.volumeValueLabel.text.split()[0])

    def assert_message(self, *words: str) -> None:
        """The panel tells something with all these words."""
        text = self.ui.messageLabel.text
        self.assertFalse(self.ui.messageWidget.isHidden(), "no message is shown")
        for word in words:
            self.assertIn(word.lower(), text.lower())


class _ErrorKeeper(logging.Handler):
    """Keeps what the module logs as an error, because it must not bother the person with it."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.append(self.format(record))


class PrintedByVtk:
    """Keeps what VTK and MRML say of a missing item or of a filter that failed; everything is printed as before.

    What a display or a driver complains of is not the module's fault, and is not kept.
    """

    OURS = ("Invalid item ID", "returned failure")

    def __init__(self, errors: list[str]) -> None:
        import vtk

        self._errors = errors
        self._usual, self._window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
        vtk.vtkOutputWindow.SetInstance(self._window)

    def stop(self) -> None:
        """Print as before, and tell what was said meanwhile."""
        import vtk

        vtk.vtkOutputWindow.SetInstance(self._usual)
        text = self._window.GetOutput()
        if text:
            self._usual.DisplayText(text)
        self._errors += [part for part in text.split("\n\n") if any(name in part for name in self.OURS)]


_PHANTOMS: dict = {}


def _found_results() -> list:
    from AttentionUNetSegLib.scene import find_results

    return find_results(slicer.mrmlScene)


def interpreter_script(folder: Path, lines: str = "") -> Path:
    """Write a program that passes for a Python: it notes its process number, runs `lines`, then the real one.

    POSIX only. The number is in `<folder>/pid` once it was started.
    """
    script = folder / "python"
    script.write_text(f'#!/bin/sh\necho $$ > "{folder}/pid"\n{lines}\nexec "{real_python()}" "$@"\n')
    script.chmod(0o755)
    return script


def real_python() -> str:
    """The Python that runs the worker where a test does not choose another."""
    return os.environ.get(INTERPRETER_VARIABLE) or shutil.which("PythonSlicer") or sys.executable


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc").is_dir()  # it has just ended, or this is a Mac
