"""The selected result: threshold, clean-up, surface, attention."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until


class ShowingTest(PanelTestCase):
    """Sliders and check boxes act on the selected result at once."""

    def setUp(self) -> None:
        super().setUp()
        self.segmentation = self.add_result(self.add_phantom())
        self.panel.select_result(self.segmentation, is_new=True)

    def test_sections_open_when_they_become_useful(self) -> None:
        self.assertFalse(self.ui.resultCollapsibleButton.collapsed)
        self.ui.correctionCollapsibleButton.collapsed = True
        other = self.add_result(self.add_phantom(seed=4, name="not corrected"))
        self.assertTrue(self.ui.correctionCollapsibleButton.collapsed)
        inside = [0.0] * 6
        self.segmentation.GetRASBounds(inside)
        middle = [(low + high) / 2 for low, high in zip(inside[::2], inside[1::2], strict=True)]
        self.logic.addClick(self.segmentation, tuple(middle), False)
        self.ui.resultSelector.setCurrentNode(self.segmentation)
        slicer.app.processEvents()
        self.assertIsNot(self.panel.result, other)
        self.assertFalse(self.ui.correctionCollapsibleButton.collapsed)
        self.ui.overlayComboBox.setCurrentIndex(1)  # an overlay is on: its section is of use for every result
        self.ui.attentionCollapsibleButton.collapsed = True
        self.ui.resultSelector.setCurrentNode(other)
        slicer.app.processEvents()
        self.assertFalse(self.ui.attentionCollapsibleButton.collapsed)

    def test_an_empty_segment_has_no_surface_and_prints_nothing(self) -> None:
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface", 20.0)
        self.ui.thresholdSlider.value = 1.0  # the phantom's field ends at 240 of 255
        process_for(0.5)
        self.assertEqual(self.shown_volume(), 0.0)
        self.assertFalse(self.logic.hasSurface(self.segmentation))
        self.ui.thresholdSlider.value = 0.5
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface again", 20.0)
        for threshold, has_surface in ((1.0, False), (0.5, True)):  # as a script does it, to whom nothing is left out
            self.logic.setThreshold(self.segmentation, threshold)
            self.assertEqual(self.logic.hasSurface(self.segmentation), has_surface)

    def test_the_threshold_slider_moves_the_segment(self) -> None:
        volumes = []
        for threshold in (0.2, 0.5, 0.8, 0.95):
            self.ui.thresholdSlider.value = threshold
            slicer.app.processEvents()
            volumes.append(self.shown_volume())
            voxels = np.count_nonzero(self.segment_mask(self.segmentation))
            self.assertAlmostEqual(volumes[-1], voxels * 0.08, delta=0.2)
        self.assertEqual(volumes, sorted(volumes, reverse=True))
        self.assertGreater(volumes[0], volumes[-1])
        self.assertAlmostEqual(self.panel.editor.settings[0], 0.95, places=2)

    def test_a_drag_is_followed_before_the_mouse_is_let_go(self) -> None:
        before = self.shown_volume()
        for value in (0.6, 0.7, 0.8, 0.9):
            self.ui.thresholdSlider.valueIsChanging(value)  # what the slider tells while the mouse moves
        process_for(0.3)
        during = self.shown_volume()
        self.assertLess(during, before)
        self.ui.thresholdSlider.value = 0.9
        slicer.app.processEvents()
        self.assertAlmostEqual(self.shown_volume(), during, delta=0.2)
        self.ui.show3DCheckBox.checked = True
        self.ui.thresholdSlider.value = 0.8
        self.assertFalse(self.logic.hasSurface(self.segmentation), "a step does not wait for the surface")
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface", 20.0)

    def test_keys_do_what_they_say(self) -> None:
        if slicer.util.mainWindow() is None:
            self.skipTest("Slicer runs without a main window.")
        keys = {shortcut.key.toString(): shortcut for shortcut in self.panel.keys.shortcuts}
        keys["Shift+H"].activated.emit()
        self.assertFalse(self.segmentation.GetDisplayNode().GetVisibility())
        keys["Shift+H"].activated.emit()
        self.assertTrue(self.segmentation.GetDisplayNode().GetVisibility())
        keys["Shift+O"].activated.emit()
        self.assertEqual(self.ui.overlayComboBox.currentIndex, 1)
        for key, button in (("Shift+A", self.ui.addClickButton), ("Shift+R", self.ui.removeClickButton)):
            keys[key].activated.emit()
            self.assertTrue(button.checked, key)
        keys["Shift+D"].activated.emit()
        self.assertEqual(self.ui.toolComboBox.currentIndex, 1)
        self.ui.toolComboBox.setCurrentIndex(0)
        before = self.shown_volume()
        for _press in range(5):
            keys["Shift+Up"].activated.emit()
        self.assertAlmostEqual(self.ui.thresholdSlider.value, 0.55, places=3)
        self.assertLess(self.shown_volume(), before)
        for _press in range(5):
            keys["Shift+Down"].activated.emit()
        self.assertAlmostEqual(self.shown_volume(), before)

    def test_clean_up(self) -> None:
        self.ui.thresholdSlider.value = 0.05
        rough = self.shown_volume()
        self.click(self.ui.keepLargestCheckBox)
        self.assertLessEqual(self.shown_volume(), rough)
        self.assertTrue(self.panel.editor.settings[1])
        self.ui.smoothingSlider.value = 4.0
        slicer.app.processEvents()
        self.assertAlmostEqual(self.panel.editor.settings[2], 4.0)
        self.assertNotEqual(self.shown_volume(), rough)

    def test_the_spread_can_be_laid_over_the_slices(self) -> None:
        combo = self.ui.overlayComboBox
        self.assertNotIn("Spread", [combo.itemText(n).split()[0] for n in range(combo.count)])
        self.click(self.ui.testTimeAugmentationCheckBox)
        self.segment(self.add_phantom(name="measured"))
        spread = self.panel.editor.nodes.spread
        self.assertGreater(slicer.util.arrayFromVolume(spread).max(), 0)
        combo.setCurrentIndex([combo.itemText(n).split()[0] for n in range(combo.count)].index("Spread"))
        slicer.app.processEvents()
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(composite.GetForegroundVolumeID(), spread.GetID())

    def test_a_change_at_the_moment_when_the_surface_begins_does_not_cost_it(self) -> None:
        surface = self.panel.surface
        surface.leave_out()
        surface.begin()  # as when the person has come to rest
        surface.leave_out()  # and goes on at once, as undo does on a slow machine
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface", 20.0)

    def test_the_surface_follows_its_check_box(self) -> None:
        self.assertTrue(self.ui.show3DCheckBox.checked)
        self.assertFalse(self.logic.hasSurface(self.segmentation), "a result is seen before its surface is made")
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface", 20.0)
        self.click(self.ui.show3DCheckBox)
        self.assertFalse(self.logic.hasSurface(self.segmentation))
        self.click(self.ui.show3DCheckBox)
        process_until(lambda: self.logic.hasSurface(self.segmentation), "the surface again", 20.0)
        self.assertTrue(self.segmentation.GetDisplayNode().GetVisibility3D())

    def test_attention_lies_over_the_slices(self) -> None:
        combo = self.ui.overlayComboBox
        gates = self.panel.editor.nodes.attention
        self.assertEqual(combo.count, 2 + len(gates))
        self.assertGreaterEqual(len(gates), 2)
        shown = [None, self.panel.editor.nodes.probability, *gates]
        for index in (1, 2, len(shown) - 1):
            combo.setCurrentIndex(index)
            slicer.app.processEvents()
            for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
                self.assertEqual(composite.GetForegroundVolumeID(), shown[index].GetID())
        self.ui.overlayOpacitySlider.value = 0.75
        self.ui.overlayThresholdSlider.value = 0.4
        slicer.app.processEvents()
        display = gates[-1].GetDisplayNode()
        self.assertAlmostEqual(display.GetLowerThreshold(), 0.4 * 255, delta=1.0)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertAlmostEqual(composite.GetForegroundOpacity(), 0.75)
        combo.setCurrentIndex(0)
        slicer.app.processEvents()
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertFalse(composite.GetForegroundVolumeID())

    def test_a_foreground_that_a_person_chose_stays(self) -> None:
        self.ui.overlayComboBox.setCurrentIndex(1)
        own = self.panel.editor.nodes.probability
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        if len(composites) < 3:
            self.skipTest("There are no slice views.")
        other = self.add_phantom(seed=4, name="another examination")
        composites[0].SetForegroundVolumeID(other.GetID())
        composites[0].SetForegroundOpacity(0.3)
        composites[1].SetForegroundVolumeID(None)
        for _time in range(2):
            self.add_phantom(seed=4, name="loaded later")
            process_for(0.1)
            self.ui.overlayOpacitySlider.value = 0.6
            shown = [each.GetForegroundVolumeID() for each in composites[:3]]
            self.assertEqual(shown, [other.GetID(), None, own.GetID()])
            self.assertAlmostEqual(composites[0].GetForegroundOpacity(), 0.3)
            self.assertAlmostEqual(composites[2].GetForegroundOpacity(), 0.6)
        self.ui.overlayComboBox.setCurrentIndex(2)  # and is over as soon as they choose an overlay
        for composite in composites:
            self.assertEqual(composite.GetForegroundVolumeID(), self.panel.editor.nodes.gates[1].GetID())

    def test_an_overlay_has_a_legend_and_a_contour_that_is_seen(self) -> None:
        logic = slicer.modules.colors.logic()
        nodes = self.panel.editor.nodes
        own = self.segmentation.GetSegmentation().GetNthSegment(0).GetColor()
        segment_id = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        for index, node, word in ((1, nodes.probability, "Probability"), (2, nodes.gates[1], "Attention")):
            self.ui.overlayComboBox.setCurrentIndex(index)
            slicer.app.processEvents()
            legend = logic.GetColorLegendDisplayNode(node)
            self.assertTrue(legend.GetVisibility())
            self.assertIn(word, legend.GetTitleText())
            self.assertEqual(legend.GetColorNodeID(), node.GetDisplayNode().GetColorNodeID())
            self.assertTrue(self.ui.overlayMeaningLabel.text.endswith("."), "one sentence about what is shown")
            contour = np.array(list(self.segmentation.GetDisplayNode().GetSegmentColor(segment_id)))
            table = np.array([self.color_of(node, value) for value in range(52, 256)])
            self.assertGreater(np.linalg.norm(table - contour, axis=1).min(), 0.5, "it drowns in the overlay")
        self.assertFalse(logic.GetColorLegendDisplayNode(nodes.probability).GetVisibility())
        self.click(self.ui.legendCheckBox)
        self.assertFalse(legend.GetVisibility())
        self.click(self.ui.legendCheckBox)
        self.assertTrue(legend.GetVisibility())
        self.ui.overlayComboBox.setCurrentIndex(0)
        slicer.app.processEvents()
        self.assertFalse(legend.GetVisibility())
        self.assertEqual(list(self.segmentation.GetDisplayNode().GetSegmentColor(segment_id)), list(own))

    def test_an_overlay_fades_in_at_its_low_end(self) -> None:
        logics = list(slicer.app.applicationLogic().GetSliceLogics())
        if not logics:
            self.skipTest("There is no slice view.")
        self.ui.overlayComboBox.setCurrentIndex(1)
        self.ui.overlayThresholdSlider.value = 0.2
        slicer.app.processEvents()
        self.assertIn("0.20", self.ui.overlayMeaningLabel.text)
        self.assertIn("0.45", self.ui.overlayMeaningLabel.text)
        values, opacity = self.overlay_pixels(logics[0])
        self.assertEqual(opacity[values < 51].max(initial=0), 0)
        edge, full = opacity[(values >= 51) & (values < 70)], opacity[values > 120]
        self.assertGreater(len(edge), 0)
        self.assertLess(edge.max(), 90, "a hard edge")
        self.assertEqual(full.min(), 255)
        between = opacity[(values > 51) & (values < 115)]
        self.assertGreater(len(np.unique(between)), 5, "a step is no ramp")
        # Another overlay, a person's own, is drawn as Slicer draws it.
        other = self.add_phantom(seed=4, name="another examination")
        display = other.GetDisplayNode()
        display.SetThreshold(-100.0, 3000.0)
        display.ApplyThresholdOn()
        process_for(0.1)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            composite.SetForegroundVolumeID(other.GetID())
        self.assertEqual(set(np.unique(self.overlay_pixels(logics[0])[1])), {0, 255})

    @staticmethod
    def overlay_pixels(logic: object) -> tuple[np.ndarray, np.ndarray]:
        """Return the values, and the opacities (0 to 255), of the foreground that a slice view draws."""
        from vtk.util.numpy_support import vtk_to_numpy

        layer = logic.GetForegroundLayer()
        arrays = []
        for port in (layer.GetReslice().GetOutputPort(), layer.GetVolumeDisplayNode().GetOutputImageDataConnection()):
            port.GetProducer().Update()
            image = port.GetProducer().GetOutputDataObject(0)
            arrays.append(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetNumberOfPoints(), -1))
        return arrays[0][:, 0].astype(int), arrays[1][:, 3].astype(int)

    @staticmethod
    def color_of(node: object, value: int) -> list[float]:
        """Return the colour (red, green, blue) of a stored value of a field."""
        rgba = [0.0] * 4
        node.GetDisplayNode().GetColorNode().GetColor(value, rgba)
        return rgba[:3]

    def test_the_colour_map_is_that_of_the_selector(self) -> None:
        self.ui.overlayComboBox.setCurrentIndex(1)
        color = slicer.mrmlScene.GetFirstNodeByName("Warm1") or slicer.mrmlScene.GetFirstNodeByName("Grey")
        self.ui.overlayColorSelector.setCurrentNode(color)
        slicer.app.processEvents()
        shown = self.panel.editor.nodes.probability.GetDisplayNode().GetColorNode()
        self.assertEqual(shown.GetID(), color.GetID())

    def test_the_panel_follows_the_selected_result(self) -> None:
        other = self.add_result(self.add_phantom(seed=4, name="other"))
        self.ui.overlayComboBox.setCurrentIndex(2)
        slicer.app.processEvents()
        self.ui.resultSelector.setCurrentNode(self.segmentation)
        slicer.app.processEvents()
        own = self.panel.editor.nodes.attention[0].GetID()
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(composite.GetForegroundVolumeID(), own)
        slicer.mrmlScene.RemoveNode(other)
        slicer.app.processEvents()
        self.assertIs(self.panel.result, self.segmentation)
        slicer.mrmlScene.RemoveNode(self.segmentation)
        slicer.app.processEvents()
        self.assertFalse(self.ui.thresholdSlider.enabled)
        self.assertFalse(self.ui.addClickButton.enabled)
