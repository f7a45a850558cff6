"""Clicks, undo and redo, strokes of Segment Editor."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until


class CorrectingTest(PanelTestCase):
    """Points that are placed, dragged and deleted in the views act at once, and each is undoable."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = self.add_phantom()
        self.segmentation = self.add_result(self.volume)
        self.ui.thresholdSlider.value = 0.8  # so that much of the pancreas is missing
        slicer.app.processEvents()
        self.start = self.segment_mask(self.segmentation)
        missing = np.argwhere(self.truth & ~self.start)
        self.missing = tuple(int(n) for n in missing[len(missing) // 2])

    def place(self, button: object, voxel: tuple[int, int, int]) -> object:
        """Choose a tool and click a voxel (KJI) in a view."""
        import vtk

        if not button.checked:
            self.click(button)
        application = slicer.app.applicationLogic()
        self.assertEqual(
            application.GetInteractionNode().GetCurrentInteractionMode(), slicer.vtkMRMLInteractionNode.Place
        )
        node = slicer.mrmlScene.GetNodeByID(application.GetSelectionNode().GetActivePlaceNodeID())
        node.AddControlPoint(vtk.vtkVector3d(*self.position(voxel)))
        slicer.app.processEvents()
        slicer.app.processEvents()
        return node

    def position(self, voxel: tuple[int, int, int]) -> list[float]:
        """World RAS of a voxel (KJI) of the untransformed CT."""
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.volume.GetIJKToRASMatrix(matrix)
        return list(matrix.MultiplyPoint((*(float(n) for n in voxel[::-1]), 1.0))[:3])

    def has(self, voxel: tuple[int, int, int]) -> bool:
        """Whether the segment has the voxel now."""
        return bool(self.segment_mask(self.segmentation)[voxel])

    def wait_until_it_has(self, voxel: tuple[int, int, int], expected: bool) -> None:
        process_until(lambda: self.has(voxel) == expected, "the correction", 20.0)

    def test_a_click_adds_and_undo_takes_it_back(self) -> None:
        self.assertFalse(self.ui.undoButton.enabled)
        self.assertFalse(self.has(self.missing))
        before = self.shown_volume()
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        self.assertGreater(self.shown_volume(), before)
        self.click(self.ui.undoButton)
        self.assertFalse(self.has(self.missing))
        self.assertAlmostEqual(self.shown_volume(), before)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)
        self.assertFalse(self.ui.undoButton.enabled)
        self.click(self.ui.redoButton)
        self.assertTrue(self.has(self.missing))
        self.assertFalse(self.ui.redoButton.enabled)

    def test_undo_and_redo_have_keys(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        keys = {shortcut.key.toString(): shortcut for shortcut in self.panel.keys.shortcuts}
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        for key, is_there in (("Ctrl+Z", False), ("Ctrl+Y", True)):
            keys[key].activated.emit()
            self.wait_until_it_has(self.missing, is_there)
        for key, is_there in (("Ctrl+Z", False), ("Ctrl+Y", True)):
            keys[key].activatedAmbiguously.emit()  # where a menu of Slicer has the key too
            self.wait_until_it_has(self.missing, is_there)

    def test_a_click_removes_where_it_is(self) -> None:
        inside = np.argwhere(self.start)
        voxel = tuple(int(n) for n in inside[len(inside) // 2])
        self.place(self.ui.removeClickButton, voxel)
        self.wait_until_it_has(voxel, False)
        self.assertFalse(self.ui.addClickButton.checked)
        self.click(self.ui.clearClicksButton)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)
        self.click(self.ui.undoButton)
        self.assertFalse(self.has(voxel))

    def test_clicks_survive_a_new_threshold(self) -> None:
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        self.ui.thresholdSlider.value = 0.9
        slicer.app.processEvents()
        self.assertTrue(self.has(self.missing))

    def test_dragging_and_deleting_a_point_apply_anew(self) -> None:
        node = self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        far = np.argwhere(self.truth & ~self.start)
        distance = np.abs(far - np.array(self.missing)).sum(axis=1)
        other = tuple(int(n) for n in far[int(distance.argmax())])
        node.SetNthControlPointPosition(0, *self.position(other))
        node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
        self.wait_until_it_has(other, True)
        self.assertFalse(self.has(self.missing))
        node.RemoveNthControlPoint(0)
        process_until(lambda: not self.has(other), "the deletion", 20.0)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)

    def test_a_click_says_what_it_changed(self) -> None:
        before = self.shown_volume()
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        text = self.ui.changeLabel.text
        self.assertIn("mL", text)
        self.assertIn("mm from the click", text)
        added = float(text.partition("+")[2].split()[0])
        self.assertAlmostEqual(self.shown_volume() - before, added, delta=0.15)
        self.click(self.ui.undoButton)
        self.assertIn("−", self.ui.changeLabel.text)

    def test_a_click_into_air_is_asked_about(self) -> None:
        node = self.place(self.ui.addClickButton, (1, 1, 1))
        process_until(lambda: "not applied" in self.ui.messageLabel.text, "the question", 20.0)
        process_for(0.5)
        self.assert_message("air", "not applied")  # and not only for a moment
        self.assertEqual(node.GetNumberOfControlPoints(), 0)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)
        self.assertFalse(self.ui.undoButton.enabled)
        self.click(self.ui.actionButton)
        self.assertTrue(self.has((1, 1, 1)))
        self.assertEqual(node.GetNumberOfControlPoints(), 1)
        self.click(self.ui.undoButton)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)

    def test_a_click_that_is_dragged_into_air_goes_back(self) -> None:
        node = self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        mask = self.segment_mask(self.segmentation)
        node.SetNthControlPointPosition(0, *self.position((1, 1, 1)))
        node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
        process_until(lambda: "not applied" in self.ui.messageLabel.text, "the question", 20.0)
        np.testing.assert_allclose(node.GetNthControlPointPosition(0), self.position(self.missing), atol=1e-6)
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), mask)

    def test_a_click_far_away_or_outside_the_roi_is_asked_about(self) -> None:
        from AttentionUNetSegLib.scene.geometry import note_limits

        tissue = np.argwhere(slicer.util.arrayFromVolume(self.volume) > 0)
        middle = np.argwhere(self.start).mean(axis=0)
        far = tuple(int(n) for n in tissue[np.argmax(np.linalg.norm((tissue - middle) * (5, 4, 4), axis=1))])
        k, j, i = self.missing
        add, remove = self.ui.addClickButton, self.ui.removeClickButton
        for button, voxel, limits, words in (
            (remove, far, None, "nothing to remove"),
            (add, far, None, "mm from the segment"),
            (add, self.missing, [(i + 1, i + 9), (j - 9, j + 9), (k - 9, k + 9)], "outside the ROI"),
        ):
            if limits is not None:
                note_limits(self.panel.editor.nodes, limits)  # as a run with this region would have
            node = self.place(button, voxel)
            process_until(lambda words=words: words in self.ui.messageLabel.text, f"the question: {words}", 20.0)
            self.assertEqual(node.GetNumberOfControlPoints(), 0)
            self.assertTrue(self.ui.actionButton.text.startswith("Add" if button is add else "Remove"))
            np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)
        self.click(self.ui.actionButton)
        self.assertTrue(self.has(self.missing))
        self.click(self.ui.undoButton)

    def test_the_probability_follows_the_first_click(self) -> None:
        self.ui.overlayComboBox.setCurrentIndex(1)
        slicer.app.processEvents()
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        corrected = self.panel.editor.nodes.corrected
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(composite.GetForegroundVolumeID(), corrected.GetID())

    def test_a_deleted_corrected_volume_takes_no_click_back(self) -> None:
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        mask = self.segment_mask(self.segmentation)
        slicer.mrmlScene.RemoveNode(self.panel.editor.nodes.corrected)
        process_until(lambda: self.panel.editor.nodes.corrected is not None, "the corrected volume", 20.0)
        self.ui.thresholdSlider.value = 0.79
        self.ui.thresholdSlider.value = 0.8
        slicer.app.processEvents()
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), mask)

    def test_a_deleted_click_list_is_a_removal_that_can_be_undone(self) -> None:
        node = self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        slicer.mrmlScene.RemoveNode(node)
        self.wait_until_it_has(self.missing, False)
        self.click(self.ui.undoButton)
        self.assertTrue(self.has(self.missing))

    def test_a_click_that_comes_back_keeps_its_name(self) -> None:
        far = np.argwhere(self.truth & ~self.start)
        distance = np.abs(far - np.array(self.missing)).sum(axis=1)
        node = self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        other = tuple(int(n) for n in far[int(distance.argmax())])
        self.place(self.ui.addClickButton, other)
        self.wait_until_it_has(other, True)
        names = self.names_of_points(node)
        node.RemoveNthControlPoint(0)
        self.wait_until_it_has(self.missing, False)
        self.click(self.ui.undoButton)
        self.assertEqual(self.names_of_points(node), names)

    @staticmethod
    def names_of_points(node: object) -> dict:
        """The points' labels by their places."""
        count = range(node.GetNumberOfControlPoints())
        return {tuple(np.round(node.GetNthControlPointPosition(n), 3)): node.GetNthControlPointLabel(n) for n in count}

    def test_segment_editors_undo_brings_no_earlier_threshold_back(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window, so no module can be selected.")
        self.click(self.ui.segmentEditorButton)
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.saveStateForUndo()  # what every stroke does first
        slicer.util.selectModule("AttentionUNetSeg")
        self.ui.thresholdSlider.value = 0.3
        slicer.app.processEvents()
        mask = self.segment_mask(self.segmentation)
        slicer.util.selectModule("SegmentEditor")
        editor.undo()
        slicer.util.selectModule("AttentionUNetSeg")
        slicer.app.processEvents()
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), mask)
        self.ui.thresholdSlider.value = 0.8
        slicer.app.processEvents()
        np.testing.assert_array_equal(self.segment_mask(self.segmentation), self.start)

    def test_the_reach_of_clicks(self) -> None:
        self.ui.reachSlider.value = 4.0
        self.place(self.ui.addClickButton, self.missing)
        self.wait_until_it_has(self.missing, True)
        near = self.shown_volume()
        self.ui.reachSlider.value = 30.0
        slicer.app.processEvents()
        self.assertGreaterEqual(self.shown_volume(), near)
        self.assertTrue(self.has(self.missing))
        for reach in (30.0, 3.0):
            self.ui.reachSlider.value = reach
            slicer.app.processEvents()
            self.assertIn(f"beyond {3 * reach:.0f} mm", self.ui.reachMeaningLabel.text)
            changed = np.argwhere(self.segment_mask(self.segmentation) != self.start)
            steps = (changed - np.array(self.missing)) * (5.0, 4.0, 4.0)
            self.assertLessEqual(np.linalg.norm(steps, axis=1).max(), 3 * reach + 5.0, "beyond what it promises")

    def test_the_tools_end_with_the_module(self) -> None:
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self.click(self.ui.addClickButton)
        self.assertEqual(interaction.GetCurrentInteractionMode(), slicer.vtkMRMLInteractionNode.Place)
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)  # as Esc does
        slicer.app.processEvents()
        self.assertFalse(self.ui.addClickButton.checked)
        self.click(self.ui.removeClickButton)
        self.assertTrue(self.ui.removeClickButton.checked)
        self.widget.exit()
        self.assertEqual(interaction.GetCurrentInteractionMode(), slicer.vtkMRMLInteractionNode.ViewTransform)
        self.assertFalse(self.ui.removeClickButton.checked)
        self.widget.enter()

    def test_strokes_are_kept(self) -> None:
        painted = self.missing
        inside = np.argwhere(self.start)
        erased = tuple(int(n) for n in inside[0])
        mask = self.segment_mask(self.segmentation).astype(np.uint8)
        mask[painted], mask[erased] = 1, 0
        for voxel in np.argwhere(self.truth & ~self.start)[:10]:  # so that the volume is another one
            mask[tuple(voxel)] = 1
        segment_id = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, self.segmentation, segment_id, self.volume)
        self.widget.exit()
        self.widget.enter()  # coming back from Segment Editor
        self.assertAlmostEqual(self.shown_volume(), np.count_nonzero(mask) * 0.08, delta=0.06)
        self.ui.thresholdSlider.value = 0.5
        slicer.app.processEvents()
        self.assertTrue(self.has(painted))
        self.assertFalse(self.has(erased))
        self.click(self.ui.undoButton)
        self.assertTrue(self.has(erased))

    def test_the_way_to_segment_editor(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window, so no module can be selected.")
        self.click(self.ui.segmentEditorButton)
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        self.assertIs(editor.segmentationNode(), self.segmentation)
        self.assertIs(editor.sourceVolumeNode(), self.volume)
        slicer.util.selectModule("AttentionUNetSeg")
