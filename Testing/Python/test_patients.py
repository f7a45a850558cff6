"""Two patients in one scene: what is seen, chosen, moved and deleted belongs to one of them."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until


class PatientsTest(PanelTestCase):
    """The right CT under the right result, and no part of another patient over it."""

    def setUp(self) -> None:
        super().setUp()
        self.ct_a = self.add_phantom(name="patient A")
        self.a = self.add_result(self.ct_a)
        self.ct_b = self.add_phantom(seed=4, name="patient B")
        self.b = self.add_result(self.ct_b)

    def backgrounds(self) -> set:
        """The volumes behind the slice views."""
        return {each.GetBackgroundVolumeID() for each in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}

    def foregrounds(self) -> set:
        """The overlays of the slice views."""
        return {each.GetForegroundVolumeID() for each in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}

    def is_seen(self, segmentation: object) -> bool:
        """Whether the segment is shown."""
        return bool(segmentation.GetDisplayNode().GetVisibility())

    def choose(self, segmentation: object) -> None:
        """Choose a result in the panel's list."""
        self.ui.resultSelector.setCurrentNode(segmentation)
        process_for(0.3)

    def test_the_views_follow_run_input_and_result(self) -> None:
        self.assertEqual(self.backgrounds(), {self.ct_b.GetID()})
        self.assertEqual((self.is_seen(self.a), self.is_seen(self.b)), (False, True))
        self.ui.overlayComboBox.setCurrentIndex(1)
        process_for(0.3)
        self.choose(self.a)
        self.assertEqual(self.backgrounds(), {self.ct_a.GetID()})
        self.assertEqual(self.foregrounds(), {self.panel.editor.nodes.probability.GetID()})
        self.assertIs(self.ui.inputVolumeSelector.currentNode(), self.ct_a)
        self.assertEqual((self.is_seen(self.a), self.is_seen(self.b)), (True, False))
        self.select(self.ct_b)
        self.assertIs(self.panel.result, self.b)
        self.assertEqual(self.backgrounds(), {self.ct_b.GetID()})
        third = self.add_phantom(seed=5, name="patient C")
        self.select(third)
        self.assertIsNone(self.panel.result)
        self.assertEqual(self.backgrounds(), {third.GetID()})
        self.assertEqual((self.is_seen(self.a), self.is_seen(self.b)), (False, False))
        self.assertFalse(any(self.foregrounds()))

    def test_slices_are_centered_in_all_directions(self) -> None:
        from AttentionUNetSegLib.scene.segment import center_of_segment

        far = self.add_phantom(seed=5, name="patient C, far from the origin")
        far.SetOrigin(*(np.array(far.GetOrigin()) + (400.0, 300.0, 500.0)))
        result = self.add_result(far)
        self.choose(self.a)
        self.choose(result)
        center = np.array(center_of_segment(self.panel.editor.nodes))
        self.assertGreater(center.min(), 150.0, "where no view lies by itself")
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            middle = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
            # Along its normal a view may come to rest on the nearest slice, 5 mm thick.
            self.assertLess(np.abs(middle - center).max(), 5.0, node.GetName())

    def test_a_result_that_is_in_no_folder_is_found_and_prints_nothing(self) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        hierarchy.RemoveItem(hierarchy.GetItemByDataNode(self.a), False, False)  # as while it is made or deleted
        self.assertIn(self.a, self.logic.results())  # what it prints fails the test, see `PrintedByVtk`

    def test_a_new_slice_view_shows_the_same(self) -> None:
        self.ui.overlayComboBox.setCurrentIndex(1)
        composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        process_for(0.3)
        self.assertEqual(composite.GetBackgroundVolumeID(), self.ct_b.GetID())
        self.assertEqual(composite.GetForegroundVolumeID(), self.panel.editor.nodes.probability.GetID())

    def test_others_can_be_shown_too_but_their_clicks_cannot(self) -> None:
        self.choose(self.a)
        self.panel.editor.require_click_lists()
        lists = self.panel.editor.nodes.add_clicks, self.panel.editor.nodes.remove_clicks
        self.choose(self.b)
        self.click(self.ui.showOnlyThisCheckBox)
        self.assertEqual((self.is_seen(self.a), self.is_seen(self.b)), (True, True))
        self.assertFalse(any(each.GetDisplayNode().GetVisibility() for each in lists))
        self.click(self.ui.showOnlyThisCheckBox)
        self.assertFalse(self.is_seen(self.a))

    def test_two_results_of_one_ct_differ_in_name_and_color(self) -> None:
        again = self.segment(self.ct_b)  # by the network: only its results are given colours
        self.assertNotEqual(again.GetName(), self.b.GetName())
        colors = [np.array(node.GetSegmentation().GetNthSegment(0).GetColor()) for node in (self.b, again)]
        self.assertGreater(np.abs(colors[0] - colors[1]).max(), 0.2)

    def test_what_the_module_made_is_no_input(self) -> None:
        for node in (self.panel.editor.nodes.probability, *self.panel.editor.nodes.attention):
            self.ui.inputVolumeSelector.setCurrentNode(node)
            slicer.app.processEvents()
            self.assertIsNot(self.ui.inputVolumeSelector.currentNode(), node)
        offered, selector = [], self.ui.inputVolumeSelector
        while selector.nodeFromIndex(len(offered)) is not None:
            offered.append(selector.nodeFromIndex(len(offered)))
        self.assertEqual({each.GetID() for each in offered}, {self.ct_a.GetID(), self.ct_b.GetID()})
        for ct in (self.ct_b, self.ct_a):
            slicer.mrmlScene.RemoveNode(ct)
            process_for(0.3)
            chosen = self.ui.inputVolumeSelector.currentNode()
            self.assertFalse(chosen is not None and chosen.GetAttribute("AttentionUNetSeg.role"), "a map is no CT")

    def test_a_ct_that_was_moved_gets_a_word_and_the_result_can_follow(self) -> None:
        import vtk

        self.assertTrue(self.ui.placeWidget.isHidden())
        mask = self.segment_mask(self.b)
        for is_hardened, distance in ((False, 100.0), (True, 200.0)):  # each 100 mm from where the result is
            transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            shift = vtk.vtkTransform()
            shift.Translate(0.0, 0.0, distance)
            transform.SetMatrixTransformToParent(shift.GetMatrix())
            self.ct_b.SetAndObserveTransformNodeID(transform.GetID())
            if is_hardened:
                self.ct_b.HardenTransform()
            process_until(lambda: not self.ui.placeWidget.isHidden(), "the banner")
            self.assertIn("100 mm", self.ui.placeLabel.text)
            before = self.shown_volume()
            self.ui.thresholdSlider.value = 0.9
            slicer.app.processEvents()
            self.assertLess(self.shown_volume(), before, "the threshold needs no place")
            self.click(self.ui.addClickButton)
            self.panel.editor.nodes.add_clicks.AddControlPointWorld(vtk.vtkVector3d(*self.middle_of(self.b)))
            process_until(lambda: "Move the result" in self.ui.messageLabel.text, "the refusal of a click", 20.0)
            self.assertFalse(self.panel.editor.can_undo)
            self.click(self.ui.addClickButton)
            self.ui.thresholdSlider.value = 0.5
            slicer.app.processEvents()
            self.click(self.ui.moveAlongButton)
            self.assertTrue(self.ui.placeWidget.isHidden())
            self.assertIsNone(self.panel.editor.apart)
            np.testing.assert_array_equal(self.segment_mask(self.b), mask)

    def test_a_slider_that_was_refused_goes_back(self) -> None:
        before = self.ui.thresholdSlider.value
        segmentation = self.b.GetSegmentation()
        segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
        self.ui.thresholdSlider.value = 0.9
        slicer.app.processEvents()
        self.assert_message("no longer in")
        self.assertAlmostEqual(self.ui.thresholdSlider.value, before)
        self.choose(self.a)
        self.ui.thresholdSlider.value = 0.7
        slicer.app.processEvents()
        self.assertTrue(self.ui.messageWidget.isHidden(), "the next action went well")

    def test_a_deleted_gate_leaves_the_others_their_numbers(self) -> None:
        second = self.panel.editor.nodes.gates[2]
        combo = self.ui.overlayComboBox
        combo.setCurrentIndex(2)
        process_for(0.1)
        self.assertEqual(self.foregrounds(), {self.panel.editor.nodes.gates[1].GetID()})
        slicer.mrmlScene.RemoveNode(self.panel.editor.nodes.gates[1])
        process_for(0.3)
        self.assertEqual(combo.currentIndex, 0, "what was shown is gone")
        self.assertFalse(any(self.foregrounds()))
        texts = [combo.itemText(n) for n in range(combo.count)]
        self.assertFalse(any("gate 1" in text for text in texts), texts)
        combo.setCurrentIndex(next(n for n, text in enumerate(texts) if "gate 2" in text))
        process_for(0.3)
        self.assertEqual(self.foregrounds(), {second.GetID()})

    def test_a_deleted_result_leaves_nothing_of_it(self) -> None:
        everything = [node.GetID() for node in self._nodes_of(self.b)]
        name = self.b.GetName()
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        self.assertTrue(hierarchy.GetItemByName(name))
        asked = slicer.util.confirmOkCancelDisplay
        try:
            slicer.util.confirmOkCancelDisplay = lambda *_arguments, **_options: False
            self.click(self.ui.deleteResultButton)
            self.assertIn(self.b, self.logic.results(), "the person said no")
            slicer.util.confirmOkCancelDisplay = lambda *_arguments, **_options: True
            self.click(self.ui.deleteResultButton)
        finally:
            slicer.util.confirmOkCancelDisplay = asked
        process_for(0.3)
        self.assertEqual([each for each in everything if slicer.mrmlScene.GetNodeByID(each) is not None], [])
        self.assertFalse(hierarchy.GetItemByName(name), "its folder")
        self.assertIsNotNone(self.ct_b.GetScene())
        self.assertEqual(self.logic.results(), [self.a])

    def test_the_camera_turns_to_a_result_until_a_person_moves_it(self) -> None:
        cameras = slicer.util.getNodesByClass("vtkMRMLCameraNode")
        if not cameras:
            self.skipTest("There is no 3D view.")
        bounds = np.zeros(6)
        self.b.GetRASBounds(bounds)
        for camera in cameras:
            self.assertTrue(np.all(np.array(camera.GetFocalPoint()) > bounds[::2]), "it still looks at the origin")
            camera.SetPosition(12.0, 34.0, 56.0)
        self.choose(self.a)
        for camera in cameras:
            np.testing.assert_allclose(camera.GetPosition(), (12.0, 34.0, 56.0))

    def test_an_automatic_window_becomes_the_abdomens(self) -> None:
        display = self.ct_a.GetDisplayNode()
        display.SetAutoWindowLevel(1)
        self.choose(self.a)
        self.assertEqual((display.GetWindow(), display.GetLevel()), (400.0, 40.0))
        self.assertIn("Abdomen", self.ui.windowComboBox.currentText)
        display.SetWindowLevel(1000.0, 300.0)
        process_for(0.1)
        self.assertEqual(self.ui.windowComboBox.currentIndex, 0, "none of the presets, as it is now")
        self.choose(self.b)
        self.choose(self.a)
        self.assertEqual((display.GetWindow(), display.GetLevel()), (1000.0, 300.0), "a person chose it")
        for _time in range(2):  # and once more after the mouse has changed it
            self.ui.windowComboBox.setCurrentIndex(1)
            self.assertEqual((display.GetWindow(), display.GetLevel()), (400.0, 40.0))
            display.SetWindowLevel(300.0, 10.0)
            process_for(0.1)

    def test_a_ct_without_a_result_gets_the_abdomens_window_too(self) -> None:
        ct, mr, windowed = (self.add_phantom(seed=5, name=name) for name in ("CT", "MR", "CT with a window of DICOM"))
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(mr) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), mr)
        hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
        for volume in (ct, mr):
            volume.GetDisplayNode().SetAutoWindowLevel(1)
        windowed.GetDisplayNode().SetWindowLevel(350.0, 55.0)
        shown = []
        for volume in (ct, mr, windowed):
            self.select(volume)
            display = volume.GetDisplayNode()
            window = (display.GetWindow(), display.GetLevel())
            shown.append("automatic" if display.GetAutoWindowLevel() else window)
        self.assertEqual(shown, [(400.0, 40.0), "automatic", (350.0, 55.0)])

    @staticmethod
    def middle_of(segmentation: object) -> np.ndarray:
        """World RAS of the middle of what the segment fills."""
        bounds = np.zeros(6)
        segmentation.GetRASBounds(bounds)
        return (bounds[::2] + bounds[1::2]) / 2

    def test_a_result_without_a_voxel_shows_nothing_of_another_patient(self) -> None:
        negative = self.add_phantom(seed=5, name="negative")
        self.truth = np.zeros_like(self.truth)
        empty = self.add_result(negative)
        self.panel.select_result(empty, is_new=True)
        process_for(0.5)
        self.assertEqual(self.shown_volume(), 0.0)
        self.assertIn("nothing", self.ui.volumeValueLabel.text)
        self.assertEqual(self.backgrounds(), {negative.GetID()})
        self.assertFalse(self.is_seen(self.a) or self.is_seen(self.b))
        self.choose(self.a)
        self.assertTrue(self.is_seen(self.a))

    @staticmethod
    def _nodes_of(segmentation: object) -> list:
        from AttentionUNetSegLib.scene import nodes_of_segmentation

        return nodes_of_segmentation(segmentation)
