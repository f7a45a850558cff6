"""The panel itself: tool tips, keyboard, width, models, log."""

from __future__ import annotations

import slicer
from panel_case import PanelTestCase, process_for, process_until

CONTROLS = [
    "inputVolumeSelector",
    "modelComboBox",
    "addModelFileButton",
    "addModelFolderButton",
    "roiSelector",
    "segmentButton",
    "cancelButton",
    "retryButton",
    "resultSelector",
    "thresholdSlider",
    "smoothingSlider",
    "keepLargestCheckBox",
    "show3DCheckBox",
    "overlayComboBox",
    "overlayOpacitySlider",
    "overlayColorSelector",
    "overlayThresholdSlider",
    "addClickButton",
    "removeClickButton",
    "undoButton",
    "redoButton",
    "clearClicksButton",
    "reachSlider",
    "segmentEditorButton",
    "deviceComboBox",
    "interpreterPathLineEdit",
    "testTimeAugmentationCheckBox",
    "keepWorkerWarmCheckBox",
    "openModelFolderButton",
    "removeModelButton",
    "copyLogButton",
]


class PanelTest(PanelTestCase):
    """What a person sees before anything runs."""

    def test_every_control_explains_itself(self) -> None:
        for name in CONTROLS:
            self.assertTrue(getattr(self.ui, name).toolTip, f"{name} has no tool tip")

    def test_nothing_can_be_done_without_a_result(self) -> None:
        for name in ("thresholdSlider", "addClickButton", "removeClickButton", "undoButton", "segmentEditorButton"):
            self.assertFalse(getattr(self.ui, name).enabled, name)
        self.assertTrue(self.ui.messageWidget.isHidden())
        self.assertTrue(self.ui.progressWidget.isHidden())

    def test_models_say_what_they_are_for(self) -> None:
        information = self.ui.modelInformationLabel.text
        self.assertIn("phantom", information)
        self.assertIn("Dice", information)
        self.assertIn("n = ", information)
        for line in ("Intended use", "Measured", "Trained on", "Limitations", "Licence"):
            self.assertIn(f"{line}: ", information)

    def test_models_are_added_and_removed(self) -> None:
        count = self.ui.modelComboBox.count
        self.add_slow_model()
        self.assertEqual(self.ui.modelComboBox.count, count + 1)
        self.assertIn("Slow", self.ui.modelComboBox.currentText)
        self.click(self.ui.removeModelButton)
        self.assertEqual(self.ui.modelComboBox.count, count)
        self.assert_message("Removed")

    def test_a_chosen_model_is_kept_in_the_scene(self) -> None:
        self.add_slow_model()
        self.ui.modelComboBox.setCurrentIndex(0)
        first = self.panel.parameters.model
        self.ui.modelComboBox.setCurrentIndex(1)
        self.assertNotEqual(self.panel.parameters.model, first)
        self.assertEqual(self.panel.parameters.model, self.panel.input.package.id)
        self.panel.parameters.model = "slow-phantom"
        self.click(self.ui.removeModelButton)

    def test_a_new_region_begins_as_the_whole_volume(self) -> None:
        volume = self.add_phantom()
        self.select(volume)
        self.ui.roiSelector.addNode()
        slicer.app.processEvents()
        region = self.ui.roiSelector.currentNode()
        expected, found = [0.0] * 6, [0.0] * 6
        volume.GetRASBounds(expected)
        region.GetRASBounds(found)
        for first, second in zip(expected, found, strict=True):
            self.assertAlmostEqual(first, second, places=3)

    def test_the_log_is_copied_with_the_versions(self) -> None:
        self.ui.logText.appendPlainText("a line of the log")
        self.click(self.ui.copyLogButton)
        text = slicer.app.clipboard().text()
        self.assertIn("a line of the log", text)
        self.assertIn("Slicer", text)

    def test_a_phantom_for_everybody(self) -> None:
        self.click(self.ui.loadPhantomButton)
        self.assertIn("Cancel", self.ui.loadPhantomButton.text)
        process_until(lambda: self.ui.inputVolumeSelector.currentNode() is not None, "the phantom")
        self.assertIn("Load", self.ui.loadPhantomButton.text)
        self.assertTrue(self.ui.messageWidget.isHidden())
        volume = self.ui.inputVolumeSelector.currentNode()
        self.assertIsNotNone(volume)
        self.assertTrue(self.ui.segmentButton.enabled, self.ui.segmentButton.toolTip)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(composite.GetBackgroundVolumeID(), volume.GetID())

    def test_a_phantom_that_nobody_waits_for(self) -> None:
        self.click(self.ui.loadPhantomButton)
        self.click(self.ui.loadPhantomButton)
        self.assertIn("Load", self.ui.loadPhantomButton.text)
        self.assertTrue(self.ui.messageWidget.isHidden())
        self.click(self.ui.loadPhantomButton)
        slicer.mrmlScene.Clear(False)
        self.assertIn("Load", self.ui.loadPhantomButton.text)
        process_for(1.0)
        self.assertIsNone(self.ui.inputVolumeSelector.currentNode())

    def test_the_panel_fits_a_narrow_window(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        if "desktop double" in slicer.app.applicationVersion:
            self.skipTest("The double has no layout.")
        self.assertLess(self.ui.AttentionUNetSeg.minimumSizeHint.width(), 500)
