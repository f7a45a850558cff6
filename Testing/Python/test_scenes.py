"""Saving, loading and closing scenes; reloading the module."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for


class ScenesTest(PanelTestCase):
    """What a person made is in the scene, and goes on from there without the network."""

    def test_everything_survives_save_and_load(self) -> None:
        segmentation = self.segment()
        self.ui.thresholdSlider.value = 0.9
        self.ui.overlayComboBox.setCurrentIndex(2)
        self.ui.overlayOpacitySlider.value = 0.35
        slicer.app.processEvents()
        missing = np.argwhere(self.truth & ~self.segment_mask(segmentation))[0]
        matrix = self._ijk_to_ras(self.panel.editor.nodes.volume)
        position = (matrix @ [*(float(n) for n in missing[::-1]), 1.0])[:3]
        self.logic.addClick(segmentation, tuple(position), True)
        mask = self.segment_mask(segmentation)
        path = str(self.folder / "scene.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(False)
        slicer.app.processEvents()
        self.assertEqual(self.logic.results(), [])
        self.assertFalse(self.ui.thresholdSlider.enabled)

        slicer.util.loadScene(path)
        slicer.app.processEvents()
        (loaded,) = self.logic.results()
        self.assertIs(self.ui.resultSelector.currentNode(), loaded)
        self.assertAlmostEqual(self.ui.thresholdSlider.value, 0.9, places=2)
        self.assertAlmostEqual(self.ui.overlayOpacitySlider.value, 0.35)
        self.assertEqual(self.ui.overlayComboBox.currentIndex, 2)
        np.testing.assert_array_equal(self.segment_mask(loaded), mask)
        self.click(self.ui.undoButton)  # the scene holds what was done
        self.assertFalse(self.segment_mask(loaded)[tuple(missing)])
        self.click(self.ui.redoButton)
        np.testing.assert_array_equal(self.segment_mask(loaded), mask)

        self.ui.thresholdSlider.value = 0.3
        slicer.app.processEvents()
        self.assertGreater(np.count_nonzero(self.segment_mask(loaded)), np.count_nonzero(mask))
        self.click(self.ui.clearClicksButton)
        self.ui.thresholdSlider.value = 0.9
        slicer.app.processEvents()
        self.assertFalse(self.segment_mask(loaded)[tuple(missing)])
        self.assertEqual(self.logic.unfinishedRuns(), ())

    def test_the_camera_turns_to_the_result_of_an_opened_scene(self) -> None:
        cameras = slicer.util.getNodesByClass("vtkMRMLCameraNode")
        if not cameras:
            self.skipTest("There is no 3D view.")
        segmentation = self.add_result(self.add_phantom())
        bounds = np.zeros(6)
        segmentation.GetRASBounds(bounds)
        middle, moved = (bounds[::2] + bounds[1::2]) / 2, (12.0, 34.0, 56.0)
        paths = [str(self.folder / name) for name in ("untouched.mrb", "moved.mrb")]
        for camera in cameras:  # as in a scene that another program wrote
            camera.RemoveAttribute("AttentionUNetSeg.camera")
            camera.SetPosition(0.0, 500.0, 0.0)
            camera.SetFocalPoint(0.0, 0.0, 0.0)
        self.assertTrue(slicer.util.saveScene(paths[0]))
        for camera in cameras:
            camera.SetPosition(*moved)
        self.assertTrue(slicer.util.saveScene(paths[1]))

        self.open_scene(paths[1])
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            np.testing.assert_allclose(camera.GetPosition(), moved, err_msg="a person moved it before it was saved")
        self.open_scene(paths[0])
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            np.testing.assert_allclose(camera.GetFocalPoint(), middle, atol=5.0)
            camera.SetPosition(*moved)
        later = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCameraNode")  # of a 3D view that opens later
        process_for(0.3)
        np.testing.assert_allclose(later.GetFocalPoint(), middle, atol=5.0)
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            if camera is not later:
                np.testing.assert_allclose(camera.GetPosition(), moved, err_msg="a person moved it")
        slicer.mrmlScene.RemoveNode(later)

    @staticmethod
    def open_scene(path: str) -> None:
        """Close the scene and load another, and let Qt answer."""
        slicer.mrmlScene.Clear(False)
        slicer.app.processEvents()
        slicer.util.loadScene(path)
        process_for(0.3)

    def test_closing_the_scene_empties_the_panel(self) -> None:
        self.segment()
        self.assertFalse(self.ui.messageWidget.isHidden())
        self.click(self.ui.addClickButton)
        slicer.mrmlScene.Clear(False)
        slicer.app.processEvents()
        self.assertFalse(self.ui.segmentButton.enabled)
        self.assertFalse(self.ui.thresholdSlider.enabled)
        self.assertFalse(self.ui.addClickButton.enabled)
        self.assertIsNone(self.ui.resultSelector.currentNode())
        self.assertEqual(self.ui.volumeValueLabel.text, "-")
        self.assertTrue(self.ui.messageWidget.isHidden(), "it was about what is gone")
        self.segment()  # and the panel works on

    def test_the_scene_is_closed_during_a_run(self) -> None:
        self.add_slow_model()
        self.select(self.add_phantom())
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        slicer.mrmlScene.Clear(False)
        self.wait_for_runs()
        self.assertEqual(self.logic.results(), [])
        self.segment()

    def test_nodes_go_between_two_parts_of_a_click(self) -> None:
        import vtk

        for how in ("the scene closes", "the CT goes", "its voxels go", "another result is chosen"):
            volume = self.add_phantom()
            other = self.add_result(volume)
            segmentation = self.add_result(volume)
            self.click(self.ui.removeClickButton)
            bounds = np.zeros(6)
            segmentation.GetRASBounds(bounds)
            clicks = self.panel.editor.nodes.remove_clicks
            clicks.AddControlPointWorld(vtk.vtkVector3d(*(bounds[::2] + bounds[1::2]) / 2))
            slicer.app.processEvents()
            slicer.app.processEvents()
            if how == "the scene closes":
                slicer.mrmlScene.Clear(False)
            elif how == "the CT goes":
                slicer.mrmlScene.RemoveNode(volume)
            elif how == "its voxels go":
                volume.SetAndObserveImageData(None)
            else:
                self.ui.resultSelector.setCurrentNode(other)
            process_for(0.1)  # what is raised meanwhile fails the test
            if how == "its voxels go":
                self.assert_message("no voxels")
            slicer.mrmlScene.Clear(False)

    def test_the_input_is_deleted_during_a_run(self) -> None:
        self.add_slow_model()
        volume = self.add_phantom()
        self.select(volume)
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        slicer.mrmlScene.RemoveNode(volume)
        self.wait_for_runs()
        self.assertEqual(self.logic.results(), [])
        self.assert_message("removed")
        self.use_phantom_model()

    def test_the_module_is_reloaded_during_a_run(self) -> None:
        segmentation = self.segment()
        self.add_slow_model()
        self.select(self.add_phantom(seed=4))
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        old_logic, old_keys = self.logic, list(self.panel.keys.shortcuts)
        self.widget.onReload()
        slicer.app.processEvents()
        self.take_widget()
        self.assertIsNot(self.logic, old_logic)
        self.assertFalse(any(shortcut.enabled for shortcut in old_keys), "each key would act twice")
        self.assertEqual(old_logic.unfinishedRuns(), ())
        self.use_phantom_model()
        self.ui.resultSelector.setCurrentNode(segmentation)
        self.ui.thresholdSlider.value = 0.8
        slicer.app.processEvents()
        self.assertGreater(self.shown_volume(), 0.0)
        self.segment(self.add_phantom(name="after the reload"))

    def _ijk_to_ras(self, volume: object) -> np.ndarray:
        import vtk

        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)
