"""Segment Pancreas: from the click to the result, several volumes, several results."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PHANTOM_MODEL_ID, PanelTestCase, process_for, process_until


class SegmentingTest(PanelTestCase):
    """One click, one result; nothing else changes."""

    def test_the_button_says_what_is_missing(self) -> None:
        self.assertFalse(self.ui.segmentButton.enabled)
        self.assertIn("volume", self.ui.segmentButton.toolTip)
        self.select(self.add_phantom())
        self.assertTrue(self.ui.segmentButton.enabled)
        self.assertTrue(self.ui.inputWarningWidget.isHidden())

    def test_a_click_brings_a_result_in_place(self) -> None:
        volume = self.add_phantom()
        voxels = slicer.util.arrayFromVolume(volume).copy()
        self.select(volume)
        stages, fractions = set(), []

        def look() -> bool:
            runs = self.logic.unfinishedRuns()
            if runs:
                self.assertFalse(self.ui.progressWidget.isHidden())
                stages.add(self.ui.stageLabel.text)
                fractions.append(self.ui.progressBar.value)
            return not runs

        self.click(self.ui.segmentButton)
        self.assertFalse(self.ui.segmentButton.enabled, "the same volume twice at once")
        process_until(look, "the result")
        self.assertEqual(len(self.logic.results()), 1, self.ui.messageLabel.text)
        self.assertEqual(fractions, sorted(fractions))
        self.assertTrue(any("Starting" in stage for stage in stages) or len(stages) > 1, stages)
        self.assertTrue(all("phantom" in stage and " s" in stage for stage in stages), stages)
        self.assertTrue(self.ui.progressWidget.isHidden())
        (segmentation,) = self.logic.results()
        self.assertIs(self.ui.resultSelector.currentNode(), segmentation)
        self.assertGreater(self.dice(segmentation), 0.7)
        expected = np.count_nonzero(self.segment_mask(segmentation)) * 4 * 4 * 5 / 1000
        self.assertAlmostEqual(self.shown_volume(), expected, delta=0.2)
        self.assert_message("phantom", "done in", segmentation.GetName())
        self.assertNotIn("mL", self.ui.messageLabel.text, "it would be wrong after the next change")
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
        self.assertIn("Done", self.ui.logText.plainText)
        self.assertIn("PyTorch", self.ui.versionsLabel.text)

    def test_the_views_turn_to_the_ct_of_a_new_result(self) -> None:
        volume = self.add_phantom()
        other = self.add_phantom(seed=4, name="other")
        slicer.util.setSliceViewerLayers(background=other)
        segmentation = self.segment(volume)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(composite.GetBackgroundVolumeID(), volume.GetID())
        bounds = [0.0] * 6
        segmentation.GetRASBounds(bounds)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetOrientation() == "Axial":
                self.assertTrue(bounds[4] <= view.GetSliceOffset() <= bounds[5])
        if self.ui.show3DCheckBox.checked:
            process_until(lambda: self.logic.hasSurface(segmentation), "the surface", 20.0)

    def test_running_again_changes_no_other_result(self) -> None:
        volume = self.add_phantom()
        first = self.segment(volume)
        self.ui.thresholdSlider.value = 0.9
        slicer.app.processEvents()
        mask = self.segment_mask(first)
        second = self.segment(volume)
        self.assertIsNot(first, second)
        np.testing.assert_array_equal(self.segment_mask(first), mask)
        self.assertIs(self.ui.resultSelector.currentNode(), second)
        self.assertNotAlmostEqual(self.ui.thresholdSlider.value, 0.9)
        self.ui.resultSelector.setCurrentNode(first)
        slicer.app.processEvents()
        self.assertAlmostEqual(self.ui.thresholdSlider.value, 0.9, places=2)
        self.assertAlmostEqual(self.shown_volume(), np.count_nonzero(mask) * 0.08, delta=0.2)

    def test_volumes_queue_for_one_worker(self) -> None:
        first, second = self.add_phantom(name="first"), self.add_phantom(seed=4, name="second")
        self.select(first)
        self.click(self.ui.segmentButton)
        self.select(second)
        self.click(self.ui.segmentButton)
        # At once: on a fast machine the first run is soon over.
        self.assertEqual(len(self.logic.unfinishedRuns()), 2)
        self.assertIn("second", self.ui.queueLabel.text)
        self.wait_for_runs()
        volumes = [node.GetName() for node in self.logic.results()]
        self.assertEqual(len(volumes), 2)
        self.assertTrue(any("first" in name for name in volumes) and any("second" in name for name in volumes))

    def test_cancel_leaves_nothing(self) -> None:
        self.add_slow_model()
        volume = self.add_phantom(name="stopped")
        self.select(volume)
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        self.click(self.ui.cancelButton)
        self.wait_for_runs()
        self.assertEqual(self.logic.results(), [])
        self.assert_message("stopped", "cancelled")
        self.assertTrue(self.ui.segmentButton.enabled)
        slicer.mrmlScene.RemoveNode(volume)
        process_until(self.ui.messageWidget.isHidden, "the end of the message about a CT that is gone", 20.0)
        self.use_phantom_model()

    def test_nothing_half_imported_remains(self) -> None:
        def cancel(_volume: object) -> None:
            self.click(self.ui.cancelButton)

        def delete_ct(volume: object) -> None:
            slicer.mrmlScene.RemoveNode(volume)

        def close_scene(_volume: object) -> None:
            slicer.mrmlScene.Clear(False)

        for act in (cancel, delete_ct, close_scene):
            volume = self.add_phantom()
            self.select(volume)
            self.click(self.ui.segmentButton)
            process_until(
                lambda: any(run.state.value == "importing" for run in self.logic.unfinishedRuns()), "the import"
            )
            self.assertIn("Bringing", self.ui.stageLabel.text)
            self.assertEqual(self.parts_of_results(), [])
            act(volume)
            self.wait_for_runs()
            process_for(0.3)
            self.assertEqual(self.parts_of_results(), [], act.__name__)
            self.assertTrue(self.ui.progressWidget.isHidden())
            slicer.mrmlScene.Clear(False)
            self.use_phantom_model()
        self.segment()  # and the worker is as before

    @staticmethod
    def parts_of_results() -> list[str]:
        """The names of all nodes that belong to a result."""
        nodes = slicer.util.getNodesByClass("vtkMRMLNode")
        return [node.GetName() for node in nodes if node.GetAttribute("AttentionUNetSeg.result")]

    def test_results_follow_the_transform_of_the_volume(self) -> None:
        import vtk

        volume = self.add_phantom()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        turn = vtk.vtkTransform()
        turn.RotateZ(20)
        turn.Translate(30, -40, 100)
        transform.SetMatrixTransformToParent(turn.GetMatrix())
        volume.SetAndObserveTransformNodeID(transform.GetID())
        segmentation = self.segment(volume)
        self.assertEqual(segmentation.GetTransformNodeID(), transform.GetID())
        self.assertGreater(self.dice(segmentation), 0.7)

    def test_results_follow_a_warped_and_oblique_volume(self) -> None:
        import vtk

        volume = self.add_phantom()
        turn = vtk.vtkTransform()
        turn.RotateX(25)
        turn.RotateZ(-15)
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        vtk.vtkMatrix4x4.Multiply4x4(turn.GetMatrix(), matrix, matrix)
        volume.SetIJKToRASMatrix(matrix)  # an oblique CT
        warp = vtk.vtkThinPlateSplineTransform()
        source, target = vtk.vtkPoints(), vtk.vtkPoints()
        for point in ((0, 0, 0), (200, 0, 0), (0, 200, 0), (0, 0, 200), (100, 100, 100)):
            source.InsertNextPoint(point)
            target.InsertNextPoint([value + 10 * (index + 1) for index, value in enumerate(point)])
        target.SetPoint(4, 130.0, 90.0, 110.0)
        warp.SetSourceLandmarks(source)
        warp.SetTargetLandmarks(target)
        warp.SetBasisToR()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        transform.SetAndObserveTransformToParent(warp)
        volume.SetAndObserveTransformNodeID(transform.GetID())
        segmentation = self.segment(volume)
        for node in (segmentation, self.panel.editor.nodes.probability, *self.panel.editor.nodes.attention):
            self.assertEqual(node.GetTransformNodeID(), transform.GetID())
        segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
        image = slicer.vtkOrientedImageData()
        segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
        found = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(found)
        for row in range(3):
            for column in range(3):
                self.assertAlmostEqual(found.GetElement(row, column), matrix.GetElement(row, column), places=3)

    def test_a_region_limits_the_work(self) -> None:
        volume = self.add_phantom()
        whole = self.segment(volume)
        bounds = [0.0] * 6
        whole.GetRASBounds(bounds)
        middle = (bounds[0] + bounds[1]) / 2
        low = [middle - 30.0, bounds[2], bounds[4]]
        high = [middle, bounds[3], bounds[5]]
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "region")
        roi.SetCenter(*[(first + last) / 2 for first, last in zip(low, high, strict=True)])
        roi.SetSize(*[last - first for first, last in zip(low, high, strict=True)])
        self.ui.roiSelector.setCurrentNode(roi)
        slicer.app.processEvents()
        limited = self.segment(volume)
        limited_bounds = [0.0] * 6
        limited.GetRASBounds(limited_bounds)
        voxel = 2 * volume.GetSpacing()[0]  # the box holds whole voxels, and a surface is smoothed
        self.assertLessEqual(limited_bounds[1], middle + voxel)
        self.assertGreaterEqual(limited_bounds[0], middle - 30.0 - voxel)
        self.assertGreater(np.count_nonzero(self.segment_mask(limited)), 0)

    def test_an_empty_result_of_a_small_region_is_said_once(self) -> None:
        volume = self.add_phantom()
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "region")
        bounds = [0.0] * 6
        volume.GetRASBounds(bounds)
        roi.SetCenter(bounds[0] + 30.0, bounds[2] + 30.0, bounds[4] + 30.0)
        roi.SetSize(3.0, 3.0, 3.0)
        self.ui.roiSelector.setCurrentNode(roi)
        slicer.app.processEvents()
        self.segment(volume)
        self.assert_message("empty")
        self.assertNotIn("sure", self.ui.messageLabel.text)
        self.ui.roiSelector.setCurrentNode(None)

    def test_each_run_has_one_line_and_none_erases_another(self) -> None:
        first, second = self.add_phantom(name="first"), self.add_phantom(seed=4, name="second")
        self.select(first)
        self.click(self.ui.segmentButton)
        self.select(second)
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        texts = [notice.text for notice in self.panel.messages.notices]
        for name in ("first", "second"):
            self.assertEqual(sum(text.startswith(f"{name}: done in") for text in texts), 1, texts)
        self.assertIs(self.panel.selection.volume, second, "a run that ends takes nobody away from another CT")
        while "first" not in self.ui.messageLabel.text:
            self.click(self.ui.nextMessageButton)
        self.click(self.ui.actionButton)  # Show it
        self.assertIs(self.panel.selection.volume, first)
        self.click(self.ui.dismissButton)
        self.assertNotIn("first", self.ui.messageLabel.text)

    def test_doubtful_volumes_are_told_and_may_be_tried(self) -> None:
        volume = self.add_phantom()
        slicer.util.updateVolumeFromArray(volume, (slicer.util.arrayFromVolume(volume) + 1000).astype(np.int16) // 20)
        volume.RemoveAttribute("AttentionUNetSeg.phantom")
        self.select(volume)
        self.assertFalse(self.ui.inputWarningWidget.isHidden())
        self.assertIn("phantom", self.ui.inputWarningLabel.text)
        self.assertFalse(self.ui.segmentButton.enabled)
        self.click(self.ui.segmentAnywayCheckBox)
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        self.assertEqual(len(self.logic.results()), 1, self.ui.messageLabel.text)

    def test_another_modality_is_told(self) -> None:
        volume = self.add_phantom()
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
        hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
        self.select(volume)
        self.assertIn("MR", self.ui.inputWarningLabel.text)
        self.assertFalse(self.ui.segmentButton.enabled)
        self.assertIn("anyway", self.ui.segmentButton.toolTip)
        self.click(self.ui.segmentAnywayCheckBox)
        self.assertTrue(self.ui.segmentButton.enabled)
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        self.select(empty)
        self.assertFalse(self.ui.segmentAnywayCheckBox.checked, "consent is for one volume")
        self.assertIn("voxels", self.ui.inputWarningLabel.text)

    def test_the_logic_works_without_the_panel(self) -> None:
        volume = self.add_phantom()
        segmentation = self.logic.segmentPancreas(volume, model=PHANTOM_MODEL_ID, waitForCompletion=True)
        self.assertGreater(self.dice(segmentation), 0.7)
        smaller = self.logic.setThreshold(segmentation, 0.9)
        self.assertLess(smaller, self.logic.setThreshold(segmentation, 0.1))
        self.assertAlmostEqual(self.logic.volumeMl(segmentation), self.logic.setThreshold(segmentation, 0.1), places=3)
