"""Measurements in the background, and the way to DICOM."""

from __future__ import annotations

import contextlib
import unittest
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until


class MeasuringTest(PanelTestCase):
    """On a result that came without the network: the phantom's truth."""

    def measure(self) -> object:
        """Press Measure, wait, and return the table node."""
        self.click(self.ui.measureButton)
        self.assertEqual(self.ui.measureButton.text, "Cancel")
        process_until(lambda: self.ui.measureButton.text == "Measure", "the measurement")
        table = self.panel.editor.nodes.measurements
        self.assertIsNotNone(table, self.ui.messageLabel.text)
        return table

    def test_the_numbers_stand_in_a_table_and_say_when_they_are_old(self) -> None:
        self.add_result(self.add_phantom())
        self.assertFalse(self.ui.showTableButton.enabled)
        table = self.measure()
        rows = [[table.GetCellText(row, column) for column in range(5)] for row in range(table.GetNumberOfRows())]
        (volume,) = [row for row in rows if row[0] == "Volume"]
        self.assertAlmostEqual(float(volume[1]), self.shown_volume(), delta=0.06)
        self.assertLess(float(volume[2]), float(volume[1]))
        self.assertGreater(float(volume[3]), float(volume[1]))
        self.assertEqual(volume[4], "mL")
        self.assertTrue(any(row[0].startswith("Length") and float(row[1]) > 50.0 for row in rows), rows)
        self.assertIn("Sphericity", self.ui.measurementsLabel.text)
        self.assertIn("as it is now", self.ui.measurementsStateLabel.text)
        self.assertIn("Contrast phase, a guess: ", self.ui.measurementsStateLabel.text)
        self.click(self.ui.centreLineCheckBox)
        curve = self.panel.editor.nodes.centre_line
        labels = [curve.GetNthControlPointLabel(n) for n in range(curve.GetNumberOfControlPoints())]
        self.assertEqual([label for label in labels if label], ["head | body", "body | tail"])
        (length,) = [float(row[1]) for row in rows if row[0].startswith("Length")]
        self.assertAlmostEqual(curve.GetCurveLengthWorld(), length, delta=0.05 * length)
        self.click(self.ui.showTableButton)
        selection = slicer.app.applicationLogic().GetSelectionNode()
        self.assertEqual(selection.GetActiveTableID(), table.GetID())
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

        self.ui.thresholdSlider.value = 0.8
        slicer.app.processEvents()
        self.assertIn("Old", self.ui.measurementsStateLabel.text)
        self.assertTrue(table.GetName().endswith("(old)"))
        self.assertIsNone(self.panel.editor.nodes.centre_line, "it is that of another segment")
        self.ui.thresholdSlider.value = 0.5
        slicer.app.processEvents()
        self.assertFalse(table.GetName().endswith("(old)"), "it is the same segment again")
        self.assertIsNotNone(self.panel.editor.nodes.centre_line)
        self.click(self.ui.centreLineCheckBox)
        self.assertIsNone(self.panel.editor.nodes.centre_line)
        self.ui.measurementsCollapsibleButton.collapsed = True
        measured = self.panel.result
        self.add_result(self.add_phantom(seed=4, name="not measured"))
        self.assertTrue(self.ui.measurementsCollapsibleButton.collapsed)
        self.ui.resultSelector.setCurrentNode(measured)
        slicer.app.processEvents()
        self.assertFalse(self.ui.measurementsCollapsibleButton.collapsed, "there is something to see")
        self.ui.thresholdSlider.value = 0.8
        self.assertIs(self.measure(), table)
        self.assertIn("as it is now", self.ui.measurementsStateLabel.text)

    def test_a_measurement_that_nobody_waits_for(self) -> None:
        self.add_result(self.add_phantom())
        self.click(self.ui.measureButton)
        self.click(self.ui.measureButton)
        process_for(0.5)
        self.assertIsNone(self.panel.editor.nodes.measurements)
        self.click(self.ui.measureButton)
        slicer.mrmlScene.Clear(False)
        process_for(0.5)
        self.assertFalse(self.ui.measureButton.enabled)
        self.assertEqual(self.ui.measurementsLabel.text, "")

    def test_a_ct_that_is_no_dicom_is_told(self) -> None:
        self.add_result(self.add_phantom())
        self.click(self.ui.exportDicomButton)
        self.assert_message("not loaded from DICOM")

    def test_segment_and_measurements_become_dicom(self) -> None:
        try:
            import highdicom
            import pydicom
        except ImportError:
            raise unittest.SkipTest("This Python has no highdicom.") from None
        with self.dicom_ct() as volume:
            self.add_result(volume)
            self.panel.measurements.export_to(str(self.folder))
            process_until(lambda: "Written" in self.ui.messageLabel.text or self.message_is_error(), "the export")
            self.assert_message("Written")
            seg = highdicom.seg.segread(next(iter(self.folder.glob("*_seg.dcm"))))
            mask = self.segment_mask(self.panel.result)
            self.assertEqual(np.count_nonzero(seg.pixel_array), np.count_nonzero(mask))
            report = pydicom.dcmread(next(iter(self.folder.glob("*_sr.dcm"))))
            self.assertIn("Volume", str(report.ContentSequence))
            self.ui.dicomKindComboBox.setCurrentIndex(1)
            self.panel.measurements.export_to(str(self.folder))
            process_until(lambda: "probability.dcm" in self.ui.messageLabel.text or self.message_is_error(), "it")
            seg = highdicom.seg.segread(next(iter(self.folder.glob("*_probability.dcm"))))
            self.assertEqual(seg.SegmentationType, "FRACTIONAL")
            field = slicer.util.arrayFromVolume(self.panel.editor.nodes.field)
            self.assertEqual(int(np.sum(seg.pixel_array, dtype=np.int64)), int(np.sum(field, dtype=np.int64)))
            self.ui.dicomKindComboBox.setCurrentIndex(0)
            # A CT that somebody moved no longer says where on the slices the segment lies.
            volume.SetOrigin(*(each + 7.0 for each in volume.GetOrigin()))
            self.panel.editor.move_along()
            self.panel.measurements.export_to(str(self.folder))
            process_until(self.message_is_error, "the refusal")
            self.assert_message("moved")
            self.assertEqual(len(list(self.folder.glob("*.dcm"))), 3)
            self.panel.measurements.export_to(str(self.folder))
            slicer.mrmlScene.RemoveNode(self.panel.result)
            process_until(lambda: "before the result was exported" in self.ui.messageLabel.text, "the loss")

    def message_is_error(self) -> bool:
        """Whether the notice that is shown is an error."""
        notices = self.panel.messages.notices
        return bool(notices) and notices[0].is_error

    @contextlib.contextmanager
    def dicom_ct(self) -> Iterator[object]:
        """The phantom as a DICOM series, loaded from Slicer's DICOM database; yield its node."""
        from AttentionUNetSegLib.scene.volumes import image_of_node

        volume = self.add_phantom()
        folder = self.folder / "series"
        files = write_series(image_of_node(volume), folder)
        slicer.mrmlScene.RemoveNode(volume)
        if "desktop double" in slicer.app.applicationVersion:
            from AttentionUNetSegLib.imaging import read_volume
            from AttentionUNetSegLib.scene import add_volume

            volume = add_volume(slicer.mrmlScene, read_volume(folder))
            volume.SetAttribute("DICOM.instanceUIDs", " ".join(files))
            slicer.app.dicomDatabase().files.update(files)
            yield volume
            return
        from DICOMLib import DICOMUtils

        with DICOMUtils.TemporaryDICOMDatabase(str(self.folder / "database")) as database:
            DICOMUtils.importDicom(str(folder), database)
            for patient in database.patients():
                DICOMUtils.loadPatientByUID(patient)
            yield next(
                node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
                if node.GetAttribute("DICOM.instanceUIDs")
            )  # fmt: skip


def write_series(ct: object, folder: Path) -> dict[str, str]:
    """Write a CT (LPS) as DICOM slices; return the files by their instances' UIDs."""
    import pydicom
    import SimpleITK as sitk
    from dicom_slice import dicom_slice

    folder.mkdir()
    voxels = np.clip(sitk.GetArrayViewFromImage(ct), -1024, 3000) + 1024
    uid = pydicom.uid.generate_uid()
    files = {}
    for k, pixels in enumerate(voxels):
        path = dicom_slice(
            folder / f"{k:03d}.dcm", ct.TransformIndexToPhysicalPoint((0, 0, k)), uid, ct.GetDirection()[0:9:3] +
            ct.GetDirection()[1:9:3], pixels, PixelSpacing=list(ct.GetSpacing()[1::-1]), InstanceNumber=k + 1,
        )  # fmt: skip
        files[pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID] = str(path)
    return files
