"""The panel itself: tool tips, keyboard, width, models, log."""

from __future__ import annotations

import slicer
from panel_case import PanelTestCase, process_for, process_until

CONTROLS = [
    "inputVolumeSelector",
    "modelComboBox",
    "modelCardButton",
    "folderButton",
    "deleteFolderButton",
    "nextMessageButton",
    "dismissButton",
    "moveAlongButton",
    "deleteResultButton",
    "showOnlyThisCheckBox",
    "windowComboBox",
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
    "toolComboBox",
    "addClickButton",
    "removeClickButton",
    "strokesTeachCheckBox",
    "wallsButton",
    "measureButton",
    "showTableButton",
    "exportDicomButton",
    "dicomKindComboBox",
    "centreLineCheckBox",
    "startNodeSelector",
    "startPartComboBox",
    "startButton",
    "legendCheckBox",
    "openKeptFolderButton",
    "deleteKeptFoldersButton",
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
        for index in range(self.ui.modelComboBox.count):
            self.ui.modelComboBox.setCurrentIndex(index)
            slicer.app.processEvents()
            line = self.ui.modelInformationLabel.text
            self.assertEqual(len(line.splitlines()), 1, line)
            self.assertLess(len(line), 90, line)
            for part in ("Dice", "against", "n = "):
                self.assertIn(part, line)
            self.click(self.ui.modelCardButton)
            card = self.panel.input.card
            self.assertFalse(card.modal, "Slicer goes on beside it")
            for heading in ("Intended use", "Limitations", "Measured", "Trained on", "Licence"):
                self.assertIn(heading, card.detailedText)
            card.hide()

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

    def test_no_alt_key_is_one_of_slicers_menus(self) -> None:
        texts = {}
        for name, widget in vars(self.ui).items():
            text = getattr(widget, "text", "") if "Label" in name or "Button" in name or "CheckBox" in name else ""
            letter = text.replace("&&", "").partition("&")[2][:1].upper() if isinstance(text, str) else ""
            if letter:
                self.assertNotIn(letter, "FEVH", f"{name}: Slicer's menus File, Edit, View and Help")
                self.assertNotIn(letter, texts, f"{name} and {texts.get(letter)}")
                texts[letter] = name

    def test_the_keys_do_what_hands_do_most(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        keys = {shortcut.key.toString(): shortcut for shortcut in self.panel.keys.shortcuts}
        self.assertEqual(len(keys), 10)
        for shortcut in keys.values():
            self.assertTrue(shortcut.enabled)
        self.ui.resultCollapsibleButton.collapsed = True
        keys["Shift+T"].activated.emit()
        self.assertFalse(self.ui.resultCollapsibleButton.collapsed)
        self.widget.exit()
        self.assertFalse(any(shortcut.enabled for shortcut in keys.values()), "other modules have keys of their own")
        self.widget.enter()

    def test_what_matters_comes_first(self) -> None:
        layout = self.ui.AttentionUNetSeg.layout()
        first = [self.ui.firstWidget, self.ui.segmentButton, self.ui.progressWidget, self.ui.resultWidget]
        sections = [widget for name, widget in vars(self.ui).items() if name.endswith("CollapsibleButton")]
        self.assertEqual(len(sections), 7)
        places = [layout.indexOf(widget) for widget in first]
        self.assertEqual(places, sorted(places))
        self.assertGreaterEqual(places[0], 0)
        self.assertLess(places[-1], min(layout.indexOf(section) for section in sections))
        self.assertFalse(self.ui.modelInformationLabel.wordWrap, "it stays in one line, whatever the width")
        for name in ("inputWarningWidget", "progressWidget", "messageWidget", "placeWidget"):
            self.assertTrue(getattr(self.ui, name).isHidden(), f"{name} takes room before it says anything")

    def test_what_matters_fits_without_scrolling(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        if "desktop double" in slicer.app.applicationVersion:
            self.skipTest("The double has no layout.")
        top = self.ui.AttentionUNetSeg
        for index in range(self.ui.modelComboBox.count):
            self.ui.modelComboBox.setCurrentIndex(index)
            self.ui.progressWidget.visible = True
            process_for(0.2)
            used = sum(
                widget.sizeHint.height() + top.layout().spacing
                for widget in (
                    self.ui.firstWidget, self.ui.segmentButton, self.ui.progressWidget, self.ui.resultWidget
                )
            )  # fmt: skip
            self.assertLessEqual(used, 330, self.ui.modelComboBox.currentText)
            self.assertLessEqual(top.minimumSizeHint.width(), 400)
        self.ui.progressWidget.visible = False

    def test_the_panel_fits_a_narrow_window(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        if "desktop double" in slicer.app.applicationVersion:
            self.skipTest("The double has no layout.")
        self.assertLess(self.ui.AttentionUNetSeg.minimumSizeHint.width(), 500)
