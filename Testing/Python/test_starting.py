"""Segmentations of elsewhere as a start, strokes, lassos and boxes, and segments that are not to be entered."""

from __future__ import annotations

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until


class StartingTest(PanelTestCase):
    """No network runs here: what people hold already becomes a result, and is corrected like any other."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = self.add_phantom()
        self.select(self.volume)

    def add_segmentation(self, masks: dict[str, np.ndarray], name: str = "from elsewhere") -> object:
        """Add a segmentation of masks (KJI on the CT's voxels) by the segments' names."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for each, mask in masks.items():
            segment_id = node.GetSegmentation().AddEmptySegment(each, each)
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment_id, self.volume)
        return node

    def start_from(self, node: object, part: str) -> object:
        """Choose a node and a part of it, press the button, and return the new result's segmentation."""
        self.ui.startNodeSelector.setCurrentNode(node)
        combo = self.ui.startPartComboBox
        process_until(lambda: any(part in combo.itemText(n) for n in range(combo.count)), f"the choice {part}", 20.0)
        combo.setCurrentIndex(next(n for n in range(combo.count) if part in combo.itemText(n)))
        self.click(self.ui.startButton)
        self.assertIsNotNone(self.panel.editor, self.ui.messageLabel.text)
        return self.panel.result

    def half(self) -> np.ndarray:
        """The true pancreas without its left half, and `self.missing` a voxel of the other one."""
        mask = self.truth.copy()
        columns = np.flatnonzero(mask.any(axis=(0, 1)))
        mask[:, :, columns[len(columns) // 2] :] = False
        left = np.argwhere(self.truth & ~mask)
        self.missing = tuple(int(n) for n in left[len(left) // 2])
        return mask

    def position(self, voxel: tuple) -> list[float]:
        """World RAS of a voxel (KJI) of the untransformed CT."""
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.volume.GetIJKToRASMatrix(matrix)
        return list(matrix.MultiplyPoint((*(float(n) for n in voxel[::-1]), 1.0))[:3])

    def draw(self, tool: str, button: object, voxels: list[tuple]) -> None:
        """Choose a tool, click these voxels (KJI) in a view, and end with the right mouse button."""
        import vtk

        combo = self.ui.toolComboBox
        combo.setCurrentIndex(next(n for n in range(combo.count) if combo.itemText(n) == tool))
        self.click(button)
        self.assertTrue(button.checked)
        application = slicer.app.applicationLogic()
        node = slicer.mrmlScene.GetNodeByID(application.GetSelectionNode().GetActivePlaceNodeID())
        for voxel in voxels:
            node.AddControlPointWorld(vtk.vtkVector3d(*self.position(voxel)))
        application.GetInteractionNode().SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
        process_until(lambda: not button.checked, "the end of the drawing", 20.0)
        process_for(0.1)

    def test_a_segment_becomes_a_result_voxel_for_voxel(self) -> None:
        mask = self.half()
        source = self.add_segmentation({"liver": ~self.truth, "Pancreas": mask})
        self.ui.startNodeSelector.setCurrentNode(source)
        slicer.app.processEvents()
        self.assertIn("Pancreas", self.ui.startPartComboBox.currentText, "what is named so is proposed")
        self.ui.correctionCollapsibleButton.collapsed = True
        result = self.start_from(source, "Pancreas")
        self.assertFalse(self.ui.correctionCollapsibleButton.collapsed, "what somebody would do next")
        np.testing.assert_array_equal(self.segment_mask(result), mask)
        self.assertIn("from elsewhere", self.ui.volumeValueLabel.text, "where it comes from")
        self.assertEqual(result.GetAttribute("AttentionUNetSeg.start.segment"), "Pancreas")
        self.assertEqual(self.panel.editor.nodes.gates, {}, "there was no network to look anywhere")
        self.ui.thresholdSlider.value = 1.0
        self.assertLess(np.count_nonzero(self.segment_mask(result)), np.count_nonzero(mask))
        self.ui.thresholdSlider.value = 0.5
        np.testing.assert_array_equal(self.segment_mask(result), mask)

    def test_label_maps_and_probabilities_start_too(self) -> None:
        labels = np.where(self.truth, 7, 0).astype(np.uint8)
        labels[0, 0, 0] = 3
        for kind, part, values in (
            ("vtkMRMLLabelMapVolumeNode", "Label 7", labels),
            ("vtkMRMLScalarVolumeNode", "Label 7", labels),  # as Slicer loads a NIfTI label map
            ("vtkMRMLScalarVolumeNode", "Probability", self.truth * np.float32(0.8)),
        ):
            node = slicer.mrmlScene.AddNewNodeByClass(kind, f"{kind} {part}")
            node.CopyOrientation(self.volume)
            slicer.util.updateVolumeFromArray(node, values)
            node.CreateDefaultDisplayNodes()
            np.testing.assert_array_equal(self.segment_mask(self.start_from(node, part)), self.truth)
        self.ui.startNodeSelector.setCurrentNode(self.volume)  # a CT is neither
        process_until(lambda: self.ui.startPartComboBox.count > 0, "the choice", 20.0)
        results = len(self.logic.results())
        self.click(self.ui.startButton)
        self.assert_message("no probability")
        self.assertEqual(len(self.logic.results()), results)

    def test_strokes_lassos_and_boxes_are_undone_one_by_one(self) -> None:
        result = self.start_from(self.add_segmentation({"Pancreas": self.half()}), "Pancreas")
        start = self.segment_mask(result)
        nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
        k, j, i = self.missing
        self.draw("Stroke", self.ui.addClickButton, [(k, j, i), (k, j, i + 1)])
        self.assertTrue(self.segment_mask(result)[self.missing])
        self.assertIn("+", self.ui.changeLabel.text)
        added = self.segment_mask(result)
        ring = [(k, j - 3, i - 3), (k, j - 3, i + 3), (k, j + 3, i + 3), (k, j + 3, i - 3)]
        self.draw("Lasso", self.ui.removeClickButton, ring)
        self.assertFalse(self.segment_mask(result)[self.missing])
        self.click(self.ui.undoButton)
        np.testing.assert_array_equal(self.segment_mask(result), added)
        self.ui.toolComboBox.setCurrentIndex(3)
        self.click(self.ui.removeClickButton)
        (box,) = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
        box.SetCenter(*self.position(self.missing))
        box.SetSize(20.0, 20.0, 20.0)
        self.click(self.ui.removeClickButton)
        self.assertFalse(self.segment_mask(result)[self.missing])
        self.assertEqual([mark.kind for mark in self.panel.editor.marks], ["stroke", "box"])
        self.click(self.ui.undoButton)
        self.click(self.ui.undoButton)
        np.testing.assert_array_equal(self.segment_mask(result), start)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode"), nodes + 2, "click lists only")
        self.ui.toolComboBox.setCurrentIndex(0)

    def test_a_drawing_that_nobody_ends_changes_nothing(self) -> None:
        result = self.start_from(self.add_segmentation({"Pancreas": self.half()}), "Pancreas")
        start = self.segment_mask(result)
        self.ui.toolComboBox.setCurrentIndex(2)
        self.click(self.ui.addClickButton)
        self.widget.exit()
        self.widget.enter()
        np.testing.assert_array_equal(self.segment_mask(result), start)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode"), [])
        self.click(self.ui.addClickButton)
        self.click(self.ui.addClickButton)  # without a point
        self.assertFalse(self.ui.undoButton.enabled)
        self.ui.toolComboBox.setCurrentIndex(0)

    def test_what_is_painted_teaches_where_it_is_wished(self) -> None:
        result = self.start_from(self.add_segmentation({"Pancreas": self.half()}), "Pancreas")
        self.click(self.ui.strokesTeachCheckBox)
        mask = self.segment_mask(result)
        before = np.count_nonzero(mask)
        mask[self.missing] = True
        segment_id = result.GetSegmentation().GetNthSegmentID(0)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), result, segment_id, self.volume)
        self.widget.exit()
        self.widget.enter()
        self.assertGreater(np.count_nonzero(self.segment_mask(result)), before + 1, "beyond the painted voxel")
        self.click(self.ui.undoButton)
        self.assertEqual(np.count_nonzero(self.segment_mask(result)), before)

    def test_closed_segments_are_not_entered(self) -> None:
        result = self.start_from(self.add_segmentation({"Pancreas": self.half()}), "Pancreas")
        wall = np.zeros_like(self.truth)
        wall[:, :, self.missing[2] + 2 :] = True
        other = self.add_segmentation({"vessels": wall}, "vessels of another tool")
        menu = self.panel.correction.walls
        menu.fill()
        self.assertIn("Copy from", " ".join(action.text for action in menu.menu.actions()))
        menu.copy(other, other.GetSegmentation().GetNthSegmentID(0))
        self.assertIn("vessels", self.ui.wallsButton.text)
        self.draw("Stroke", self.ui.addClickButton, [self.missing])
        closed = self.segment_mask(result)
        self.assertTrue(closed[self.missing])
        self.assertFalse((closed & wall & ~self.half()).any())
        menu.fill()
        next(action for action in menu.menu.actions() if action.text == "vessels").setChecked(False)
        self.assertEqual(self.panel.editor.walls, ())
        opened = self.segment_mask(result)
        self.assertTrue((opened & wall).any(), "open again, the stroke reaches on")
        self.click(self.ui.undoButton)  # what is closed is a step like any other
        self.assertIn("vessels", self.ui.wallsButton.text)
        np.testing.assert_array_equal(self.segment_mask(result), closed)
        self.click(self.ui.redoButton)
        self.assertEqual(self.panel.editor.walls, ())
        np.testing.assert_array_equal(self.segment_mask(result), opened)
        self.ui.toolComboBox.setCurrentIndex(0)
